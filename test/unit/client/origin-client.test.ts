import t, { type Test } from 'tap'
import { type BlobContent } from '../../../net/client/clients.js'
import { createHttp } from '../../../net/client/http.js'
import { createOriginClient, type HttpOriginClient } from '../../../net/client/origin-client.js'
import { type Reply } from '../../../net/http/engine.js'
import { json, text } from '../../../net/http/reply.js'
import { digestOf, hexOf } from '../../../runtime/core/digest.js'
import { isAppError, messageOf } from '../../../runtime/core/errors.js'
import { MetaInfo } from '../../../runtime/core/metainfo.js'
import { makePeerId } from '../../../runtime/core/peer-id.js'
import { peerContextToJson } from '../../../runtime/core/peer.js'
import { pattern } from '../../support/pattern.js'
import { type Asked, smallServer, type SmallServer } from '../../support/small-server.js'

const CONTENT = pattern(40_000_000)
const DIGEST = digestOf(CONTENT)
const CHUNK_BYTES = 32 * 1024 * 1024
const ENCODED = `library%2Ffoo/blobs/${DIGEST}`

/** Yields views of one buffer, which is overwritten before the next. */
function contentOf (bytes: Uint8Array): BlobContent & { readonly reads: number[] } {
  const reads: number[] = []
  return {
    reads,
    sizeBytes: bytes.length,
    async * read (offset, lengthBytes) {
      reads.push(offset)
      const view = new Uint8Array(1_000_000)
      for (let at = offset; at < offset + lengthBytes; at += view.length) {
        const part = bytes.subarray(at, Math.min(at + view.length, offset + lengthBytes))
        view.set(part)
        yield view.subarray(0, part.length)
        view.fill(0xee)
      }
    }
  }
}

async function origin (t: Test, answer: (asked: Asked) => Reply): Promise<{ server: SmallServer, client: HttpOriginClient, sleeps: number[] }> {
  const http = createHttp()
  t.teardown(() => http.close())
  const server = await smallServer(t, answer)
  const sleeps: number[] = []
  return { server, sleeps, client: createOriginClient(server.address, http, { sleep: async ms => { sleeps.push(ms) } }) }
}

/** Takes an upload the way an origin does; `fail` may answer instead. */
function uploadTaker (fail: (call: string) => Reply | undefined = () => undefined): { answer: (asked: Asked) => Reply, received: Buffer } {
  const received = Buffer.alloc(CONTENT.length)
  return {
    received,
    answer: asked => {
      const failure = fail(`${asked.method} ${asked.header('content-range') ?? ''}`.trim())
      if (failure !== undefined) return failure
      if (asked.method === 'POST') return { status: 200, headers: { Location: 'the-uid' } }
      const start = Number(asked.header('content-range')?.split('-')[0])
      if (asked.method === 'PATCH') asked.body.copy(received, start)
      return { status: 200 }
    }
  }
}

async function failureOf (promise: Promise<unknown>): Promise<unknown> { return await promise.then(() => undefined, (error: unknown) => error) }

t.test('a transfer is a start, chunks of 32 MiB and a commit', async t => {
  const taker = uploadTaker()
  const { server, client } = await origin(t, taker.answer)
  await client.transfer(DIGEST, contentOf(CONTENT))
  t.same(server.journal, [
    `POST /internal/blobs/${DIGEST}/uploads?size=${CONTENT.length}`,
    `PATCH /internal/blobs/${DIGEST}/uploads/the-uid`,
    `PATCH /internal/blobs/${DIGEST}/uploads/the-uid`,
    `PUT /internal/blobs/${DIGEST}/uploads/the-uid`
  ])
  t.ok(taker.received.equals(CONTENT))
})

