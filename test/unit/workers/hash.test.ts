import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import fc from '../../support/fc.js'
import { digestOf, EMPTY_DIGEST } from '../../../runtime/core/digest.js'
import { Slab } from '../../../runtime/core/slab.js'
import { crc32Oracle } from '../../../wasm/crc32.oracle.js'
import { createJobs } from '../../../workers/hash.js'
import { createHashPool } from '../../../workers/pool.js'
import { loadKernels, RunningSums } from '../../../workers/sums.js'
import { must } from '../../support/must.js'

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest()

t.test('running sums equal those of each piece and of the whole, however the bytes come', async () => {
  const kernels = { auto: await loadKernels('auto'), wasm: await loadKernels('wasm') }
  fc.assert(fc.property(
    fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 10 }), fc.integer({ min: 1, max: 50 }), fc.constantFrom('auto', 'wasm'),
    (parts, pieceBytes, engine) => {
      const all = Buffer.concat(parts)
      const pieces = Array.from({ length: Math.ceil(all.length / pieceBytes) }, (_, i) => all.subarray(i * pieceBytes, (i + 1) * pieceBytes))
      const running = new RunningSums(kernels[engine], pieceBytes)
      for (const part of parts) running.update(part)
      const sums = running.finish()
      return sums.sizeBytes === all.length && sums.digest === digestOf(all) &&
        sums.crcs.join() === pieces.map(piece => crc32Oracle(piece)).join() &&
        Buffer.concat(pieces.map(sha256)).equals(Buffer.from(sums.sha256s))
    }))
})

t.test('the whole alone', async t => {
  const running = new RunningSums(await loadKernels('auto'), undefined)
  running.update(Buffer.from('hello'))
  const sums = running.finish()
  t.equal(sums.digest, digestOf('hello'))
  t.equal(sums.crcs.length + sums.sha256s.length, 0)
})

t.test('a piece is verified where it lies', async t => {
  const slab = Slab.create(3, 64)
  const jobs = await createJobs({ slab: slab.memory, hashEngine: 'auto' })
  const leases = must(slab.leaseMany(2))
  const piece = Buffer.alloc(100, 5)
  for (const [i, lease] of leases.entries()) lease.bytes.set(piece.subarray(i * 64, (i + 1) * 64))
  const slots = leases.map(lease => lease.slot)
  const crc = crc32Oracle(piece)
  t.same(jobs.verifyPiece({ slots, lengthBytes: 100, crc, sha256: undefined }), { isGood: true })
  t.same(jobs.verifyPiece({ slots, lengthBytes: 100, crc: crc + 1, sha256: undefined }), { isGood: false })
  t.same(jobs.verifyPiece({ slots, lengthBytes: 99, crc, sha256: undefined }), { isGood: false })
  t.same(jobs.verifyPiece({ slots, lengthBytes: 100, crc, sha256: new Uint8Array(sha256(piece)) }), { isGood: true })
  t.same(jobs.verifyPiece({ slots, lengthBytes: 100, crc, sha256: new Uint8Array(32) }), { isGood: false }, 'SHA-256 outranks CRC-32')
  t.throws(() => jobs.verifyPiece({ slots, lengthBytes: 129, crc, sha256: undefined }), { code: 'INTERNAL' })
  for (const lease of leases) slab.release(lease)
})

t.test('files are summed and searched for bad pieces', async t => {
  const path = join(t.testdir({}), 'data')
  const content = Buffer.alloc(2_500_000)
  for (let i = 0; i < content.length; i++) content[i] = i ^ (i >> 8) ^ (i >> 16)
  writeFileSync(path, content)
  const jobs = await createJobs({ slab: undefined, hashEngine: 'auto' })
  const pieceBytes = 1 << 20
  const sums = jobs.sumFile({ path, pieceBytes })
  t.equal(sums.digest, digestOf(content))
  t.equal(sums.crcs.length, 3)
  t.same(jobs.verifyFile({ path, pieceBytes, ...sums }), { isGood: true, badPieces: [] })
  t.same(jobs.verifyFile({ path, pieceBytes, ...sums, sha256s: undefined }), { isGood: true, badPieces: [] })
  content[2_400_000] = 1 + must(content[2_400_000])
  content[0] = 1 + must(content[0])
  writeFileSync(path, content)
  t.same(jobs.verifyFile({ path, pieceBytes, ...sums }), { isGood: false, badPieces: [0, 2] })
  t.same(jobs.verifyFile({ path, pieceBytes, ...sums, sha256s: undefined }), { isGood: false, badPieces: [0, 2] })
  writeFileSync(path, content.subarray(0, 10))
  t.same(jobs.verifyFile({ path, pieceBytes, ...sums }), { isGood: false, badPieces: [0, 1, 2] })
  writeFileSync(path, '')
  t.match(jobs.sumFile({ path, pieceBytes }), { digest: EMPTY_DIGEST, sizeBytes: 0 })
  t.throws(() => jobs.sumFile({ path: path + 'x', pieceBytes }), { code: 'STORAGE' })
})

t.test('the pool runs jobs on its threads, errors and all', async t => {
  const slab = Slab.create(4, 1024)
  const pool = createHashPool({ threads: 2, slab: slab.memory })
  const lease = must(slab.lease())
  lease.bytes.fill(3)
  const input = { slots: [lease.slot], lengthBytes: 1024, crc: crc32Oracle(lease.bytes), sha256: new Uint8Array(sha256(lease.bytes)) }
  const results = await Promise.all(Array.from({ length: 50 }, async () => await pool.run('verifyPiece', input)))
  t.ok(results.every(result => result.isGood))
  await t.rejects(pool.run('sumFile', { path: '/nonexistent', pieceBytes: 1 }), { name: 'AppError', code: 'STORAGE' })
  await t.rejects(pool.run('verifyPiece', { ...input, slots: [] }), { code: 'INTERNAL' })
  t.same(await pool.run('verifyPiece', input), { isGood: true }, 'a failed job leaves its thread alive')
  slab.release(lease)
  await pool.close()
  await pool.close()
  await t.rejects(pool.run('verifyPiece', input), { code: 'CANCELLED' })
})

t.test('an abort withdraws a job that waits; one that runs goes on', async t => {
  const slab = Slab.create(1, 1024)
  const pool = createHashPool({ threads: 1, slab: slab.memory })
  const lease = must(slab.lease())
  const input = { slots: [lease.slot], lengthBytes: 1024, crc: 0, sha256: undefined }
  const abort = new AbortController()
  const running = pool.run('verifyPiece', input, { signal: abort.signal })
  const waiting = pool.run('verifyPiece', input, { signal: abort.signal })
  abort.abort()
  await t.rejects(waiting, { code: 'CANCELLED' })
  t.same(await running, { isGood: false })
  await pool.close()
})
