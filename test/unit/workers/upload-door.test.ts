import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { digestOf, hexOf, sha512Of } from '../../../runtime/core/digest.js'
import { blobDir, dataIn } from '../../../runtime/store/paths.js'
import { startService } from '../../../workers/pool.js'
import { UPLOAD_SLOT_BYTES, Uploads, type UploadsOptions } from '../../../workers/upload-door.js'

async function setUp (t: Test, options: Partial<UploadsOptions> = {}): Promise<{ uploads: Uploads, root: string, restart: () => Promise<Uploads> }> {
  const root = t.testdir({})
  const all: UploadsOptions = {
    uploadDir: join(root, 'upload'),
    cacheDir: join(root, 'cache'),
    slotCount: 4,
    pieceLengths: [{ minBlobBytes: 0, pieceBytes: 1 << 20 }],
    uploadTtlMs: Infinity,
    isDurable: false,
    isPoisoned: true,
    ...options
  }
  const restart = async (): Promise<Uploads> => {
    const uploads = await Uploads.start(all)
    t.teardown(async () => await uploads.close())
    return uploads
  }
  return { uploads: await restart(), root, restart }
}

function pattern (sizeBytes: number, seed = 0): Buffer {
  const bytes = Buffer.alloc(sizeBytes)
  for (let i = 0; i < sizeBytes; i++) bytes[i] = (i + seed) ^ (i >> 8) ^ (i >> 16)
  return bytes
}

/** Sends `content` in chunks that are overwritten once they were lent. */
async function send (uploads: Uploads, upload: string, content: Buffer, chunkBytes: number): Promise<number> {
  const writer = uploads.writer(upload, 0)
  for (let at = 0; at < content.length; at += chunkBytes) {
    const chunk = Buffer.from(content.subarray(at, at + chunkBytes))
    const taken = writer.write(chunk)
    chunk.fill(0xee)
    await taken
  }
  return (await writer.end()).sizeBytes
}

t.test('an upload through the door', async t => {
  const { uploads, root } = await setUp(t)
  const content = pattern(3_000_001)
  for (const chunkBytes of [1_000_000, 65_536, 262_144, 3_000_001, 777]) {
    const upload = await uploads.start()
    t.equal(await send(uploads, upload, content, chunkBytes), content.length)
    t.same(await uploads.status(upload), { sizeBytes: content.length })
    if (chunkBytes === 1_000_000) t.same(await uploads.commit(upload, digestOf(content)), { sizeBytes: content.length })
    else await t.rejects(uploads.commit(upload, digestOf(content)), { code: 'BLOB_EXISTS' }, `the content is right in chunks of ${chunkBytes}`)
  }
  t.ok(readFileSync(dataIn(blobDir(join(root, 'cache'), hexOf(digestOf(content))))).equals(content))
  t.equal(uploads.leasedSlots, 0)
})

t.test('both sums of an upload, midway, at its end and after a restart', async t => {
  const { uploads, restart } = await setUp(t)
  const content = pattern(2_500_000)
  const upload = await uploads.start()
  t.same(await uploads.digests(upload), { sha256: digestOf(''), sha512: sha512Of('') })
  await send(uploads, upload, content, 300_000)
  const sums = { sha256: digestOf(content), sha512: sha512Of(content) }
  t.same(await uploads.digests(upload), sums)
  await uploads.close()
  const again = await restart()
  t.same(await again.digests(upload), sums)
  await again.commit(upload, sums.sha256)
  await t.rejects(again.digests(upload), { code: 'UPLOAD_UNKNOWN' })
})

t.test('many writers on few slots all finish', async t => {
  const { uploads } = await setUp(t, { slotCount: 2 })
  await Promise.all(Array.from({ length: 12 }, async (_, i) => {
    const content = pattern(600_000 + i, i)
    const upload = await uploads.start(content.length)
    await send(uploads, upload, content, 100_000)
    t.same(await uploads.commit(upload, digestOf(content)), { sizeBytes: content.length })
  }))
  t.equal(uploads.leasedSlots, 0)
})

