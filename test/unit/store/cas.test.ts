import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { type Clock, type Millis } from '../../../runtime/core/clock.js'
import { type Digest, digestOf, EMPTY_DIGEST, hexOf } from '../../../runtime/core/digest.js'
import { MetaInfo } from '../../../runtime/core/metainfo.js'
import { type Logger, noLog } from '../../../runtime/observe/log.js'
import { CasStore } from '../../../runtime/store/cas.js'
import { blobDir, dataIn } from '../../../runtime/store/paths.js'

const HELLO = digestOf('hello')

function setUp (t: Test): { store: CasStore, dir: string, clock: { ms: number }, warnings: string[], place: (content: string) => Digest } {
  const dir = t.testdir({})
  const time = { ms: 1_700_000_000_000 }
  const clock: Clock = { now: () => time.ms as Millis, wall: () => time.ms }
  const warnings: string[] = []
  const log: Logger = { ...noLog, warn: (_, event) => warnings.push(event) }
  const place = (content: string): Digest => {
    const path = dataIn(blobDir(dir, hexOf(digestOf(content))))
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, content)
    return digestOf(content)
  }
  return { store: new CasStore({ cacheDir: dir, clock, log }), dir, clock: time, warnings, place }
}

t.test('what is not there', async t => {
  const { store } = setUp(t)
  t.equal(await store.stat(HELLO), undefined)
  t.equal(await store.open(HELLO), undefined)
  t.equal(await store.has(HELLO), false)
  t.equal(await store.delete(HELLO), false)
  t.equal(await store.metaInfo(HELLO), undefined)
  t.same(await store.list(), [])
  await t.rejects(store.setMetaInfo(new MetaInfo(hexOf(HELLO), 5, 4, Uint32Array.of(1, 2))), { code: 'BLOB_UNKNOWN' })
  await t.rejects(store.setPersisted(HELLO, true), { code: 'BLOB_UNKNOWN' })
})

t.test('a blob, an empty one too', async t => {
  const { store, place } = setUp(t)
  place('hello')
  place('')
  t.match(await store.stat(HELLO), { sizeBytes: 5, modifiedMs: Number })
  t.equal(readFileSync((await store.open(HELLO))?.path ?? '', 'utf8'), 'hello')
  t.match(await store.open(EMPTY_DIGEST), { sizeBytes: 0 })
  t.same(await store.list(), [HELLO, EMPTY_DIGEST])
  t.equal(await store.delete(EMPTY_DIGEST), true)
  t.same(await store.list(), [HELLO])
})

t.test('access times are written at most every 5 minutes, and only by an open', async t => {
  const { store, clock, place } = setUp(t)
  place('hello')
  await store.stat(HELLO)
  t.equal(await store.lastAccessMs(HELLO), undefined)
  const start = clock.ms
  await store.open(HELLO)
  t.equal(await store.lastAccessMs(HELLO), start)
  clock.ms += 5 * 60_000 - 1
  await store.open(HELLO)
  t.equal(await store.lastAccessMs(HELLO), start)
  clock.ms += 1
  await store.open(HELLO)
  t.equal(await store.lastAccessMs(HELLO), start + 5 * 60_000)
})

t.test('a persisted blob is not deleted, nor one whose mark is unreadable', async t => {
  const { store, dir, place } = setUp(t)
  place('hello')
  await store.setPersisted(HELLO, true)
  await t.rejects(store.delete(HELLO), { code: 'DENIED' })
  writeFileSync(join(blobDir(dir, hexOf(HELLO)), '_persist'), '')
  await t.rejects(store.delete(HELLO), { code: 'DENIED' })
  await store.setPersisted(HELLO, false)
  t.equal(await store.delete(HELLO), true)
  t.notOk(existsSync(blobDir(dir, hexOf(HELLO))))
})

t.test('metainfo comes back with its digests; without them older ones go', async t => {
  const { store, place } = setUp(t)
  place('hello')
  const sums = Uint32Array.of(1, 2)
  const digests = new Uint8Array(64).fill(3)
  await store.setMetaInfo(new MetaInfo(hexOf(HELLO), 5, 4, sums, digests))
  t.same(Buffer.from((await store.metaInfo(HELLO))?.pieceDigests ?? []), Buffer.from(digests))
  await store.setMetaInfo(new MetaInfo(hexOf(HELLO), 5, 5, Uint32Array.of(1)))
  t.equal((await store.metaInfo(HELLO))?.pieceDigests, undefined)
})

t.test('a damaged metainfo counts as none and is reported', async t => {
  const { store, dir, place, warnings } = setUp(t)
  place('hello')
  const path = join(blobDir(dir, hexOf(HELLO)), '_torrentmeta')
  await store.setMetaInfo(new MetaInfo(hexOf(HELLO), 5, 4, Uint32Array.of(1, 2)))
  truncateSync(path, 30)
  t.equal(await store.metaInfo(HELLO), undefined)
  writeFileSync(path, '')
  t.equal(await store.metaInfo(HELLO), undefined)
  writeFileSync(path, new MetaInfo(hexOf(HELLO), 6, 4, Uint32Array.of(1, 2)).serialize())
  t.equal(await store.metaInfo(HELLO), undefined, 'of another size')
  writeFileSync(path, new MetaInfo(hexOf(EMPTY_DIGEST), 5, 4, Uint32Array.of(1, 2)).serialize())
  t.equal(await store.metaInfo(HELLO), undefined, 'of another blob')
  t.same(warnings, Array(4).fill('metainfo damaged'))
})

t.test('listing passes over what is no blob and clears away what is half deleted', async t => {
  const { store, dir, place } = setUp(t)
  place('hello')
  mkdirSync(join(dir, 'aa', 'bb', 'a'.repeat(64)), { recursive: true })
  mkdirSync(join(dir, 'aa', 'bb', '.doomed-1'), { recursive: true })
  writeFileSync(join(dir, 'aa', 'file'), '')
  writeFileSync(join(dir, 'file'), '')
  t.same(await store.list(), [HELLO])
  t.same(readdirSync(join(dir, 'aa', 'bb')), ['a'.repeat(64)])
})
