import t, { type Test } from 'tap'
import { type TrackerClient } from '../../../net/client/clients.js'
import { createTrackerClient } from '../../../net/client/tracker-client.js'
import { type Reply } from '../../../net/http/engine.js'
import { json, text } from '../../../net/http/reply.js'
import { digestOf, hexOf, parseDigest } from '../../../runtime/core/digest.js'
import { isAppError, messageOf } from '../../../runtime/core/errors.js'
import { MetaInfo } from '../../../runtime/core/metainfo.js'
import { makePeerId } from '../../../runtime/core/peer-id.js'
import { type PeerInfo, peerInfoToJson } from '../../../runtime/core/peer.js'
import { Ring } from '../../../runtime/ring/ring.js'
import { must } from '../../support/must.js'
import { neverSleep } from '../../support/manual-time.js'
import { type Asked, deadAddress, smallServer } from '../../support/small-server.js'

const DIGEST = parseDigest('sha256:289314c356bc2a19802c3e31505506db30ea81a0bcaea4ec3e079524c8ac3cf5')
const META_INFO = new MetaInfo(hexOf(DIGEST), 236, 4_194_304, Uint32Array.of(2131691452))
const SELF: PeerInfo = { id: makePeerId('addr_hash', '10.0.0.1', 16001), ip: '10.0.0.1', port: 16001, isOrigin: false, isComplete: false }

function clientOf (t: Test, addresses: readonly string[]): TrackerClient {
  const client = createTrackerClient({
    hosts: { static: addresses, dns: undefined, ttlMs: 5000 },
    health: { failsMax: 3, passesMin: 1, timeoutMs: 300_000, intervalMs: 300_000 },
    ring: { replicasMax: 3, refreshIntervalMs: 10_000 }
  }, { patience: neverSleep })
  t.teardown(() => client.close())
  return client
}

async function failureOf (promise: Promise<unknown>): Promise<unknown> { return await promise.then(() => undefined, (error: unknown) => error) }

t.test('an announce is what the reference sends', async t => {
  const asked: Asked[] = []
  const server = await smallServer(t, request => {
    asked.push(request)
    return text('{"peers":null,"interval":3000000000}\n')
  })
  t.same(await clientOf(t, [server.address]).announce(DIGEST, META_INFO.infoHash, SELF), { peers: [], intervalMs: 3000 })
  t.same(server.journal, ['POST /announce/85b978c4377625b3963df406d0dd3a1da5a7d9c3'])
  t.equal(must(asked[0]).body.toString(), '{"name":"289314c356bc2a19802c3e31505506db30ea81a0bcaea4ec3e079524c8ac3cf5",' +
    '"digest":"sha256:289314c356bc2a19802c3e31505506db30ea81a0bcaea4ec3e079524c8ac3cf5",' +
    '"info_hash":[133,185,120,196,55,118,37,179,150,61,244,6,208,221,58,29,165,167,217,195],' +
    '"peer":{"peer_id":[152,194,177,22,78,124,152,137,5,121,65,255,252,170,103,164,95,85,1,186],' +
    '"ip":"10.0.0.1","port":16001,"origin":false,"complete":false}}')
})

t.test('answers are read leniently', async t => {
  const peer: PeerInfo = { ...SELF, ip: '10.0.0.2', isOrigin: true, isComplete: true }
  for (const [reply, peers, intervalMs] of [
    [json({ peers: [peerInfoToJson(peer)], interval: 1_000_000_000, more: 1 }), [peer], 1000],
    [json({ Peers: [peerInfoToJson(peer), { port: 70_000 }, null, 'x'], Interval: 0 }), [peer], 1],
    [json({ peers: [], interval: 1e15 }), [], 60_000],
    [json({ peers: {}, interval: -5 }), [], 1],
    [json({}), [], 3000]
  ] as const) {
    const server = await smallServer(t, () => reply)
    t.same(await clientOf(t, [server.address]).announce(DIGEST, META_INFO.infoHash, SELF), { peers, intervalMs })
  }
  const broken = await smallServer(t, () => text('{"peers":'))
  t.ok(isAppError(await failureOf(clientOf(t, [broken.address]).announce(DIGEST, META_INFO.infoHash, SELF)), 'BODY_INVALID'))
  const refusing = await smallServer(t, () => text('no peers available: x', 500))
  t.match(messageOf(await failureOf(clientOf(t, [refusing.address]).announce(DIGEST, META_INFO.infoHash, SELF))), /answered 500: no peers available/)
})

t.test('metainfo: found, pending, unknown', async t => {
  let reply: Reply = text(META_INFO.serialize())
  const asked: Asked[] = []
  const server = await smallServer(t, request => {
    asked.push(request)
    return reply
  })
  const client = clientOf(t, [server.address])
  t.match(await client.metaInfo('library/foo', DIGEST), { status: 'found', metaInfo: { infoHash: META_INFO.infoHash } })
  t.same(server.journal, [`GET /namespace/library%2Ffoo/blobs/${DIGEST}/metainfo`])
  t.ok(must(asked[0]).header('shoal-piece-digests'))
  reply = text('origin: ', 202)
  t.same(await client.metaInfo('n', DIGEST), { status: 'pending' })
  reply = text('origin: ', 404)
  t.same(await client.metaInfo('n', DIGEST), { status: 'unknown' })
  reply = text('origin: boom', 500)
  t.ok(isAppError(await failureOf(client.metaInfo('n', DIGEST)), 'UNAVAILABLE'))
})

t.test('trackers are asked in ring order, the next only without an HTTP answer', async t => {
  const answers = async (): Promise<{ address: string, journal: string[] }> => await smallServer(t, () => json({ peers: null, interval: 1e9 }))
  const alive = await answers()
  const dead = await deadAddress(t)
  const ring = new Ring([alive.address, dead])
  const client = clientOf(t, ring.members)
  for (let i = 0; i < 20; i++) t.same((await client.announce(digestOf(String(i)), META_INFO.infoHash, SELF)).peers, [])
  t.equal(alive.journal.length, 20, 'a dead tracker costs a try, not the announce')
  const second = await answers()
  const both = new Ring([alive.address, second.address])
  const spread = clientOf(t, both.members)
  for (let i = 0; i < 20; i++) {
    const digest = digestOf(String(i))
    const [best] = both.ownersOf(digest)
    const server = best === alive.address ? alive : second
    const before = server.journal.length
    await spread.announce(digest, META_INFO.infoHash, SELF)
    t.equal(server.journal.length, before + 1)
  }
  t.ok(isAppError(await failureOf(clientOf(t, [dead]).announce(DIGEST, META_INFO.infoHash, SELF)), 'NETWORK'))
  t.ok(isAppError(await failureOf(clientOf(t, []).announce(DIGEST, META_INFO.infoHash, SELF)), 'UNAVAILABLE'))
})

t.test('readiness', async t => {
  const server = await smallServer(t, () => text('not ready to serve traffic: x', 503))
  t.match(messageOf(await failureOf(clientOf(t, [server.address]).checkReadiness())), /503: not ready/)
  t.same(server.journal, ['GET /readiness'])
})
