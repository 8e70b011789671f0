import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import t from 'tap'
import { digestOf, hexOf, parseDigestHex } from '../../runtime/core/digest.js'
import { Lengths } from '../../runtime/core/lengths.js'
import { MetaInfo } from '../../runtime/core/metainfo.js'
import { must } from '../support/must.js'
import { pattern } from '../support/pattern.js'
import { METAINFO_TEXTS, METAINFO_VECTORS } from './vectors/metainfo.js'

/** `hex` is null for blobs that are the test pattern. */
interface RecordedBlob { readonly digest: string, readonly length: number, readonly hex: string | null }
interface Recording {
  readonly blobs: Readonly<Record<string, RecordedBlob>>
  readonly steps: ReadonlyArray<{ readonly id: string, readonly path: string, readonly response: { readonly body?: string | null } }>
}

function sumsOf (blob: Uint8Array, pieceBytes: number): number[] {
  const lengths = new Lengths(blob.length, pieceBytes)
  return [...lengths.indices()].map(i => crc32(blob.subarray(lengths.offsetOf(i), lengths.offsetOf(i) + lengths.sizeOf(i))))
}

t.test('the check value of the piece sum', async t => {
  t.equal(crc32('123456789'), 0xcbf43926)
})

for (const { id, blob, lengthBytes, pieceBytes, name, sums, infoHash } of METAINFO_VECTORS) {
  t.test(`metainfo ${id}`, async t => {
    const metaInfo = new MetaInfo(parseDigestHex(name), lengthBytes, pieceBytes, Uint32Array.from(sums))
    t.equal(metaInfo.infoHash, infoHash)
    t.equal(MetaInfo.parse(metaInfo.serialize()).infoHash, infoHash)
    if (blob === undefined) return
    const bytes = blob()
    t.equal(bytes.length, lengthBytes)
    t.equal(hexOf(digestOf(bytes)), name)
    t.same(sumsOf(bytes, pieceBytes), sums)
  })
}

for (const { id, bencode, json } of METAINFO_TEXTS) {
  t.test(`texts of metainfo ${id}`, async t => {
    const metaInfo = MetaInfo.parse(json)
    t.equal(metaInfo.serialize(), json)
    t.equal(metaInfo.infoHash, createHash('sha1').update(bencode).digest('hex'))
    t.equal(metaInfo.infoHash, METAINFO_VECTORS.find(vector => vector.id === id)?.infoHash)
  })
}

t.test('metainfo as a tracker and an origin of the reference served it', async t => {
  const recording: Recording = JSON.parse(readFileSync(new URL('./vectors/http.json', import.meta.url), 'utf8'))
  const blobs = new Map(Object.values(recording.blobs).map(blob => [blob.digest, blob]))
  const bodies = recording.steps.flatMap(({ response: { body } }) => body?.startsWith('{"Info":') === true ? [body] : [])
  t.ok(bodies.length >= 6, `${bodies.length} bodies`)
  for (const body of bodies) {
    const metaInfo = MetaInfo.parse(body)
    t.equal(metaInfo.serialize(), body.trimEnd())
    const { length, hex } = must(blobs.get(metaInfo.digest), metaInfo.digest)
    const blob = hex === null ? pattern(length) : Buffer.from(hex, 'hex')
    t.equal(digestOf(blob), metaInfo.digest)
    t.same([...metaInfo.pieceSums], sumsOf(blob, metaInfo.lengths.pieceBytes))
  }
})
