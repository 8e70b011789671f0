import t, { type Test } from 'tap'
import { type Digest, digestOf } from '../../../runtime/core/digest.js'
import { noLog } from '../../../runtime/observe/log.js'
import { startTracker } from '../../../runtime/tracker/component.js'
import { type Answer, call } from '../../support/http-call.js'
import { must } from '../../support/must.js'
import { SmallOrigin } from '../../support/small-origin.js'

interface Tracker {
  readonly origin: SmallOrigin
  readonly port: number
  metaInfo (digest: Digest, headers?: Record<string, string>): Promise<Answer>
}

async function tracker (t: Test): Promise<Tracker> {
  const origin = await SmallOrigin.start()
  const component = await startTracker({
    port: 0,
    announceIntervalMs: 3000,
    announceLimit: 50,
    handoutPolicy: 'completeness',
    peerTtlMs: 1000,
    originStore: { locationsTtlMs: 10_000, locationsErrorTtlMs: 1000, contextTtlMs: 10_000, unavailableTtlMs: 60_000 },
    origin: origin.upstream
  }, noLog)
  t.teardown(async () => {
    await component.stop()
    await component.stop()
    await origin.stop()
  })
  const port = must(component.ports.port)
  return { origin, port, metaInfo: async (digest, headers) => call(port, 'GET', `/namespace/ns/blobs/${digest}/metainfo`, { headers }) }
}

t.test('metainfo is fetched once for all who ask, with its piece digests for our own agents', async t => {
  const { origin, metaInfo } = await tracker(t)
  const digest = origin.put('hello')
  const described = origin.describe(digest, 65_536, 907_060_870, new Uint8Array(32).fill(7))
  const [plain, detailed, again] = await Promise.all([metaInfo(digest), metaInfo(digest, { 'shoal-piece-digests': 'true' }), metaInfo(digest)])
  t.equal(plain.body.toString(), described.serialize())
  t.equal(detailed.body.toString(), described.serializeWithDigests())
  t.equal(again.body.toString(), described.serialize())
  t.equal(origin.requests.filter(request => request.endsWith('/metainfo')).length, 1)
})

t.test('the status of an origin is passed on', async t => {
  const { origin, metaInfo } = await tracker(t)
  t.match(await metaInfo(digestOf('absent')), { status: 404, headers: { 'content-length': '8' } })
  origin.fetching.add(digestOf('coming'))
  const coming = await metaInfo(digestOf('coming'))
  t.equal(coming.status, 202)
  t.equal(coming.body.toString(), 'origin: ')
})

t.test('an origin that fails: the tracker lives on and is not ready', async t => {
  const { origin, port, metaInfo } = await tracker(t)
  origin.failing = 503
  t.equal((await call(port, 'GET', '/health')).status, 200)
  const readiness = await call(port, 'GET', '/readiness')
  t.equal(readiness.status, 503)
  t.match(readiness.body.toString(), /^not ready to serve traffic: /)
  t.equal((await metaInfo(digestOf('x'))).status, 500)
  const body = JSON.stringify({ digest: digestOf('x'), peer: { ip: '10.0.0.1', port: 16001 } })
  t.equal((await call(port, 'POST', `/announce/${'a'.repeat(40)}`, { body })).body.toString(), '{"peers":[],"interval":3000000000}\n')
})

t.test('a port that is taken stops the start', async t => {
  const { origin, port } = await tracker(t)
  await t.rejects(startTracker({
    port,
    announceIntervalMs: 3000,
    announceLimit: 50,
    handoutPolicy: 'default',
    peerTtlMs: 1000,
    originStore: { locationsTtlMs: 1, locationsErrorTtlMs: 1, contextTtlMs: 1, unavailableTtlMs: 1 },
    origin: origin.upstream
  }, noLog), { code: 'UNAVAILABLE' })
})
