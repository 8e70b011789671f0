import t from 'tap'
import { Membership, type MembershipOptions } from '../../../runtime/cluster/membership.js'
import { digestOf } from '../../../runtime/core/digest.js'
import { isAppError } from '../../../runtime/core/errors.js'
import { noLog } from '../../../runtime/observe/log.js'
import { ManualTime, settle } from '../../support/manual-time.js'

const SELF = 'origin1:80'
const THREE = [SELF, 'origin2:80', 'origin3:80']
const BLOB = digestOf('some blob')

/** A cluster whose list and health the test decides. */
function cluster (list: readonly string[] = THREE, overrides: Partial<MembershipOptions> = {}) {
  const time = new ManualTime()
  const state = { list, down: new Set<string>(), probes: [] as string[], failure: undefined as Error | undefined }
  const options: MembershipOptions = {
    resolve: async () => {
      if (state.failure !== undefined) throw state.failure
      return state.list
    },
    canChange: true,
    ownAddresses: [SELF, '10.0.0.1:80'],
    probe: async address => {
      state.probes.push(address)
      return !state.down.has(address)
    },
    health: { failsMax: 3, passesMin: 2, timeoutMs: 3_000, intervalMs: 10_000 },
    ring: { replicasMax: 3, refreshIntervalMs: 10_000 },
    sleep: time.sleep,
    log: noLog,
    ...overrides
  }
  return { time, state, options }
}

t.test('all members own a blob while all are healthy, in ring order', async t => {
  const { options } = cluster()
  const membership = await Membership.start(options)
  t.teardown(async () => { await membership.stop() })
  t.same(membership.locations(BLOB).toSorted(), THREE)
  t.equal(membership.self, SELF)
})

t.test('a member is out after three failed checks and in again after two that passed', async t => {
  const { time, state, options } = cluster()
  const membership = await Membership.start(options)
  t.teardown(async () => { await membership.stop() })
  let changes = 0
  membership.onChange(() => { changes++ })
  state.down.add('origin2:80')
  await settle() // the first check ran at once, before the member went down
  // The others have passed only once: they are looked at again soon, as is one that fails.
  await time.advance(2_000)
  t.same(membership.healthy.toSorted(), THREE)
  await time.advance(1_000)
  t.same(membership.healthy.toSorted(), [SELF, 'origin3:80'])
  t.notOk(membership.locations(BLOB).includes('origin2:80'))
  state.down.clear()
  await time.advance(1_000)
  t.equal(membership.healthy.length, 2)
  await time.advance(1_000)
  t.same(membership.healthy.toSorted(), THREE)
  t.equal(changes, 2)
})

t.test('we do not check ourselves and stay healthy when all others are gone', async t => {
  const { time, state, options } = cluster()
  state.down = new Set(THREE)
  const membership = await Membership.start(options)
  t.teardown(async () => { await membership.stop() })
  await time.advance(40_000)
  t.same(membership.healthy, [SELF])
  t.same(membership.locations(BLOB), [SELF])
  t.notOk(state.probes.includes(SELF))
})

t.test('a check that throws or hangs is a failed one', async t => {
  const { time, options } = cluster(THREE, { probe: async () => { throw new Error('refused') } })
  const membership = await Membership.start(options)
  t.teardown(async () => { await membership.stop() })
  await time.advance(30_000)
  t.same(membership.healthy, [SELF])
})

t.test('the only member is healthy without a check', async t => {
  const { time, state, options } = cluster([SELF])
  const membership = await Membership.start(options)
  t.teardown(async () => { await membership.stop() })
  await time.advance(30_000)
  t.same(membership.locations(BLOB), [SELF])
  t.same(state.probes, [])
})

t.test('a new list makes a new ring, and listeners hear of it', async t => {
  const { time, state, options } = cluster([SELF])
  const membership = await Membership.start(options)
  t.teardown(async () => { await membership.stop() })
  await settle()
  let changes = 0
  const stopListening = membership.onChange(() => { changes++ })
  state.list = THREE
  await time.advance(10_000)
  t.same([...membership.members], THREE)
  t.equal(changes, 1)
  stopListening()
  state.list = [SELF]
  await time.advance(10_000)
  t.equal(changes, 1)
})

t.test('the last list stays while the name does not resolve', async t => {
  const { time, state, options } = cluster()
  const membership = await Membership.start(options)
  t.teardown(async () => { await membership.stop() })
  state.failure = new Error('no such name')
  await time.advance(30_000)
  t.same([...membership.members], THREE)
})

t.test('the address is used if the name is not listed', async t => {
  const { options } = cluster(['10.0.0.1:80', '10.0.0.2:80'])
  const membership = await Membership.start(options)
  t.teardown(async () => { await membership.stop() })
  t.equal(membership.self, '10.0.0.1:80')
})

t.test('start waits until we are listed', async t => {
  const { time, state, options } = cluster(['origin2:80'])
  const starting = Membership.start(options)
  await time.advance(20_000)
  state.list = THREE
  await time.advance(500)
  const membership = await starting
  t.equal(membership.self, SELF)
  await membership.stop()
})

t.test('start gives up after a minute and says who was looked for', async t => {
  const { time, options } = cluster(['origin2:80'])
  const starting = Membership.start(options).catch((error: unknown) => error)
  await time.advance(61_000)
  const error = await starting
  t.ok(isAppError(error, 'CONFIG_INVALID'))
  t.match((error as Error).message, /origin1:80, 10\.0\.0\.1:80.*origin2:80/)
})

t.test('start gives up at once on a list that cannot change', async t => {
  const { options } = cluster(['origin2:80'], { canChange: false })
  await t.rejects(Membership.start(options), { code: 'CONFIG_INVALID' })
})

t.test('start can be called off', async t => {
  const { time, options } = cluster(['origin2:80'])
  const abort = new AbortController()
  const starting = Membership.start(options, abort.signal).catch((error: unknown) => error)
  await settle()
  abort.abort()
  t.ok(isAppError(await starting, 'CANCELLED'))
  t.equal(time.sleeping, 0)
})

t.test('nothing goes on after stop', async t => {
  const { time, state, options } = cluster()
  const membership = await Membership.start(options)
  await settle()
  await membership.stop()
  await membership.stop()
  const probes = state.probes.length
  await time.advance(60_000)
  t.equal(state.probes.length, probes)
  t.equal(time.sleeping, 0)
})
