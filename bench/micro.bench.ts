import { loadCrc32 } from '../wasm/crc32.js'
import { crc32Oracle } from '../wasm/crc32.oracle.js'
import { loadSha256 } from '../wasm/sha256.js'
import { decodeFrame } from '../net/wire/kraken/decode.js'
import { encodeMessage } from '../net/wire/kraken/encode.js'
import { Slab } from '../runtime/core/slab.js'
import { digestOf } from '../runtime/core/digest.js'
import { Ring } from '../runtime/ring/ring.js'
import { seededPrng } from '../runtime/core/prng.js'
import { compare } from './support/compare.js'
import { type Row } from './support/table.js'

/** The small things that every byte or every message goes through. */
export async function micro (isSmoke: boolean): Promise<Row[]> {
  const piece = new Uint8Array(new SharedArrayBuffer(isSmoke ? 4096 : 4 * 1024 * 1024))
  const prng = seededPrng(1)
  for (let i = 0; i < piece.length; i++) piece[i] = prng.below(256)
  return [
    ...await hashes(piece, isSmoke),
    ...await compare('one piece request, encoded and decoded', {
      baseline: ['JSON', () => {
        const { index, length } = JSON.parse(JSON.stringify({ type: 'pieceRequest', index: 5, length: 4194304 })) as { index: number, length: number }
        return index + length
      }],
      subjects: {
        'kraken dialect': () => {
          const frame = encodeMessage({ type: 'pieceRequest', index: 5, offset: 0, length: 4194304 })
          const decoded = decodeFrame(frame, 0, frame.length)
          return decoded.status === 'message' && decoded.message.type === 'pieceRequest' ? decoded.message.index + decoded.message.length : 0
        }
      }
    }, isSmoke),
    ...await slots(isSmoke),
    ...await owners(isSmoke)
  ]
}

async function hashes (piece: Uint8Array, isSmoke: boolean): Promise<Row[]> {
  const crc = { native: await loadCrc32('auto'), wasm: await loadCrc32('wasm') }
  const sha = { native: await loadSha256('native'), wasm: await loadSha256('wasm') }
  return [
    ...await compare('CRC-32 of a 4 MiB piece', {
      baseline: ['oracle', () => crc32Oracle(piece)],
      subjects: {
        [crc.native.engine]: () => crc.native.create().update(piece).digest(),
        wasm: () => crc.wasm.create().update(piece).digest()
      },
      bytes: piece.length
    }, isSmoke),
    ...await compare('SHA-256 of a 4 MiB piece', {
      baseline: ['native', () => Buffer.from(sha.native.create().update(piece).digest()).toString('hex')],
      subjects: { wasm: () => Buffer.from(sha.wasm.create().update(piece).digest()).toString('hex') },
      bytes: piece.length
    }, isSmoke)
  ]
}

async function slots (isSmoke: boolean): Promise<Row[]> {
  const slab = Slab.create(256, 1024)
  return await compare('a slot: leased, sealed, released', {
    baseline: ['allocating 1 KiB', () => new Uint8Array(1024).length],
    subjects: {
      slab: () => {
        const lease = slab.lease()
        if (lease === undefined) return 0
        const sealed = slab.seal(lease, 1024)
        slab.release(sealed)
        return sealed.bytes.length
      }
    }
  }, isSmoke)
}

async function owners (isSmoke: boolean): Promise<Row[]> {
  const members = Array.from({ length: 5 }, (_, i) => `origin${i + 1}:15002`)
  const ring = new Ring(members)
  const digests = Array.from({ length: 64 }, (_, i) => digestOf(String(i)))
  const fresh = (): string => digests.map(digest => new Ring(members).ownersOf(digest)[0]).join()
  return await compare('owners of 64 digests among 5 origins', {
    baseline: ['computed anew', fresh],
    subjects: { 'from the table': () => digests.map(digest => ring.ownersOf(digest)[0]).join() }
  }, isSmoke)
}
