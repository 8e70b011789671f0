import { type BlobClient } from '../../net/client/clients.js'
import { type Digest } from '../core/digest.js'
import { isAppError } from '../core/errors.js'
import { type BlobRange, type BlobReader, type TransferOptions } from '../registry/transfer.js'
import { collect, verified } from '../registry/verified.js'

type Downloads = Pick<BlobClient, 'download'>

/**
 * Opens a blob, or a range of it, at the origins; nothing is kept here. A whole blob is verified on its way through.
 * @returns undefined if the origins have no such blob
 */
export async function openBlob (
  origins: Downloads, namespace: string, digest: Digest, { signal, range }: TransferOptions & { readonly range?: BlobRange }
): Promise<BlobReader | undefined> {
  const ended = new AbortController()
  const either = signal === undefined ? ended.signal : AbortSignal.any([signal, ended.signal])
  const stream = await origins.download(namespace, digest, { ...range, signal: either }).catch((error: unknown) => {
    if (isAppError(error, 'BLOB_UNKNOWN')) return undefined
    throw error
  })
  if (stream === undefined) return undefined
  // Ends the transfer also if nobody ever asked for its first chunk.
  const close = (): void => ended.abort()
  if (range !== undefined) return { sizeBytes: range.lengthBytes, chunks: () => stream.chunks(), close }
  return { sizeBytes: stream.sizeBytes, chunks: () => verified(stream.chunks(), digest, stream.sizeBytes), close }
}

/** All bytes of a blob, verified; undefined if the origins have no such blob, or only one of more than `bytesMax` bytes. */
export async function readBlob (
  origins: Downloads, namespace: string, digest: Digest, bytesMax: number, options: TransferOptions
): Promise<Uint8Array | undefined> {
  const reader = await openBlob(origins, namespace, digest, options)
  if (reader === undefined) return undefined
  try {
    return reader.sizeBytes > bytesMax ? undefined : await collect(reader.chunks(), digest, reader.sizeBytes)
  } finally {
    reader.close()
  }
}
