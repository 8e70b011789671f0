import t from 'tap'
import { agentApi } from '../../net/api/agent.js'
import { originApi } from '../../net/api/origin.js'
import { call } from '../support/http-call.js'
import { makeImage } from '../support/image.js'
import { startLocalCluster } from '../support/local-cluster.js'
import { pullImage, pushImage } from '../support/registry.js'

/* The peer threads of an origin and of an agent start anew with other configurations, on the same ports. */

t.test('the scheduler is configured while it runs', async t => {
  const { origin, originPeer, agentServer, agentRegistry, proxy: [proxy] } = await startLocalCluster(t, { pieceBytes: 65_536 })
  const peerContext = async (): Promise<string> => (await call(origin, 'GET', originApi.peerContext.path)).body.toString()
  const before = await peerContext()
  for (const [round, config] of ['{}', '{"ConnState":{"MaxOpenConnectionsPerTorrent":2},"ConnTTL":60000000000}'].entries()) {
    const image = await makeImage({ layerBytes: [500_000], seed: 950 + round })
    await pushImage(proxy, 'team/app', `v${round}`, image)
    const [one, two, other] = await Promise.all([
      call(origin, 'PATCH', originApi.configureScheduler.path, { body: config }),
      call(agentServer, 'PATCH', agentApi.configureScheduler.path, { body: config }),
      call(agentServer, 'GET', agentApi.stats.path)
    ])
    for (const { status, body } of [one, two]) t.same([status, body.toString()], [200, ''])
    t.equal(other.status, 200, 'who comes meanwhile waits')
    await t.resolves(pullImage(agentRegistry, 'team/app', `v${round}`, image))
  }
  const crowd = Array.from({ length: 50 }, async () => (await call(agentServer, 'PATCH', agentApi.configureScheduler.path, { body: '{}' })).status)
  t.same(new Set(await Promise.all(crowd)), new Set([200]), 'many at once')
  t.equal(await peerContext(), before, `the same peer on port ${originPeer}`)
  t.match(await call(origin, 'PATCH', originApi.configureScheduler.path, { body: '{' }), { status: 500, body: Buffer.from('decode body: unexpected EOF') })
  t.match(await call(agentServer, 'PATCH', agentApi.configureScheduler.path, { body: '{"ConnTTL":"x"}' }), { status: 400 })
  t.equal((await call(agentServer, 'GET', '/health')).status, 200)
})
