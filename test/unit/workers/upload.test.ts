import { existsSync, readdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { mkdir, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { digestOf, EMPTY_DIGEST } from '../../../runtime/core/digest.js'
import { readMetaInfo } from '../../../runtime/store/sidecars.js'
import { crc32Oracle } from '../../../wasm/crc32.oracle.js'
import { must } from '../../support/must.js'
import { UploadBench } from '../../support/upload-bench.js'

const CONTENT = Buffer.from('the quick brown fox jumps over the lazy dog, again and again')
const DIGEST = digestOf(CONTENT)

for (const isDurable of [false, true]) {
  t.test(`an upload from start to cache, ${isDurable ? '' : 'not '}synced`, async t => {
    const bench = await UploadBench.create(t, { isDurable })
    const upload = await bench.start()
    t.equal(await bench.status(upload), 0)
    await bench.append(upload, CONTENT.subarray(0, 20), 0)
    t.equal(await bench.status(upload), 20)
    await bench.append(upload, CONTENT.subarray(20), 20)
    t.equal(bench.cached(DIGEST), undefined)
    t.equal(await bench.commit(upload, DIGEST), CONTENT.length)
    t.same(bench.cached(DIGEST), CONTENT)
    t.same(readdirSync(bench.dirOf(DIGEST)).sort(), ['_last_access_time', '_piece_sha256', '_torrentmeta', 'data'])
    const { metaInfo } = await readMetaInfo(bench.dirOf(DIGEST))
    t.equal(metaInfo?.lengths.pieceBytes, 4)
    t.same([...must(metaInfo).pieceSums], Array.from({ length: 15 }, (_, i) => crc32Oracle(CONTENT.subarray(4 * i, 4 * i + 4))))
    t.equal(metaInfo?.pieceDigests?.length, 15 * 32)
    t.same(bench.uploadsOnDisk, [])
    t.equal(await bench.status(upload), undefined)
    t.equal(bench.slab.leasedCount, 0)
    await bench.service.close()
  })
}

t.test('an empty upload', async t => {
  const bench = await UploadBench.create(t)
  t.equal(await bench.commit(await bench.start(0), EMPTY_DIGEST), 0)
  t.match(readFileSync(join(bench.dirOf(EMPTY_DIGEST), '_torrentmeta'), 'utf8'), '"PieceSums":null')
})

t.test('the piece length follows the size, whatever the hint said', async t => {
  const bench = await UploadBench.create(t)
  for (const [size, hint, pieceBytes] of [[99, 1000, 4], [100, 100, 32], [100, undefined, 32], [101, 5, 32]] as const) {
    const content = Buffer.alloc(size, `${size}${hint}`)
    const upload = await bench.start(hint)
    await bench.append(upload, content, 0)
    await bench.commit(upload, digestOf(content))
    t.equal((await readMetaInfo(bench.dirOf(digestOf(content)))).metaInfo?.lengths.pieceBytes, pieceBytes, `${size} bytes, hint ${hint}`)
  }
})

t.test('no table, no metainfo', async t => {
  const bench = await UploadBench.create(t, { pieceLengths: undefined })
  const upload = await bench.start()
  await bench.append(upload, CONTENT, 0)
  await bench.commit(upload, DIGEST)
  t.same(readdirSync(bench.dirOf(DIGEST)).sort(), ['_last_access_time', 'data'])
})

t.test('a wrong digest ends the upload and shows nothing', async t => {
  const bench = await UploadBench.create(t)
  const upload = await bench.start()
  await bench.append(upload, CONTENT, 0)
  const wrong = digestOf('something else')
  await t.rejects(bench.commit(upload, wrong), {
    code: 'DIGEST_MISMATCH', message: `verify digest: computed digest ${DIGEST} doesn't match expected value ${wrong}`
  })
  t.equal(bench.cached(wrong), undefined)
  t.same(bench.uploadsOnDisk, [])
  await t.rejects(bench.commit(upload, DIGEST), { code: 'UPLOAD_UNKNOWN' })
})

t.test('a blob that is there already', async t => {
  const bench = await UploadBench.create(t)
  const uploads = await Promise.all(Array.from({ length: 5 }, async () => await bench.start()))
  for (const upload of uploads) await bench.append(upload, CONTENT, 0)
  const results = await Promise.allSettled(uploads.map(async upload => await bench.commit(upload, DIGEST)))
  t.equal(results.filter(result => result.status === 'fulfilled').length, 1)
  for (const result of results) if (result.status === 'rejected') t.match(result.reason, { code: 'BLOB_EXISTS' })
  t.same(bench.cached(DIGEST), CONTENT)
  t.same(bench.uploadsOnDisk, [])
})

t.test('an upload survives the process, and its end reads it once more', async t => {
  const bench = await UploadBench.create(t)
  const upload = await bench.start()
  await bench.append(upload, CONTENT.subarray(0, 33), 0)
  const next = await bench.restarted()
  t.equal(await next.status(upload), 33)
  await next.append(upload, CONTENT.subarray(33), 33)
  t.equal(await next.commit(upload, DIGEST), CONTENT.length)
  t.same(next.cached(DIGEST), CONTENT)
  await bench.service.close()
})

t.test('a service that is closed midway leaves what it was given', async t => {
  const bench = await UploadBench.create(t)
  const upload = await bench.start()
  const appended = bench.append(upload, CONTENT, 0)
  await bench.service.close()
  await appended
  const next = await bench.restarted()
  t.equal(await next.commit(upload, DIGEST), CONTENT.length)
  t.equal(bench.slab.leasedCount, 0)
})

t.test('a broken chunk is cut away, and the upload goes on', async t => {
  const bench = await UploadBench.create(t)
  const upload = await bench.start()
  await bench.append(upload, CONTENT.subarray(0, 20), 0)
  await bench.append(upload, Buffer.from('garbage'), 20)
  await bench.truncate(upload, 20)
  await bench.truncate(upload, 100)
  t.equal(await bench.status(upload), 20)
  await bench.append(upload, CONTENT.subarray(20), 20)
  t.equal(await bench.commit(upload, DIGEST), CONTENT.length)
  await t.rejects(bench.truncate(upload, 0), { code: 'UPLOAD_UNKNOWN' })
})

t.test('calls for one upload that overlap take their turns', async t => {
  const bench = await UploadBench.create(t)
  const upload = await bench.start()
  const results = await Promise.allSettled([
    bench.append(upload, CONTENT, 0),
    bench.commit(upload, DIGEST),
    bench.append(upload, CONTENT, 0),
    bench.cancel(upload),
    bench.commit(upload, DIGEST)
  ])
  t.same(results.map(result => result.status), ['fulfilled', 'fulfilled', 'rejected', 'rejected', 'rejected'])
  t.same(bench.cached(DIGEST), CONTENT)
  t.equal(bench.slab.leasedCount, 0)
})

t.test('a cancelled upload is gone', async t => {
  const bench = await UploadBench.create(t)
  const upload = await bench.start()
  await bench.append(upload, CONTENT, 0)
  t.equal(await bench.cancel(upload), true)
  t.equal(await bench.cancel(upload), false)
  t.same(bench.uploadsOnDisk, [])
  await t.rejects(bench.append(upload, CONTENT, 0), { code: 'UPLOAD_UNKNOWN' })
  t.equal(bench.slab.leasedCount, 0)
})

t.test('ids that are no UUIDs name no upload', async t => {
  const bench = await UploadBench.create(t)
  await mkdir(join(bench.options.uploadDir, '..', 'outside'))
  writeFileSync(join(bench.options.uploadDir, '..', 'outside', 'data'), 'secret')
  for (const id of ['../outside', '..', '', '.', 'x'.repeat(5000), '00000000-0000-0000-0000-000000000000/../../outside', '__proto__']) {
    t.equal(await bench.status(id), undefined)
    t.equal(await bench.cancel(id), false)
    await t.rejects(bench.append(id, CONTENT, 0), { code: 'UPLOAD_UNKNOWN' })
    await t.rejects(bench.truncate(id, 0), { code: 'UPLOAD_UNKNOWN' })
    await t.rejects(bench.commit(id, DIGEST), { code: 'UPLOAD_UNKNOWN' })
  }
  t.equal(bench.slab.leasedCount, 0)
})

t.test('offsets that are no sizes', async t => {
  const bench = await UploadBench.create(t)
  const upload = await bench.start()
  for (const offset of [-100, 0.5, NaN, Infinity, 2 ** 53]) {
    await t.rejects(bench.append(upload, Buffer.from('x'), offset), { code: 'SIZE_INVALID' })
    await t.rejects(bench.truncate(upload, offset), { code: 'SIZE_INVALID' })
  }
  t.equal(bench.slab.leasedCount, 0)
})

t.test('a full disk fails the chunk with its own code, holds no slot and leaves nothing behind', async t => {
  const bench = await UploadBench.create(t)
  const upload = await bench.start()
  const path = join(bench.options.uploadDir, upload, 'data')
  rmSync(path)
  symlinkSync('/dev/full', path)
  await t.rejects(bench.append(upload, CONTENT, 0), { code: 'STORAGE_FULL', message: new RegExp(upload) })
  t.equal(bench.slab.leasedCount, 0)
  t.equal(await bench.status(upload), undefined, 'nobody can go on with it')
  t.same(bench.uploadsOnDisk, [])
})

t.test('uploads that nobody goes on with are swept, and nothing else', async t => {
  const time = { ms: Date.now() }
  const clock = { now: () => { throw new Error('unused') }, wall: () => time.ms }
  const bench = await UploadBench.create(t, { uploadTtlMs: 1000 }, clock)
  const [idle, alive] = [await bench.start(), await bench.start()]
  const age = (name: string): void => utimesSync(name, new Date(time.ms - 1001), new Date(time.ms - 1001))
  await bench.append(idle, CONTENT, 0)
  age(join(bench.options.uploadDir, idle, 'data'))
  for (const name of ['.doomed-1', 'precious']) await mkdir(join(bench.options.uploadDir, name))
  age(join(bench.options.uploadDir, 'precious'))
  const kraken = `${'a'.repeat(64)}.${idle}`
  await mkdir(join(bench.options.uploadDir, kraken))
  age(join(bench.options.uploadDir, kraken))
  await bench.service.sweep()
  t.same(bench.uploadsOnDisk.sort(), [alive, 'precious'].sort())
  t.equal(await bench.status(idle), undefined)
  t.equal(await bench.status(alive), 0)
})

t.test('a deletion in the middle of a commit does not break it', async t => {
  const bench = await UploadBench.create(t)
  for (let round = 0; round < 20; round++) {
    const upload = await bench.start()
    await bench.append(upload, CONTENT, 0)
    const committed = bench.commit(upload, DIGEST)
    rmSync(bench.dirOf(DIGEST), { recursive: true, force: true })
    await committed
    t.ok(existsSync(join(bench.dirOf(DIGEST), '_torrentmeta')))
    rmSync(bench.dirOf(DIGEST), { recursive: true })
  }
})

t.test('many uploads at once keep few descriptors', async t => {
  const bench = await UploadBench.create(t, { pieceLengths: undefined })
  const uploads = await Promise.all(Array.from({ length: 300 }, async () => await bench.start()))
  for (const [i, upload] of uploads.entries()) await bench.append(upload, Buffer.from(`blob ${i}`), 0)
  const descriptors = readdirSync('/proc/self/fd').length
  t.ok(descriptors < 300, `${descriptors} descriptors`)
  for (const [i, upload] of uploads.entries()) await bench.commit(upload, digestOf(`blob ${i}`))
  t.same(bench.uploadsOnDisk, [])
})

t.test('what does not fit is refused before it begins', async t => {
  const { bavail, bsize } = await statfs(t.testdir({}))
  const half = Math.floor(bavail * bsize / 2)
  const bench = await UploadBench.create(t, { reserveBytes: Math.floor(half / 2) })
  await t.rejects(bench.start(2 * half), { code: 'STORAGE_FULL', message: /does not fit/ })
  const upload = await bench.start(half)
  await t.rejects(bench.start(half), { code: 'STORAGE_FULL' }, 'the first one is expected to need its room')
  await bench.cancel(upload)
  await t.resolves(bench.start(half))
})
