import t from 'tap'
import { type Millis } from '../../../runtime/core/clock.js'
import { ActiveHealth, PassiveHealth } from '../../../runtime/ring/health.js'

function activeHealth (...hosts: string[]): ActiveHealth {
  const health = new ActiveHealth({ failsMax: 3, passesMin: 2 })
  health.sync(hosts)
  return health
}

function record (health: ActiveHealth, host: string, outcomes: string): void {
  for (const outcome of outcomes) health.record(host, outcome === '+')
}

for (const [outcomes, expected] of [
  ['', true],
  ['--', true],
  ['---', false],
  ['--+--', true],
  ['--+---', false],
  ['---+', false],
  ['---++', true],
  ['-----++', true],
  ['---+-+', false],
  ['---+-++', true],
  ['+++++--', true],
  ['+++++---', false]
] as const) {
  t.test(`after "${outcomes}" a host is ${expected ? 'healthy' : 'not healthy'}`, async t => {
    const health = activeHealth('a', 'b')
    record(health, 'a', outcomes)
    t.equal(health.isHealthy('a'), expected)
    t.same(health.select(['a', 'b']), expected ? ['a', 'b'] : ['b'])
  })
}

t.test('the only host of a list is healthy whatever happened', async t => {
  const health = activeHealth('a')
  record(health, 'a', '---')
  t.same(health.select(['a']), ['a'])
})

t.test('all hosts may be out', async t => {
  const health = activeHealth('a', 'b')
  record(health, 'a', '---')
  record(health, 'b', '---')
  t.same(health.select(['a', 'b']), [])
})

t.test('a host that comes back has to pass first', async t => {
  const health = activeHealth('a', 'b')
  record(health, 'a', '++')
  health.sync(['b'])
  t.notOk(health.isHealthy('a'))
  health.sync(['a', 'b'])
  t.notOk(health.isHealthy('a'))
  record(health, 'a', '+')
  t.notOk(health.isHealthy('a'), 'what it passed before it left does not count')
  record(health, 'a', '+')
  t.ok(health.isHealthy('a'))
})

t.test('outcomes of strangers are ignored', async t => {
  const health = activeHealth('a', 'b')
  record(health, 'c', '++')
  t.notOk(health.isHealthy('c'))
})

t.test('hosts that are gone are not remembered without bound', async t => {
  const health = activeHealth('a', 'b')
  record(health, 'a', '---')
  for (let i = 0; i < 5000; i++) health.sync(['a', `host${i}`])
  t.notOk(health.isHealthy('a'), 'who is still listed keeps its trend')
  health.sync(['a', 'host0'])
  t.ok(health.isHealthy('host0'), 'who was forgotten is new')
})

function at (ms: number): Millis { return ms as Millis }
function passiveHealth (): PassiveHealth { return new PassiveHealth({ failsMax: 3, windowMs: 300_000 }) }

t.test('three failures within the window put a host out for as long', async t => {
  const health = passiveHealth()
  health.recordFailure('a', at(0))
  health.recordFailure('a', at(1000))
  t.ok(health.isHealthy('a', at(1000)))
  health.recordFailure('a', at(2000))
  t.notOk(health.isHealthy('a', at(2000)))
  t.notOk(health.isHealthy('a', at(301_999)))
  t.ok(health.isHealthy('a', at(302_000)))
  t.same(health.select(['a', 'b'], at(2000)), ['b'])
  t.same(health.select(['a', 'b'], at(302_000)), ['a', 'b'])
})

t.test('failures that are further apart do not add up', async t => {
  const health = passiveHealth()
  for (let i = 0; i < 10; i++) health.recordFailure('a', at(i * 150_000))
  t.ok(health.isHealthy('a', at(9 * 150_000)))
})

t.test('a host that is back starts from nothing, and failures while it was out did not prolong it', async t => {
  const health = passiveHealth()
  for (let i = 0; i < 3; i++) health.recordFailure('a', at(0))
  health.recordFailure('a', at(299_999))
  t.ok(health.isHealthy('a', at(300_000)))
  health.recordFailure('a', at(300_001))
  health.recordFailure('a', at(300_002))
  t.ok(health.isHealthy('a', at(300_002)))
  health.recordFailure('a', at(300_003))
  t.notOk(health.isHealthy('a', at(300_003)))
})

t.test('the history of hosts that are no longer listed is forgotten', async t => {
  const health = passiveHealth()
  for (let i = 0; i < 3; i++) health.recordFailure('a', at(0))
  health.recordFailure('b', at(0))
  health.recordFailure('b', at(0))
  t.same(health.select(['c'], at(1)), ['c'])
  health.recordFailure('b', at(2))
  t.same(health.select(['a', 'b', 'c'], at(3)), ['a', 'b', 'c'])
})