t.test('a duplicate upload says how long the write-back has to wait', async t => {
  const bodies: string[] = []
  const { server, client } = await origin(t, asked => {
    if (asked.method === 'PUT') bodies.push(asked.body.toString())
    return uploadTaker().answer(asked)
  })
  await client.uploadDuplicate('library/foo', DIGEST, contentOf(new Uint8Array(0)), 1_800_000)
  t.same(server.journal, [
    `POST /namespace/${ENCODED}/uploads?size=0`,
    `PUT /internal/duplicate/namespace/${ENCODED}/uploads/the-uid`
  ], 'an empty blob has no chunks')
  t.same(bodies, ['{"Delay":1800000000000}'])
})

t.test('409 is success wherever it comes', async t => {
  for (const [call, calls] of [['POST', 1], [`PATCH 0-${CHUNK_BYTES}`, 2], ['PUT', 4]] as const) {
    const { server, client } = await origin(t, uploadTaker(asked => asked === call ? { status: 409 } : undefined).answer)
    await client.upload('n', DIGEST, contentOf(CONTENT))
    t.equal(server.journal.length, calls, call)
  }
})

t.test('starts and chunks are tried again from their first byte', async t => {
  let failures = 0
  const taker = uploadTaker(call => {
    if (call === 'PUT' || failures >= 4) return undefined
    failures++
    return failures % 3 === 0 ? undefined : { status: 503 }
  })
  const { client, sleeps } = await origin(t, taker.answer)
  const content = contentOf(CONTENT)
  await client.upload('n', DIGEST, content)
  t.ok(taker.received.equals(CONTENT))
  t.same(content.reads, [0, 0, CHUNK_BYTES])
  t.same(sleeps, [250, 250, 250])
})

t.test('what does not get better is given up after three tries', async t => {
  const { server, client } = await origin(t, uploadTaker(call => call === 'POST' ? { status: 502 } : undefined).answer)
  const error = await failureOf(client.upload('n', DIGEST, contentOf(CONTENT)))
  t.ok(isAppError(error, 'UNAVAILABLE'))
  t.equal(server.journal.length, 3)
})

t.test('a commit that failed may have happened: whoever starts anew finds out', async t => {
  let isCommitted = false
  const { server, client } = await origin(t, uploadTaker(call => {
    if (call === 'POST' && isCommitted) return { status: 409 }
    if (call !== 'PUT') return undefined
    isCommitted = true
    return { status: 504 }
  }).answer)
  await client.upload('n', DIGEST, contentOf(pattern(5)))
  t.equal(server.journal.length, 4)
  const never = await origin(t, uploadTaker(call => call === 'PUT' ? { status: 504 } : undefined).answer)
  t.match(await failureOf(never.client.upload('n', DIGEST, contentOf(pattern(5)))), { code: 'UNAVAILABLE', detail: { status: 504 } })
})

t.test('a wrong digest is told from other failures', async t => {
  for (const reply of [
    text(`move upload file to cache: verify digest: computed digest sha256:00 doesn't match expected value ${DIGEST}`, 500),
    text(`digest mismatch: ${DIGEST}`, 400)
  ]) {
    const { client } = await origin(t, uploadTaker(call => call === 'PUT' ? reply : undefined).answer)
    t.ok(isAppError(await failureOf(client.upload('n', DIGEST, contentOf(pattern(5)))), 'DIGEST_MISMATCH'))
  }
  const { client } = await origin(t, uploadTaker(call => call === 'PUT' ? text('disk', 500) : undefined).answer)
  t.ok(isAppError(await failureOf(client.upload('n', DIGEST, contentOf(pattern(5)))), 'UNAVAILABLE'))
})

t.test('an answer in the middle of a chunk ends its sending', async t => {
  const http = createHttp()
  t.teardown(() => http.close())
  const { listen } = await import('../../../net/http/uws.js')
  const server = await listen(request => request.method === 'POST' ? { status: 200, headers: { Location: 'u' } } : { status: 409 },
    { port: 0, host: '127.0.0.1', bodyBytesMax: 1e9 })
  t.teardown(() => server.close(0))
  await createOriginClient(`127.0.0.1:${server.port}`, http).upload('n', DIGEST, contentOf(CONTENT))
  t.pass('the conflict was heard')
})

