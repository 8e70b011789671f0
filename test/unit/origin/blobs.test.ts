import { rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { type Digest, digestOf, hexOf } from '../../../runtime/core/digest.js'
import { isAppError } from '../../../runtime/core/errors.js'
import { noLog } from '../../../runtime/observe/log.js'
import { Blobs } from '../../../runtime/origin/blobs.js'
import { Pushes } from '../../../runtime/origin/pushes.js'
import { type Replication } from '../../../runtime/origin/replication.js'
import { CasStore } from '../../../runtime/store/cas.js'
import { blobDir, dataIn, sidecarIn, SIDECARS } from '../../../runtime/store/paths.js'
import { createHashPool } from '../../../workers/pool.js'
import { Uploads } from '../../../workers/upload-door.js'
import { streamOf } from '../../support/origin-doubles.js'
import { pattern } from '../../support/pattern.js'

const root = t.testdir({})
const cacheDir = join(root, 'cache')
const pieceLengths = [{ minBlobBytes: 0, pieceBytes: 4 }, { minBlobBytes: 1024, pieceBytes: 65_536 }]
const pool = createHashPool({ threads: 1 })
const uploads = await Uploads.start({
  uploadDir: join(root, 'upload'), cacheDir, slotCount: 8, pieceLengths, uploadTtlMs: 60_000, isDurable: false, isPoisoned: true
})
t.teardown(async () => {
  await uploads.close()
  await pool.close()
})

/** An empty store; the threads are shared. */
async function setUp () {
  await rm(cacheDir, { recursive: true, force: true })
  const unseeded: Digest[] = []
  const blobs = new Blobs({
    store: new CasStore({ cacheDir }), pool, unseed: async digest => { unseeded.push(digest) }, pieceLengths, log: noLog
  })
  const replicated: Digest[] = []
  const replication: Pick<Replication, 'replicate'> = {
    replicate: async (_, digest) => { replicated.push(digest) }
  }
  const pushes = new Pushes({ blobs, uploads, replication })
  const put = async (bytes: Uint8Array): Promise<Digest> => {
    await pushes.store(digestOf(bytes), streamOf(bytes))
    return digestOf(bytes)
  }
  return { blobs, pushes, unseeded, replicated, put, dirOf: (digest: Digest) => blobDir(cacheDir, hexOf(digest)) }
}

const V4 = '{"Info":{"PieceLength":4,"PieceSums":[2344191507,1624488069,4040958035],"Name":"1f825aa2f0020ef7cf91dfa30da4668d791c5d4824fc8e41354b89ec05795ab3","Length":10}}'

t.test('a blob has its size, its bytes and its metainfo', async t => {
  const { blobs, put } = await setUp()
  const digest = await put(pattern(10))
  t.equal(await blobs.sizeOf(digest), 10)
  t.equal((await blobs.metaInfo(digest))?.serialize(), V4)
  const content = await blobs.content(digest)
  const read: Uint8Array[] = []
  for await (const chunk of content.read(3, 4)) read.push(chunk.slice())
  t.same(Buffer.concat(read), Buffer.from(pattern(10).subarray(3, 7)))
})

t.test('a blob that is not here is undefined everywhere', async t => {
  const { blobs } = await setUp()
  const digest = digestOf('nothing')
  t.equal(await blobs.has(digest), false)
  t.equal(await blobs.open(digest), undefined)
  t.equal(await blobs.metaInfo(digest), undefined)
  t.equal(await blobs.delete(digest), false)
  await t.rejects(blobs.content(digest), { code: 'BLOB_UNKNOWN' })
  await t.rejects(blobs.overwriteMetaInfo(digest, 4), { code: 'BLOB_UNKNOWN' })
})

for (const [what, damage] of [
  ['is gone', async (path: string) => { await rm(path) }],
  ['is torn', async (path: string) => { await truncate(path, 30) }],
  ['is empty', async (path: string) => { await truncate(path, 0) }],
  ['is of another blob', async (path: string) => { await writeFile(path, V4.replace('1f825', '00000')) }],
  ['has another length', async (path: string) => { await writeFile(path, V4.replace('"Length":10', '"Length":11')) }]
] as const) {
  t.test(`a metainfo that ${what} is made again`, async t => {
    const { blobs, put, dirOf } = await setUp()
    const digest = await put(pattern(10))
    await damage(sidecarIn(dirOf(digest), SIDECARS.torrentMeta))
    const metaInfos = await Promise.all([blobs.metaInfo(digest), blobs.metaInfo(digest)])
    for (const metaInfo of metaInfos) t.equal(metaInfo?.serialize(), V4)
    t.ok(metaInfos[0]?.pieceDigests)
  })
}

t.test('a blob whose bytes were lost is removed when it is used, and can come again', async t => {
  const { blobs, put, dirOf, unseeded } = await setUp()
  const digest = await put(pattern(10))
  await truncate(dataIn(dirOf(digest)), 7)
  t.equal(await blobs.open(digest), undefined)
  t.same(unseeded, [digest])
  await t.rejects(stat(dirOf(digest)), { code: 'ENOENT' })
  await put(pattern(10))
  t.equal(await blobs.sizeOf(digest), 10)
})

t.test('deleting takes the blob and its sidecars away and tells the swarm', async t => {
  const { blobs, put, dirOf, unseeded } = await setUp()
  const digest = await put(pattern(10))
  t.equal(await blobs.sizeOf(digest), 10)
  t.equal(await blobs.delete(digest), true)
  t.equal(await blobs.sizeOf(digest), undefined)
  t.same(unseeded, [digest])
  await t.rejects(stat(dirOf(digest)), { code: 'ENOENT' })
})

t.test('pieces of another length, within limits', async t => {
  const { blobs, put } = await setUp()
  const digest = await put(pattern(10))
  await blobs.overwriteMetaInfo(digest, 65_536)
  t.match((await blobs.metaInfo(digest))?.serialize(), /"PieceLength":65536,"PieceSums":\[1164760902\]/)
  await t.rejects(blobs.overwriteMetaInfo(digest, 0), { code: 'SIZE_INVALID' })
  await t.rejects(blobs.overwriteMetaInfo(digest, -4), { code: 'SIZE_INVALID' })
  await t.rejects(blobs.overwriteMetaInfo(digest, 2 ** 40), { code: 'SIZE_INVALID' })
  const large = await put(pattern(1_048_577))
  await t.rejects(blobs.overwriteMetaInfo(large, 1), { code: 'SIZE_INVALID' })
})

t.test('all blobs are listed', async t => {
  const { blobs, put } = await setUp()
  const digests = await Promise.all([1, 2, 3].map(async n => await put(pattern(n))))
  const listed: Digest[] = []
  for await (const digest of blobs.list()) listed.push(digest)
  t.same(listed, digests.toSorted())
})

t.test('bytes that are another blob do not get in', async t => {
  const { blobs, pushes, replicated } = await setUp()
  const digest = digestOf('expected')
  await t.rejects(pushes.store(digest, streamOf(Buffer.from('sent'))), { code: 'DIGEST_MISMATCH' })
  t.notOk(await blobs.has(digest))
  t.same(replicated, [])
})

t.test('a stream that breaks off leaves nothing', async t => {
  const { blobs, pushes } = await setUp()
  const digest = digestOf(pattern(10))
  const chunks = async function * () {
    yield pattern(10).subarray(0, 5)
    throw new Error('connection reset')
  }
  await t.rejects(pushes.store(digest, { sizeBytes: 10, chunks }), { message: 'connection reset' })
  t.notOk(await blobs.has(digest))
})

t.test('two commits of one blob: one makes it, the other hears that it exists, both uploads are gone', async t => {
  const { pushes, replicated } = await setUp()
  const digest = digestOf(pattern(10))
  const ids = await Promise.all([pushes.start(digest), pushes.start(digest)])
  for (const id of ids) {
    const writer = uploads.writer(id, 0)
    await writer.write(pattern(10))
    await writer.end()
  }
  const outcomes = await Promise.allSettled(ids.map(async id => { await pushes.commitReplicated('ns', digest, id) }))
  t.same(outcomes.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
  t.ok(outcomes.every(outcome => outcome.status === 'fulfilled' || isAppError(outcome.reason, 'BLOB_EXISTS')))
  t.same(replicated, [digest])
  for (const id of ids) t.equal(await uploads.status(id), undefined)
})

t.test('no slot is leaked', async t => { t.equal(uploads.leasedSlots, 0) })
