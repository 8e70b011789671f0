import { createCipheriv, createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { type Digest, digestOf } from '../../runtime/core/digest.js'

export interface RandomBlob {
  readonly digest: Digest
  readonly bytes: Buffer
  open (): Readable
}

const CHUNK_BYTES = 1024 * 1024

/** A blob of exactly this size, in memory, whose content follows from the seed alone. */
export function randomBlob (sizeBytes: number, seed: string): RandomBlob {
  const key = createHash('md5').update(seed).digest()
  const bytes = createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes))
  return { digest: digestOf(bytes), bytes, open: () => Readable.from(chunksOf(bytes), { objectMode: false }) }
}

function * chunksOf (bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES)
}