t.test('lookups', async t => {
  const metaInfo = new MetaInfo(hexOf(DIGEST), 10, 4, Uint32Array.of(1, 2, 3))
  const peer = { ip: '10.0.0.1', port: 15001, id: makePeerId('addr_hash', '10.0.0.1', 15001), zone: 'z', cluster: 'c', isOrigin: true }
  const replies: Readonly<Record<string, Reply>> = {
    [`HEAD /internal/namespace/${ENCODED}?local=true`]: { status: 200, headLengthBytes: 5_000_000_000 },
    [`HEAD /internal/namespace/${ENCODED}`]: { status: 404 },
    [`GET /internal/namespace/${ENCODED}/metainfo`]: text(metaInfo.serialize()),
    'GET /internal/peercontext': json(peerContextToJson(peer), { newline: true }),
    [`GET /blobs/${DIGEST}/locations`]: { status: 200, headers: { 'Origin-Locations': 'b:1, a:1,' } },
    [`DELETE /internal/blobs/${DIGEST}`]: { status: 202 },
    'GET /readiness': text('not ready to serve traffic: no', 503)
  }
  const { client } = await origin(t, asked => replies[`${asked.method} ${asked.target}`] ?? { status: 404 })
  t.same(await client.statLocal('library/foo', DIGEST), { sizeBytes: 5_000_000_000 })
  t.equal(await client.stat('library/foo', DIGEST), undefined)
  t.match(await client.metaInfo('library/foo', DIGEST), { status: 'found', metaInfo: { infoHash: metaInfo.infoHash } })
  t.same(await client.peerContext(), peer)
  t.same(await client.locations(DIGEST), ['b:1', 'a:1'])
  t.equal(await client.deleteBlob(DIGEST), true)
  t.equal(await client.deleteBlob(digestOf('other')), false)
  t.match(await client.metaInfo('library/foo', digestOf('other')), { status: 'unknown' })
  t.match(messageOf(await failureOf(client.checkReadiness())), /503: not ready to serve traffic: no/)
})

t.test('metainfo may be pending, of another blob, or with piece digests', async t => {
  const sums = new Uint8Array(32).fill(7)
  const metaInfo = new MetaInfo(hexOf(DIGEST), 3, 4, Uint32Array.of(1), sums)
  const other = new MetaInfo(hexOf(digestOf('other')), 3, 4, Uint32Array.of(1))
  let reply: Reply = { status: 202 }
  const { client } = await origin(t, asked => {
    return reply.status === 200 && asked.header('shoal-piece-digests') !== undefined ? text(metaInfo.serializeWithDigests()) : reply
  })
  t.same(await client.metaInfo('n', DIGEST), { status: 'pending' })
  reply = text(metaInfo.serialize())
  t.match(await client.metaInfo('n', DIGEST), { metaInfo: { pieceDigests: undefined } })
  const answer = await client.metaInfo('n', DIGEST, { withPieceDigests: true })
  t.same(answer.status === 'found' ? answer.metaInfo.pieceDigests : undefined, sums)
  reply = text(other.serialize())
  t.ok(isAppError(await failureOf(client.metaInfo('n', DIGEST)), 'CORRUPT'))
})

t.test('locations without an owner are an error', async t => {
  const { client } = await origin(t, () => ({ status: 200 }))
  t.ok(isAppError(await failureOf(client.locations(DIGEST)), 'UNAVAILABLE'))
})

t.test('a direct download is one request', async t => {
  const content = pattern(1_000_000)
  const { client, server } = await origin(t, asked => asked.target.endsWith(`/${DIGEST}`) ? { status: 200, body: content } : { status: 202 })
  const stream = await client.download('n', DIGEST)
  t.equal(stream.sizeBytes, content.length)
  const parts: Uint8Array[] = []
  for await (const part of stream.chunks()) parts.push(part)
  t.ok(Buffer.concat(parts).equals(content))
  t.match(await failureOf(client.download('n', digestOf('other'))), { code: 'UNAVAILABLE', detail: { status: 202 } })
  t.equal(server.journal.length, 2)
})
