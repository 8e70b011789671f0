import { open } from 'node:fs/promises'
import { AppError, messageOf } from '../../runtime/core/errors.js'
import { type BlobContent } from './clients.js'

const CHUNK_BYTES = 256 * 1024

/** What is in memory, to be sent. */
export function bytesContent (bytes: Uint8Array): BlobContent {
  return { sizeBytes: bytes.length, read: async function * (offset, lengthBytes) { yield bytes.subarray(offset, offset + lengthBytes) } }
}

/**
 * A file, to be sent as it is now; it must not change until it was. Read in pieces, so that its size is no matter.
 * @throws AppError STORAGE if it cannot be read, now or later
 */
export async function fileContent (path: string): Promise<BlobContent> {
  const file = await open(path).catch((cause: unknown) => { throw unreadable(path, cause) })
  const { size: sizeBytes } = await file.stat().finally(async () => { await file.close() })
  return { sizeBytes, read: (offset, lengthBytes) => readFile(path, offset, lengthBytes) }
}

async function * readFile (path: string, offset: number, lengthBytes: number): AsyncGenerator<Uint8Array> {
  const file = await open(path).catch((cause: unknown) => { throw unreadable(path, cause) })
  try {
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, lengthBytes))
    for (let at = 0; at < lengthBytes;) {
      const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, lengthBytes - at), offset + at)
      if (bytesRead === 0) throw unreadable(path, new Error(`it ends after ${offset + at} bytes`))
      at += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    await file.close()
  }
}

function unreadable (path: string, cause: unknown): AppError { return new AppError('STORAGE', `cannot read ${path}: ${messageOf(cause)}`, { cause }) }
