import t from 'tap'
import { type MetaInfoAnswer } from '../../../net/client/clients.js'
import { type HttpRequest } from '../../../net/http/engine.js'
import { type Digest, digestOf, hexOf } from '../../../runtime/core/digest.js'
import { AppError } from '../../../runtime/core/errors.js'
import { type InfoHash } from '../../../runtime/core/infohash.js'
import { MetaInfo } from '../../../runtime/core/metainfo.js'
import { type PeerInfo } from '../../../runtime/core/peer.js'
import { noLog } from '../../../runtime/observe/log.js'
import { createTrackerHandler } from '../../../runtime/tracker/server.js'
import { bytesOf, fakeRequest } from '../../support/registry/fake-request.js'

const DIGEST = digestOf('blob')
const HASH = 'bd0cf4b9dd85d372bcb5ca5bb3ba752af0ea3e5d'
const HASH_JSON = [189, 12, 244, 185, 221, 133, 211, 114, 188, 181, 202, 91, 179, 186, 117, 42, 240, 234, 62, 93]
const PLAIN = 'text/plain; charset=utf-8'

function body (more: object = {}): string {
  return JSON.stringify({
    name: hexOf(DIGEST),
    digest: DIGEST,
    info_hash: HASH_JSON,
    peer: { peer_id: new Array(20).fill(1), ip: '10.0.0.1', port: 16001, origin: false, complete: false },
    ...more
  })
}

interface Double {
  metaInfo?: () => Promise<MetaInfoAnswer>
  readiness?: () => Promise<void>
  answer?: string | Promise<string>
}

/** The handler over doubles of what is behind it; `announced` and `asked` record what came through. */
function tracker ({ metaInfo, readiness, answer }: Double = {}): {
  ask: (request: HttpRequest) => Promise<{ status: number, type: string | undefined, body: string }>
  announced: Array<{ digest: Digest, infoHash: InfoHash, peer: PeerInfo }>
  asked: Array<{ namespace: string, digest: Digest }>
} {
  const announced: Array<{ digest: Digest, infoHash: InfoHash, peer: PeerInfo }> = []
  const asked: Array<{ namespace: string, digest: Digest }> = []
  const handle = createTrackerHandler({
    announcer: {
      announce: (digest, infoHash, peer) => {
        announced.push({ digest, infoHash, peer })
        return answer ?? 'answer\n'
      }
    },
    metaInfo: async (namespace, digest) => {
      asked.push({ namespace, digest })
      return metaInfo === undefined ? { status: 'unknown' } : metaInfo()
    },
    checkReadiness: async () => readiness?.()
  }, noLog)
  return {
    announced,
    asked,
    ask: async request => {
      const reply = await handle(request)
      return { status: reply.status, type: reply.headers?.['Content-Type'], body: (await bytesOf(reply)).toString() }
    }
  }
}

t.test('health and readiness', async t => {
  t.same(await tracker().ask(fakeRequest('GET', '/health')), { status: 200, type: PLAIN, body: 'OK\n' })
  t.same(await tracker().ask(fakeRequest('GET', '/readiness')), { status: 200, type: PLAIN, body: 'OK\n' })
  const unready = tracker({ readiness: async () => { throw new Error('no origin answers') } })
  t.same(await unready.ask(fakeRequest('GET', '/readiness')), { status: 503, type: PLAIN, body: 'not ready to serve traffic: no origin answers' })
})

t.test('both versions of the announce, with the answer at once or later', async t => {
  for (const [method, path] of [['POST', `/announce/${HASH}`], ['POST', `/announce/${HASH.toUpperCase()}`], ['GET', '/announce']] as const) {
    for (const answer of ['{"peers":null}\n', Promise.resolve('{"peers":null}\n')]) {
      const { ask, announced } = tracker({ answer })
      t.same(await ask(fakeRequest(method, path, { body: body() })), { status: 200, type: PLAIN, body: '{"peers":null}\n' })
      t.match(announced, [{ digest: DIGEST, infoHash: HASH, peer: { id: '01'.repeat(20), ip: '10.0.0.1', port: 16001, isComplete: false } }])
    }
  }
})

t.test('the path decides the info hash in version 2', async t => {
  const { ask, announced } = tracker()
  await ask(fakeRequest('POST', `/announce/${'a'.repeat(40)}`, { body: body() }))
  t.equal(announced[0]?.infoHash, 'a'.repeat(40))
})

