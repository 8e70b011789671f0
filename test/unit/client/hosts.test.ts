import { Resolver } from 'node:dns/promises'
import t from 'tap'
import { hostsAt, type HostsOptions, resolveHosts } from '../../../net/client/hosts.js'
import { isAppError } from '../../../runtime/core/errors.js'
import { ManualTime } from '../../support/manual-time.js'
import { SmallDns } from '../../support/small-dns.js'

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

t.test('records of a name server: A, AAAA and SRV', async t => {
  const server = await SmallDns.start()
  const resolver = new Resolver({ timeout: 100, tries: 1 })
  resolver.setServers([server.address])
  t.teardown(async () => {
    resolver.cancel()
    await server.stop()
  })
  const time = new ManualTime()
  const options: HostsOptions = {
    clock: time.clock,
    resolve: async name => [
      ...(await resolver.resolve4(name).catch(() => [])).map(address => ({ address, family: 4 })),
      ...(await resolver.resolve6(name).catch(() => [])).map(address => ({ address, family: 6 }))
    ],
    resolveService: async name => await resolver.resolveSrv(name)
  }
  const SERVICE = '_origin._tcp.cluster.test'
  server.names.set('both.test', { A: ['10.0.0.2', '10.0.0.1'], AAAA: ['fd00:0:0:0:0:0:0:1'] })
  server.names.set(SERVICE, { SRV: [{ name: 'Origin-1.cluster.test', port: 15002 }, { name: 'origin-0.cluster.test', port: 15012 }] })
  t.same(await resolveHosts({ static: [], dns: 'both.test:80', ttlMs: 1 }, options)(), ['10.0.0.1:80', '10.0.0.2:80', '[fd00::1]:80'])
  const service = resolveHosts({ static: [], dns: SERVICE, ttlMs: 10 }, options)
  t.same(await service(), ['origin-0.cluster.test:15012', 'origin-1.cluster.test:15002'])
  server.names.set(SERVICE, { SRV: [{ name: 'origin-0.cluster.test', port: 15012 }] })
  await time.advance(10)
  t.same(await service(), ['origin-0.cluster.test:15012'])
  server.names.delete(SERVICE)
  await time.advance(10)
  t.same(await service(), ['origin-0.cluster.test:15012'], 'what was known stays')
  await t.rejects(resolveHosts({ static: [], dns: '_none._tcp.test', ttlMs: 1 }, options)(), { code: 'UNAVAILABLE' })
})

t.test('an address that somebody else gave', async t => {
  t.match(hostsAt('origin.elsewhere:80'), { static: [], dns: 'origin.elsewhere:80' })
  t.match(hostsAt('10.0.0.1:80'), { static: ['10.0.0.1:80'], dns: undefined })
  t.match(hostsAt('[fd00::1]:80'), { static: ['[fd00::1]:80'] })
  t.match(hostsAt('_origin._tcp.elsewhere'), { static: [], dns: '_origin._tcp.elsewhere' })
  for (const wrong of ['', 'host', 'host:0', 'host:70000', 'a/b:1', 'http://host:1', `${'x'.repeat(300)}:1`]) t.throws(() => hostsAt(wrong), { code: 'PARAMETER_INVALID' })
})
