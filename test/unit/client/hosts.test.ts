import t from 'tap'
import { resolveHosts } from '../../../net/client/hosts.js'
import { isAppError } from '../../../runtime/core/errors.js'
import { ManualTime } from '../../support/manual-time.js'

const addresses = (...ips: string[]): Array<{ address: string, family: number }> => ips.map(address => ({ address, family: address.includes(':') ? 6 : 4 }))

t.test('a static list is taken as it is', async t => {
  t.same(await resolveHosts({ static: ['b:1', 'a:1'], dns: undefined, ttlMs: 1 })(), ['b:1', 'a:1'])
})

t.test('a name is resolved once for a while', async t => {
  const time = new ManualTime()
  const asked: string[] = []
  let answer = addresses('10.0.0.2', '10.0.0.1', 'fd00::1', '10.0.0.1')
  const hosts = resolveHosts({ static: [], dns: 'origin.local:80', ttlMs: 5000 }, {
    clock: time.clock,
    resolve: async name => {
      asked.push(name)
      return answer
    }
  })
  const [first, second] = await Promise.all([hosts(), hosts()])
  t.same(first, ['10.0.0.1:80', '10.0.0.2:80', '[fd00::1]:80'])
  t.equal(first, second)
  await time.advance(4999)
  t.equal(await hosts(), first)
  t.same(asked, ['origin.local'])
  await time.advance(1)
  t.equal(await hosts(), first, 'the same answer is the same list')
  answer = addresses('10.0.0.3')
  await time.advance(5000)
  t.same(await hosts(), ['10.0.0.3:80'])
})

t.test('the last good answer stays, but there has to be one', async t => {
  const time = new ManualTime()
  let answer: (() => Array<{ address: string, family: number }>) = () => { throw new Error('SERVFAIL') }
  const hosts = resolveHosts({ static: [], dns: 'x:1', ttlMs: 10 }, { clock: time.clock, resolve: async () => answer() })
  t.ok(isAppError(await hosts().catch((error: unknown) => error), 'UNAVAILABLE'))
  answer = () => addresses('10.0.0.1')
  t.same(await hosts(), ['10.0.0.1:1'])
  answer = () => []
  await time.advance(10)
  t.same(await hosts(), ['10.0.0.1:1'])
  answer = () => { throw new Error('SERVFAIL') }
  await time.advance(10)
  t.same(await hosts(), ['10.0.0.1:1'])
})

t.test('a name without a port is a mistake in the config', async t => {
  t.throws(() => resolveHosts({ static: [], dns: 'origin', ttlMs: 1 }), { code: 'CONFIG_INVALID' })
})
