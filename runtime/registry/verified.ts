import { createHash } from 'node:crypto'
import { type Digest, digestFromSum } from '../core/digest.js'
import { AppError } from '../core/errors.js'

/**
 * Passes on the chunks of a whole blob of `sizeBytes` bytes. The last chunk is held back until its source has ended and the
 * sum of all is known to be right, so nobody ever receives all of a wrong blob.
 * @throws AppError CORRUPT if the bytes are not those of `digest`, or not as many
 */
export async function * verified (chunks: AsyncIterable<Uint8Array>, digest: Digest, sizeBytes: number): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  let received = 0
  let last: Uint8Array | undefined
  for await (const chunk of chunks) {
    received += chunk.length
    if (received > sizeBytes) throw wrongSize(digest, sizeBytes, 'more')
    hash.update(chunk)
    if (received < sizeBytes) yield chunk
    // The view ends when the source is asked whether it has ended.
    else if (chunk.length > 0) last = chunk.slice()
  }
  if (received < sizeBytes) throw wrongSize(digest, sizeBytes, `only ${received}`)
  if (digestFromSum(hash.digest()) !== digest.toLowerCase()) throw new AppError('CORRUPT', `what arrived as blob ${digest} has another digest`)
  if (last !== undefined) yield last
}

/** All bytes of a small blob. @throws AppError CORRUPT if there are not exactly `sizeBytes` */
export async function collect (chunks: AsyncIterable<Uint8Array>, digest: Digest, sizeBytes: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(sizeBytes)
  let received = 0
  for await (const chunk of chunks) {
    if (received + chunk.length > sizeBytes) throw wrongSize(digest, sizeBytes, 'more')
    bytes.set(chunk, received)
    received += chunk.length
  }
  if (received < sizeBytes) throw wrongSize(digest, sizeBytes, `only ${received}`)
  return bytes
}

function wrongSize (digest: Digest, sizeBytes: number, found: string): AppError {
  return new AppError('CORRUPT', `what arrived as blob ${digest} has ${found} bytes instead of ${sizeBytes}`)
}
