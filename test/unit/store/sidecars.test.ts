import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import fc from '../../support/fc.js'
import { digestOf, hexOf } from '../../../runtime/core/digest.js'
import { MetaInfo } from '../../../runtime/core/metainfo.js'
import {
  decodeAccessTime, decodePersist, decodeStartedAt, decodeStatus, encodeAccessTime, encodePersist, encodeStartedAt, encodeStatus, readMetaInfo,
  readSidecar, writeMetaInfo, writeSidecar
} from '../../../runtime/store/sidecars.js'
import { must } from '../../support/must.js'

t.test('access times are zig-zag varints of 8 bytes', async t => {
  t.equal(Buffer.from(encodeAccessTime(1700000000)).toString('hex'), '80c49fd50c000000')
  t.equal(Buffer.from(encodeAccessTime(1786665600)).toString('hex'), '80eaf2a70d000000')
  t.equal(decodeAccessTime(Buffer.from('80c49fd50c000000', 'hex')), 1700000000)
  t.equal(decodeAccessTime(encodeAccessTime(2 ** 52)), undefined, 'more than a number holds')
  for (const damaged of ['', '80', 'ffffffffffffffff']) t.equal(decodeAccessTime(Buffer.from(damaged, 'hex')), undefined, damaged)
})

t.test('every access time comes back, and no bytes bring the reader down', async () => {
  fc.assert(fc.property(fc.integer({ min: -(2 ** 52), max: 2 ** 52 - 1 }), seconds => decodeAccessTime(encodeAccessTime(seconds)) === seconds))
  fc.assert(fc.property(fc.uint8Array({ maxLength: 20 }), bytes => { decodeAccessTime(bytes) }))
})

t.test('persist marks in all spellings of Go', async t => {
  for (const text of ['1', 't', 'T', 'TRUE', 'true', 'True']) t.equal(decodePersist(Buffer.from(text)), true, text)
  for (const text of ['0', 'f', 'F', 'FALSE', 'false', 'False']) t.equal(decodePersist(Buffer.from(text)), false, text)
  for (const text of ['', 'yes', 'tRUE', 'true\n']) t.equal(decodePersist(Buffer.from(text)), undefined, text)
  t.equal(encodePersist(true), 'true')
})

t.test('piece states: any byte but 1 is missing', async t => {
  const have = decodeStatus(Buffer.from([0, 1, 2, 255]), 4)
  t.same(have === undefined ? [] : [...have], [1])
  t.same(encodeStatus(must(decodeStatus(Buffer.from([0, 1, 0]), 3))), Buffer.from([0, 1, 0]))
  t.equal(decodeStatus(Buffer.from([0, 1]), 3), undefined)
  t.equal(decodeStatus(Buffer.alloc(0), 0)?.isFull, true)
})

t.test('start times', async t => {
  t.equal(decodeStartedAt(Buffer.from('2026-08-14T00:00:00Z')), 1786665600000)
  t.equal(decodeStartedAt(Buffer.from(encodeStartedAt(1700000000123))), 1700000000123)
  for (const text of ['', 'yesterday', '1', '2026-99-99T00:00:00Z']) t.equal(decodeStartedAt(Buffer.from(text)), undefined, text)
})

t.test('a metainfo is stored in the exact text of Kraken, its digests beside it', async t => {
  const dir = t.testdir({})
  const hex = hexOf(digestOf('hello'))
  const digests = new Uint8Array(Buffer.from(hex, 'hex'))
  await writeMetaInfo(dir, new MetaInfo(hex, 5, 4194304, Uint32Array.of(907060870), digests))
  t.equal(readFileSync(join(dir, '_torrentmeta'), 'utf8'),
    '{"Info":{"PieceLength":4194304,"PieceSums":[907060870],"Name":"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","Length":5}}')
  t.same(readFileSync(join(dir, '_piece_sha256')), Buffer.from(digests))
  const { metaInfo, damage } = await readMetaInfo(dir)
  t.equal(damage, undefined)
  t.same(metaInfo?.pieceDigests, digests)
  t.same(readdirSync(dir).sort(), ['_piece_sha256', '_torrentmeta'], 'nothing unfinished is left')

  truncateSync(join(dir, '_piece_sha256'), 31)
  const torn = await readMetaInfo(dir)
  t.equal(torn.metaInfo?.pieceDigests, undefined)
  t.ok(torn.metaInfo)
  t.ok(torn.damage)

  truncateSync(join(dir, '_torrentmeta'), 20)
  t.match(await readMetaInfo(dir), { metaInfo: undefined, damage: String })
})

t.test('no metainfo is no damage', async t => {
  t.same(await readMetaInfo(t.testdir({})), { metaInfo: undefined, damage: undefined })
  t.same(await readMetaInfo('/nonexistent/entry'), { metaInfo: undefined, damage: undefined })
})

t.test('writing replaces, in a directory that must exist', async t => {
  const dir = t.testdir({})
  writeFileSync(join(dir, '_persist'), 'a longer text')
  await writeSidecar(dir, '_persist', 'true', true)
  t.equal((await readSidecar(dir, '_persist'))?.toString(), 'true')
  await t.rejects(writeSidecar(join(dir, 'gone'), '_persist', 'true'), { code: 'STORAGE' })
})
