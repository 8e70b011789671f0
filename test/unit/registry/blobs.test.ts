import t from 'tap'
import { digestOf } from '../../../runtime/core/digest.js'
import { noLog } from '../../../runtime/observe/log.js'
import { createRegistry } from '../../../runtime/registry/server.js'
import { bytesOf, type FakeRequest, fakeRequest } from '../../support/registry/fake-request.js'
import { MemoryCluster } from '../../support/registry/memory-cluster.js'
import { pattern } from '../../support/pattern.js'

const BLOB = pattern(2048)
const DIGEST = digestOf(BLOB)
const EMPTY = digestOf('')
const COMMON = { 'Docker-Content-Digest': DIGEST, ETag: `"${DIGEST}"`, 'Cache-Control': 'max-age=31536000' }

function site () {
  const cluster = new MemoryCluster()
  cluster.add(BLOB)
  cluster.add('')
  const handle = createRegistry({ reads: cluster.reads, writes: undefined }, { log: noLog })
  return {
    cluster,
    call: async (method: string, options: FakeRequest = {}, digest: string = DIGEST) => await handle(fakeRequest(method, `/v2/team/app/blobs/${digest}?ns=docker.example`, options))
  }
}

t.test('GET sends all of it', async t => {
  const { cluster, call } = site()
  const reply = await call('GET')
  t.equal(reply.status, 200)
  t.match(reply.headers, { ...COMMON, 'Content-Type': 'application/octet-stream', 'Accept-Ranges': 'bytes' })
  t.ok((await bytesOf(reply)).equals(BLOB))
  t.equal(cluster.openReaders, 0)
})

t.test('HEAD tells the size and opens nothing', async t => {
  const { cluster, call } = site()
  const reply = await call('HEAD')
  t.equal(reply.status, 200)
  t.equal(reply.headLengthBytes, 2048)
  t.equal(reply.body, undefined)
  t.equal(cluster.openReaders, 0)
  t.equal((await call('HEAD', {}, EMPTY)).headLengthBytes, 0)
})

for (const [range, offset, end] of [
  ['bytes=0-9', 0, 10], ['bytes=0-0', 0, 1], ['bytes=2047-2047', 2047, 2048], ['bytes=2000-', 2000, 2048],
  ['bytes=-1', 2047, 2048], ['bytes=-9999', 0, 2048], ['bytes=1000-9999', 1000, 2048], ['bytes=0-2047', 0, 2048]
] as const) {
  t.test(`Range ${range}`, async t => {
    const reply = await site().call('GET', { headers: { Range: range } })
    t.equal(reply.status, 206)
    t.match(reply.headers, { ...COMMON, 'Content-Range': `bytes ${offset}-${end - 1}/2048` })
    t.ok((await bytesOf(reply)).equals(BLOB.subarray(offset, end)))
  })
}

for (const range of ['bytes=2048-', 'bytes=9999-10000', 'bytes=5-4', 'bytes=-0', 'bytes=-', 'bytes=x-y']) {
  t.test(`Range ${range} cannot be satisfied`, async t => {
    const reply = await site().call('GET', { headers: { Range: range } })
    t.equal(reply.status, 416)
    t.equal(reply.headers?.['Content-Range'], 'bytes */2048')
  })
}

const CONDITIONS: ReadonlyArray<readonly [Record<string, string>, 200 | 206 | 304]> = [
  [{ Range: 'bytes=0-1,4-5' }, 200],
  [{ Range: 'lines=0-1' }, 200],
  [{ Range: 'bytes=0-1', 'If-Range': `"${DIGEST}"` }, 206],
  [{ Range: 'bytes=0-1', 'If-Range': '"other"' }, 200],
  [{ Range: 'bytes=9999-', 'If-Range': 'Mon, 23 Nov 2026 15:56:38 GMT' }, 200],
  [{ 'If-None-Match': `"${DIGEST}"` }, 304],
  [{ 'If-None-Match': DIGEST }, 304],
  [{ 'If-None-Match': `"x", W/"${DIGEST}"` }, 304],
  [{ 'If-None-Match': '*' }, 304],
  [{ 'If-None-Match': '"x"' }, 200]
]
for (const [headers, status] of CONDITIONS) {
  t.test(`${JSON.stringify(headers)} is ${status}`, async t => {
    const { cluster, call } = site()
    const reply = await call('GET', { headers })
    t.equal(reply.status, status)
    t.match(reply.headers, COMMON)
    const bytes = await bytesOf(reply)
    t.equal(bytes.length, { 200: 2048, 206: 2, 304: 0 }[status])
    t.equal(cluster.openReaders, 0)
  })
}

t.test('a blob that nobody has is 404 under every condition', async t => {
  const absent = digestOf('absent')
  for (const headers of CONDITIONS.map(([headers]) => headers)) {
    for (const method of ['GET', 'HEAD']) t.equal((await site().call(method, { headers }, absent)).status, 404)
  }
})

t.test('readers are let go of when the client leaves before, while and after the body is read', async t => {
  const leave = new AbortController()
  const { cluster, call } = site()
  await call('GET', { signal: leave.signal })
  t.equal(cluster.openReaders, 1)
  leave.abort()
  t.equal(cluster.openReaders, 0)

  const cut = await call('GET')
  if (typeof cut.body !== 'object' || cut.body instanceof Uint8Array) throw new Error('no stream')
  const chunks = cut.body.chunks()[Symbol.asyncIterator]()
  t.equal((await chunks.next()).done, false)
  t.equal(cluster.openReaders, 1)
  await chunks.return?.()
  t.equal(cluster.openReaders, 0)

  const unread = await call('GET', {}, EMPTY)
  if (typeof unread.body !== 'object' || unread.body instanceof Uint8Array) throw new Error('no stream')
  await unread.body.chunks()[Symbol.asyncIterator]().return?.()
  t.equal(cluster.openReaders, 0)
})
