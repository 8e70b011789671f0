import { type BodySource, type HttpRequest, type Reply } from '../../net/http/engine.js'
import { parseRange, rangeNotSatisfiable } from '../../net/http/range.js'
import { BINARY_TYPE } from '../../net/http/reply.js'
import { assertNever } from '../core/brand.js'
import { type ContentDigest, type Digest } from '../core/digest.js'
import { AppError } from '../core/errors.js'
import { allowsRange, etagOf, namesEtag } from './conditional.js'
import { isOutage } from './errors.js'
import { type BlobReader, type BlobRange, type RegistryBackend, type RegistryReads } from './transfer.js'

/** A blob, and by which name it is asked for. */
export interface NamedBlob {
  readonly repository: string
  readonly digest: Digest
  readonly name: ContentDigest
}

/** GET and HEAD (http-api specification 8.5). */
export async function serveBlob (backend: RegistryBackend, request: HttpRequest, blob: NamedBlob): Promise<Reply> {
  if (request.method === 'HEAD') return await headBlob(backend, request, blob)
  const { reads } = backend
  const { repository, digest, name } = blob
  const range = allowsRange(request.header('if-range'), name) ? request.header('range') : undefined
  if (range === undefined && request.header('if-none-match') === undefined) return await serveWhole(reads, request, blob)
  const stat = await reads.statBlob(repository, digest, { signal: request.signal })
  if (stat === undefined) throw blobUnknown(name)
  if (namesEtag(request.header('if-none-match'), name)) return notModified(name)
  const asked = parseRange(range, stat.sizeBytes)
  switch (asked.kind) {
    case 'whole': return await serveWhole(reads, request, blob)
    case 'part': return await serveRange(reads, request, blob, asked.range, stat.sizeBytes)
    case 'unsatisfiable': return rangeNotSatisfiable(stat.sizeBytes)
    default: return assertNever(asked)
  }
}

async function headBlob (backend: RegistryBackend, request: HttpRequest, { repository, digest, name }: NamedBlob): Promise<Reply> {
  const stat = await backend.reads.statBlob(repository, digest, { signal: request.signal }).catch((error: unknown) => {
    // Who pushes asks first and sends what is not there: pushes go on while only the backend behind the origins is down.
    if (backend.writes !== undefined && isOutage(error)) return undefined
    throw error
  })
  if (stat === undefined) throw blobUnknown(name)
  if (namesEtag(request.header('if-none-match'), name)) return notModified(name)
  return { status: 200, headers: blobHeaders(name), headLengthBytes: stat.sizeBytes }
}

async function serveWhole (reads: RegistryReads, request: HttpRequest, { repository, digest, name }: NamedBlob): Promise<Reply> {
  const reader = await reads.openBlob(repository, digest, { signal: request.signal })
  if (reader === undefined) throw blobUnknown(name)
  return { status: 200, headers: blobHeaders(name), body: bodyOf(reader, request.signal) }
}

async function serveRange (
  reads: RegistryReads, request: HttpRequest, { repository, digest, name }: NamedBlob, range: BlobRange, totalBytes: number
): Promise<Reply> {
  const reader = await reads.openBlob(repository, digest, { signal: request.signal, range })
  if (reader === undefined) throw blobUnknown(name)
  const last = range.offset + range.lengthBytes - 1
  const headers = { ...blobHeaders(name), 'Content-Range': `bytes ${range.offset}-${last}/${totalBytes}` }
  return { status: 206, headers, body: bodyOf(reader, request.signal) }
}

/**
 * The body of a reply out of a reader, which is closed when it was sent, when that failed, and when the client goes away
 * before it was begun.
 */
export function bodyOf (reader: BlobReader, signal: AbortSignal): BodySource {
  const close = (): void => {
    signal.removeEventListener('abort', close)
    reader.close()
  }
  signal.addEventListener('abort', close, { once: true })
  if (signal.aborted) close()
  return { lengthBytes: reader.sizeBytes, chunks: () => closing(reader.chunks(), close) }
}

/** A generator would not do: its `finally` is passed over when it is ended before it was begun. */
function closing (source: AsyncIterable<Uint8Array>, close: () => void): AsyncIterableIterator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]()
  return {
    next: async () => {
      try {
        const result = await iterator.next()
        if (result.done === true) close()
        return result
      } catch (error) {
        close()
        throw error
      }
    },
    return: async () => {
      try {
        await iterator.return?.()
      } finally {
        close()
      }
      return { done: true, value: undefined }
    },
    [Symbol.asyncIterator] () { return this }
  }
}

function blobHeaders (name: ContentDigest): Record<string, string> {
  return { 'Content-Type': BINARY_TYPE, 'Accept-Ranges': 'bytes', ...cacheHeaders(name) }
}

/** A blob never changes. */
function cacheHeaders (name: ContentDigest): Record<string, string> {
  return { 'Docker-Content-Digest': name, ETag: etagOf(name), 'Cache-Control': 'max-age=31536000' }
}

function notModified (name: ContentDigest): Reply { return { status: 304, headers: cacheHeaders(name) } }

export function blobUnknown (name: ContentDigest): AppError { return new AppError('BLOB_UNKNOWN', 'blob unknown to registry', { detail: name }) }