t.test('what cannot be understood is the 500 of the reference', async t => {
  for (const [path, text, message] of [
    ['/announce/zz', body(), 'parse infohash: invalid hash: expected 40 characters, got 2'],
    ['/announce/zz', '', 'parse infohash: invalid hash: expected 40 characters, got 2'],
    [`/announce/${HASH}`, '{', 'json decode request: unexpected EOF'],
    [`/announce/${HASH}`, '', 'json decode request: EOF'],
    [`/announce/${HASH}`, '{}', 'get request digest: invalid sha256: expected 64 characters, got 0 from ""']
  ] as const) t.same(await tracker().ask(fakeRequest('POST', path, { body: text })), { status: 500, type: PLAIN, body: message })
})

t.test('a peer that cannot be handed out is refused and not recorded', async t => {
  for (const peer of [null, undefined, {}, { ip: '10.0.0.1', port: 0 }, { ip: 'a\nb', port: 1 }]) {
    const { ask, announced } = tracker()
    t.equal((await ask(fakeRequest('POST', `/announce/${HASH}`, { body: body({ peer }) }))).status, 400)
    t.same(announced, [])
  }
})

t.test('a body without end is refused', async t => {
  t.equal((await tracker().ask(fakeRequest('POST', `/announce/${HASH}`, { body: ' '.repeat(16 * 1024 + 1) }))).status, 413)
})

const path = `/namespace/team%2Fapp/blobs/${DIGEST}/metainfo`

t.test('metainfo goes out with piece digests only to those who ask for them', async t => {
  const metaInfo = new MetaInfo(hexOf(DIGEST), 4, 4, Uint32Array.of(7), new Uint8Array(32))
  const { ask, asked } = tracker({ metaInfo: async () => ({ status: 'found', metaInfo }) })
  t.same(await ask(fakeRequest('GET', path)), { status: 200, type: 'application/json', body: metaInfo.serialize() })
  const own = await ask(fakeRequest('GET', path, { headers: { 'shoal-piece-digests': '1' } }))
  t.equal(own.body, metaInfo.serializeWithDigests())
  t.same(asked, [{ namespace: 'team/app', digest: DIGEST }, { namespace: 'team/app', digest: DIGEST }])
})

t.test('metainfo that is not there', async t => {
  const failing = (error: Error) => async (): Promise<MetaInfoAnswer> => { throw error }
  for (const [metaInfo, status, text] of [
    [async () => ({ status: 'pending' as const }), 202, 'origin: '],
    [async () => ({ status: 'unknown' as const }), 404, 'origin: '],
    [failing(new AppError('UNAVAILABLE', 'metainfo answered 503: busy', { detail: { status: 503, text: 'busy' } })), 503, 'origin: busy'],
    [failing(new AppError('UNAVAILABLE', 'metainfo answered 500', { detail: { status: 500, text: '' } })), 500, 'origin: '],
    [failing(new AppError('NETWORK', 'connection refused')), 500, 'connection refused']
  ] as const) t.same(await tracker({ metaInfo }).ask(fakeRequest('GET', path)), { status, type: PLAIN, body: text })
})

t.test('a bad digest has the words of the reference', async t => {
  t.same(await tracker().ask(fakeRequest('GET', '/namespace/team%2Fapp/blobs/nope/metainfo')), {
    status: 400, type: PLAIN, body: "parse digest: server error 400: parse digest: invalid digest: expected '<algo>:<hex>'"
  })
})

t.test('namespaces are decoded in two stages', async t => {
  for (const [segment, namespace] of [['team%2Fapp', 'team/app'], ['team%252Fapp', 'team/app'], ['.*', '.*'], ['plain', 'plain']] as const) {
    const { ask, asked } = tracker()
    await ask(fakeRequest('GET', `/namespace/${segment}/blobs/${DIGEST}/metainfo`))
    t.equal(asked[0]?.namespace, namespace, segment)
  }
  t.equal((await tracker().ask(fakeRequest('GET', `/namespace/a%25b/blobs/${DIGEST}/metainfo`))).status, 400)
  t.equal((await tracker().ask(fakeRequest('GET', `/namespace/team/app/blobs/${DIGEST}/metainfo`))).status, 404)
})

t.test('misses', async t => {
  t.same(await tracker().ask(fakeRequest('GET', '/nope')), { status: 404, type: PLAIN, body: '404 page not found\n' })
  t.equal((await tracker().ask(fakeRequest('GET', '/health/'))).status, 404)
  t.same(await tracker().ask(fakeRequest('PUT', `/announce/${HASH}`)), { status: 405, type: undefined, body: '' })
})
