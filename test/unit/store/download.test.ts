import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, readSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { type Digest, digestOf, EMPTY_DIGEST, hexOf } from '../../../runtime/core/digest.js'
import { type PieceIndex } from '../../../runtime/core/lengths.js'
import { MetaInfo } from '../../../runtime/core/metainfo.js'
import { DownloadStore, type StoredTorrent } from '../../../runtime/store/download.js'
import { blobDir, dataIn } from '../../../runtime/store/paths.js'
import { crc32Oracle } from '../../../wasm/crc32.oracle.js'
import { must } from '../../support/must.js'

const CONTENT = Buffer.from('0123456789')
const DIGEST = digestOf(CONTENT)

function metaInfoOf (content: Buffer, pieceBytes: number, digests?: Uint8Array): MetaInfo {
  const pieces = Array.from({ length: Math.ceil(content.length / pieceBytes) }, (_, i) => content.subarray(i * pieceBytes, (i + 1) * pieceBytes))
  return new MetaInfo(hexOf(digestOf(content)), content.length, pieceBytes, Uint32Array.from(pieces, piece => crc32Oracle(piece)), digests)
}

const META = metaInfoOf(CONTENT, 4, new Uint8Array(96).fill(9))

interface Bench { readonly store: DownloadStore, readonly download: string, readonly cache: string, reopened (): DownloadStore }

function setUp (t: Test, isDurable = false): Bench {
  const root = t.testdir({})
  const paths = { downloadDir: join(root, 'download'), cacheDir: join(root, 'cache') }
  return {
    store: new DownloadStore(paths, { isDurable }),
    download: blobDir(paths.downloadDir, hexOf(DIGEST)),
    cache: blobDir(paths.cacheDir, hexOf(DIGEST)),
    reopened: () => new DownloadStore(paths, { isDurable })
  }
}

async function storePiece (torrent: StoredTorrent, n: number, content = CONTENT): Promise<void> {
  const { lengths } = torrent.metaInfo
  const piece = must(lengths.index(n))
  writeSync(torrent.fd, content, lengths.offsetOf(piece), lengths.sizeOf(piece), lengths.offsetOf(piece))
  await torrent.markStored(piece)
}

for (const isDurable of [false, true]) {
  t.test(`a download from the first piece to the cache, ${isDurable ? '' : 'not '}synced`, async t => {
    const { store, download, cache } = setUp(t, isDurable)
    t.equal(await store.open(DIGEST), undefined)
    const torrent = await store.create(META)
    t.same(readdirSync(download).sort(), ['_piece_sha256', '_status', '_torrentmeta', 'data'])
    t.equal(readFileSync(join(download, 'data')).length, 10, 'full length from the beginning')
    t.equal(torrent.isComplete, false)
    for (const n of [1, 0]) await storePiece(torrent, n)
    t.same(readFileSync(join(download, '_status')), Buffer.from([1, 1, 0]))
    await t.rejects(torrent.complete(), { code: 'INTERNAL' }, 'not before all pieces are there')
    await storePiece(torrent, 2)
    await torrent.complete()
    await torrent.complete()
    t.equal(torrent.isComplete, true)
    t.equal(torrent.path, join(cache, 'data'))
    t.equal(readFileSync(torrent.path, 'utf8'), '0123456789')
    t.same(readdirSync(cache).sort(), ['_last_access_time', '_piece_sha256', '_status', '_torrentmeta', 'data'])
    t.notOk(existsSync(download))
    const read = Buffer.alloc(10)
    t.equal(readSync(torrent.fd, read, 0, 10, 0), 10, 'the descriptor serves on')
    await torrent.close()
  })
}

t.test('a restart resumes from what is on record', async t => {
  const { store, reopened } = setUp(t)
  const torrent = await store.create(META)
  await storePiece(torrent, 1)
  await torrent.close()
  const resumed = must(await reopened().open(DIGEST))
  t.same([...resumed.have], [1])
  t.same(Buffer.from(must(resumed.metaInfo.pieceDigests)), Buffer.from(must(META.pieceDigests)))
  for (const n of [0, 2]) await storePiece(resumed, n)
  await resumed.complete()
  await resumed.close()
  const seeded = must(await reopened().open(DIGEST))
  t.ok(seeded.isComplete && seeded.have.isFull)
  t.same(Buffer.from(must(seeded.metaInfo.pieceDigests)), Buffer.from(must(META.pieceDigests)))
  await seeded.close()
})

