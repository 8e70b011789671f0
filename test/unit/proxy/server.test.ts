import t from 'tap'
import { type Handler } from '../../../net/http/engine.js'
import { ok } from '../../../net/http/reply.js'
import { noLog } from '../../../runtime/observe/log.js'
import { RateLimit } from '../../../runtime/proxy/rate-limit.js'
import { createProxyServer, type ProxyServerOptions } from '../../../runtime/proxy/server.js'
import { ManualTime } from '../../support/manual-time.js'
import { fakeRequest } from '../../support/registry/fake-request.js'

function proxyServer (options: Partial<ProxyServerOptions> = {}): { ask: (method: string, path: string) => Promise<number>, time: ManualTime } {
  const time = new ManualTime()
  const ready = { checkReadiness: async () => {} }
  const handler: Handler = createProxyServer({
    preheater: { notify: async () => ok() },
    prefetcher: { serve: async () => ok() },
    buildIndex: ready,
    origins: ready,
    log: noLog,
    clock: time.clock,
    ...options
  })
  return { time, ask: async (method, path) => (await handler(fakeRequest(method, path))).status }
}

const COSTLY = ['/registry/notifications', '/proxy/v1/registry/prefetch', '/proxy/v2/registry/prefetch']

t.test('what costs the origins work is limited on the registry ports', async t => {
  const { ask, time } = proxyServer({ registry: ok, limit: new RateLimit({ perSecond: 100, burst: 2 }) })
  t.same(await Promise.all(COSTLY.map(async path => await ask('POST', path))), [200, 200, 200])
  for (const path of COSTLY) t.equal(await ask('POST', path), 429, path)
  for (const path of ['/health', '/readiness', '/v2/']) t.equal(await ask('GET', path), 200, path)
  await time.advance(10)
  t.equal(await ask('POST', COSTLY[0] ?? ''), 200)
})

t.test('the server port has no limit, and tells about the process', async t => {
  const { ask } = proxyServer()
  for (let i = 0; i < 50; i++) for (const path of COSTLY) t.equal(await ask('POST', path), 200)
  t.equal(await ask('GET', '/debug/vars'), 200)
  t.equal(await ask('GET', '/v2/'), 404)
})

t.test('the registry ports do not tell about the process', async t => {
  const { ask } = proxyServer({ registry: () => ({ status: 404 }) })
  t.equal(await ask('GET', '/debug/vars'), 404)
})