t.test('writers that fall silent do not keep the slots', async t => {
  const { uploads } = await setUp(t, { slotCount: 2 })
  const silent = await Promise.all([1, 2].map(async n => {
    const writer = uploads.writer(await uploads.start(), 0)
    await writer.write(pattern(10, n))
    return writer
  }))
  t.equal(uploads.leasedSlots, 2)
  const content = pattern(2_000_000)
  const upload = await uploads.start()
  await send(uploads, upload, content, 300_000)
  await uploads.commit(upload, digestOf(content))
  for (const writer of silent) {
    await writer.write(pattern(5))
    t.same(await writer.end(), { sizeBytes: 15 })
  }
  t.equal(uploads.leasedSlots, 0)
})

t.test('a writer that is given up leaves no slot behind', async t => {
  const { uploads } = await setUp(t)
  const upload = await uploads.start()
  const writer = uploads.writer(upload, 0)
  await writer.write(pattern(UPLOAD_SLOT_BYTES + 10))
  await writer.abort()
  await writer.abort()
  t.equal(uploads.leasedSlots, 0)
  t.throws(() => writer.write(pattern(1)), { code: 'CANCELLED' })
  await t.rejects(writer.end(), { code: 'CANCELLED' })
  t.same(await uploads.truncate(upload, 3), { sizeBytes: 3 })
  t.equal(await uploads.cancel(upload), true)
  t.equal(await uploads.cancel(upload), false)
})

t.test('a writer that waits for a slot can be given up', async t => {
  const { uploads } = await setUp(t, { slotCount: 1 })
  const [first, second] = [uploads.writer(await uploads.start(), 0), uploads.writer(await uploads.start(), 0)]
  await first.write(pattern(1))
  const waiting = second.write(pattern(UPLOAD_SLOT_BYTES * 3))
  await second.abort()
  await t.rejects(Promise.resolve(waiting), { code: 'CANCELLED' })
  await first.end()
  t.equal(uploads.leasedSlots, 0)
})

t.test('writing to no upload fails, at the end at the latest', async t => {
  const { uploads } = await setUp(t)
  for (const id of ['../../etc', '00000000-0000-0000-0000-000000000000']) {
    const empty = uploads.writer(id, 0)
    await t.rejects(empty.end(), { code: 'UPLOAD_UNKNOWN' })
    const writer = uploads.writer(id, 0)
    await writer.write(pattern(10))
    await t.rejects(writer.end(), { code: 'UPLOAD_UNKNOWN' })
    await writer.abort()
    t.equal(await uploads.status(id), undefined)
  }
  t.equal(uploads.leasedSlots, 0)
})

t.test('small content is put, again and again, and never under a wrong name', async t => {
  const { uploads, root } = await setUp(t)
  const content = Buffer.from('{"manifest":true}')
  await Promise.all([1, 2, 3].map(async () => await uploads.put(content, digestOf(content))))
  t.ok(existsSync(dataIn(blobDir(join(root, 'cache'), hexOf(digestOf(content))))))
  await t.rejects(uploads.put(content, digestOf('other')), { code: 'DIGEST_MISMATCH' })
  await uploads.put(Buffer.alloc(0), digestOf(''))
})

t.test('an upload goes on after the service was restarted', async t => {
  const { uploads, restart } = await setUp(t, { isDurable: true })
  const content = pattern(900_000)
  const upload = await uploads.start()
  const writer = uploads.writer(upload, 0)
  await writer.write(content.subarray(0, 400_000))
  await writer.end()
  const broken = uploads.writer(upload, 400_000)
  await broken.write(content.subarray(400_000, 500_000))
  await uploads.close()
  await uploads.close()
  t.equal(uploads.leasedSlots, 0)
  await t.rejects(uploads.status(upload), { code: 'UNAVAILABLE' })
  const next = await restart()
  t.same(await next.status(upload), { sizeBytes: 400_000 }, 'what was acknowledged, and not what was still in a slot')
  const rest = next.writer(upload, 400_000)
  await rest.write(content.subarray(400_000))
  await rest.end()
  t.same(await next.commit(upload, digestOf(content)), { sizeBytes: content.length })
})

t.test('a service that cannot start says why', async t => {
  const root = t.testdir({ file: '' })
  await t.rejects(Uploads.start({
    uploadDir: join(root, 'file', 'upload'), cacheDir: join(root, 'cache'), slotCount: 1, pieceLengths: undefined, uploadTtlMs: 1, isDurable: false
  }), { name: 'AppError', code: 'STORAGE' })
  await t.rejects(startService('upload', undefined), { code: 'INTERNAL' })
})