t.test('a folder of Kraken is taken over', async t => {
  const { store, download } = setUp(t)
  mkdirSync(download, { recursive: true })
  writeFileSync(join(download, 'data'), '0123\0\0\0\0\0\0')
  writeFileSync(join(download, '_torrentmeta'), metaInfoOf(CONTENT, 4).serialize())
  writeFileSync(join(download, '_status'), Buffer.from([1, 0, 7]))
  writeFileSync(join(download, '_last_access_time'), Buffer.from('80c49fd50c000000', 'hex'))
  const torrent = must(await store.open(DIGEST))
  t.same([...torrent.have], [0])
  t.equal(torrent.metaInfo.pieceDigests, undefined)
  await torrent.close()
})

const DAMAGES: Record<string, (dir: string) => void> = {
  'no data': dir => rmSync(join(dir, 'data')),
  'short data': dir => truncateSync(join(dir, 'data'), 9),
  'no metainfo': dir => rmSync(join(dir, '_torrentmeta')),
  'torn metainfo': dir => truncateSync(join(dir, '_torrentmeta'), 25),
  'empty metainfo': dir => truncateSync(join(dir, '_torrentmeta'), 0),
  'no status': dir => rmSync(join(dir, '_status')),
  'short status': dir => truncateSync(join(dir, '_status'), 2),
  'metainfo of another blob': dir => writeFileSync(join(dir, '_torrentmeta'), metaInfoOf(Buffer.from('9876543210'), 4).serialize())
}
for (const [name, damage] of Object.entries(DAMAGES)) {
  t.test(`a download with ${name} is removed and starts over`, async t => {
    const { store, reopened, download } = setUp(t)
    const torrent = await store.create(META)
    await storePiece(torrent, 0)
    await torrent.close()
    damage(download)
    t.equal(await reopened().open(DIGEST), undefined)
    t.notOk(existsSync(download))
    const fresh = await reopened().create(META)
    t.ok(fresh.have.isEmpty)
    await fresh.close()
  })
}

t.test('torn piece digests cost only themselves', async t => {
  const { store, reopened, download } = setUp(t)
  const torrent = await store.create(META)
  await storePiece(torrent, 0)
  await torrent.close()
  truncateSync(join(download, '_piece_sha256'), 5)
  const resumed = must(await reopened().open(DIGEST))
  t.same([...resumed.have], [0])
  t.equal(resumed.metaInfo.pieceDigests, undefined)
  await resumed.close()
})

t.test('pieces that turn out wrong are taken back', async t => {
  const { store, reopened } = setUp(t)
  const torrent = await store.create(META)
  for (const n of [0, 1, 2]) await storePiece(torrent, n)
  await torrent.invalidate([0, 2] as PieceIndex[])
  t.same([...torrent.have], [1])
  await torrent.close()
  const resumed = must(await reopened().open(DIGEST))
  t.same([...resumed.have], [1])
  await resumed.close()
})

t.test('everybody who opens it gets the same one, and the last to close it closes it', async t => {
  const { store } = setUp(t)
  const [first, second, third] = await Promise.all([store.create(META), store.create(META), store.open(DIGEST)])
  t.equal(second, first)
  t.equal(third, first)
  await first.close()
  await second.close()
  await storePiece(first, 0)
  await must(third).close()
  t.equal(first.fd, -1)
  const again = must(await store.open(DIGEST))
  t.not(again, first)
  await again.close()
})

t.test('other pieces than before start over', async t => {
  const { store } = setUp(t)
  const torrent = await store.create(META)
  await storePiece(torrent, 0)
  await torrent.close()
  const other = await store.create(metaInfoOf(CONTENT, 5))
  t.equal(other.metaInfo.lengths.pieceBytes, 5)
  t.ok(other.have.isEmpty)
  await other.close()
})

t.test('a removed download ends as removed', async t => {
  const { store, cache, download } = setUp(t)
  const torrent = await store.create(META)
  for (const n of [0, 1, 2]) await storePiece(torrent, n)
  t.equal(await store.remove(DIGEST), true)
  t.equal(await store.remove(DIGEST), false)
  await t.rejects(torrent.complete(), { code: 'CANCELLED' })
  t.notOk(existsSync(join(cache, 'data')))
  t.notOk(existsSync(download))
  const fresh = await store.create(META)
  t.ok(fresh.have.isEmpty)
  await torrent.close()
  await storePiece(fresh, 0)
  await fresh.close()
})

t.test('a blob that others brought to the cache meanwhile is success', async t => {
  const { store, cache } = setUp(t)
  const torrent = await store.create(META)
  for (const n of [0, 1, 2]) await storePiece(torrent, n)
  mkdirSync(cache, { recursive: true })
  writeFileSync(join(cache, 'data'), CONTENT)
  await torrent.complete()
  t.equal(readFileSync(torrent.path, 'utf8'), '0123456789')
  await torrent.close()
})

t.test('a cached blob without metainfo gets a new one and is complete', async t => {
  const { store, cache } = setUp(t)
  mkdirSync(cache, { recursive: true })
  writeFileSync(join(cache, 'data'), CONTENT)
  t.equal(await store.open(DIGEST), undefined)
  const torrent = await store.create(META)
  t.ok(torrent.isComplete)
  await torrent.close()
})

t.test('a cached blob of the wrong size is fetched again', async t => {
  const { store, cache } = setUp(t)
  mkdirSync(cache, { recursive: true })
  writeFileSync(join(cache, 'data'), 'short')
  const torrent = await store.create(META)
  t.notOk(torrent.isComplete)
  await torrent.close()
})

t.test('a blob that a cleanup deleted is not served from memory', async t => {
  const { store, cache } = setUp(t)
  const torrent = await store.create(META)
  for (const n of [0, 1, 2]) await storePiece(torrent, n)
  await torrent.complete()
  rmSync(cache, { recursive: true })
  t.equal(await store.open(DIGEST), undefined)
  await torrent.close()
})

t.test('an empty blob has no pieces', async t => {
  const root = t.testdir({})
  const store = new DownloadStore({ downloadDir: join(root, 'd'), cacheDir: join(root, 'c') })
  const torrent = await store.create(metaInfoOf(Buffer.alloc(0), 4))
  await torrent.complete()
  t.equal(torrent.metaInfo.digest, EMPTY_DIGEST)
  t.equal(readFileSync(torrent.path).length, 0)
  await torrent.close()
})

t.test('a blob larger than the disk is refused before the first byte', async t => {
  const { store, download } = setUp(t)
  const huge = new MetaInfo(hexOf(DIGEST), 2 ** 50, 2 ** 30, new Uint32Array(2 ** 20))
  await t.rejects(store.create(huge), { code: 'STORAGE_FULL' })
  t.notOk(existsSync(download))
})

t.test('a crash at any moment of the move leaves a whole blob or a download', async t => {
  const { store, cache, download, reopened } = setUp(t)
  const torrent = await store.create(META)
  for (const n of [0, 1, 2]) await storePiece(torrent, n)
  const kept = join(dirname(download), 'kept')
  cpSync(download, kept, { recursive: true })
  await torrent.complete()
  await torrent.close()
  // Renamed, but the directory of the download not yet removed.
  cpSync(kept, download, { recursive: true })
  rmSync(dataIn(download))
  const found = must(await reopened().open(DIGEST))
  t.ok(found.isComplete)
  await found.close()
  // Sidecars copied, but not yet renamed.
  cpSync(kept, download, { recursive: true })
  rmSync(dataIn(cache))
  const resumed = must(await reopened().open(DIGEST as Digest))
  t.notOk(resumed.isComplete)
  t.ok(resumed.have.isFull)
  await resumed.complete()
  await resumed.close()
})
