import { type BlobContent, type CallOptions } from '../../net/client/clients.js'
import { AppError } from '../core/errors.js'

/*
 * Storage behind the cluster, as a flat set of named objects in each namespace (cluster specification 5.2). That an object
 * is not there is an answer, `undefined`, and only ever means that the backend said so. What goes wrong is an AppError:
 *
 *   UNAVAILABLE    the backend did not answer, or not with what was asked for: ask again later
 *   NAME_INVALID   the backend's naming has no place for this name: asking again is no use
 *   UNSUPPORTED    the backend cannot do this at all (a read-only one is written to, one without lists is listed)
 *   CANCELLED      the signal
 */

/** Bytes to store, which can be read again from any offset, so that a retry can rewind. */
export type ObjectContent = BlobContent

export interface ObjectStat {
  /** Undefined where the backend cannot tell. */
  readonly sizeBytes: number | undefined
}

/** An object on its way in; a body that ends before its size, or goes on after it, fails. */
export interface ObjectStream {
  /** What `chunks` has in all, counted from the offset that was asked for; undefined where the backend does not tell. */
  readonly sizeBytes: number | undefined
  /** Views that are valid until the next one is asked for. To be iterated once; leaving the loop early ends the transfer. */
  chunks (): AsyncIterable<Uint8Array>
}

export interface DownloadOptions extends CallOptions {
  /** The first byte to send, default 0. Backends that cannot start there say UNSUPPORTED. */
  readonly offset?: number
}

export interface ListOptions extends CallOptions {
  /** Names of one page, at most; the backend may send fewer. */
  readonly limit?: number
  /** `next` of the page before. */
  readonly token?: string | undefined
}

export interface ListPage {
  readonly names: readonly string[]
  /** Asks for the page after this one; undefined on the last. */
  readonly next: string | undefined
}

/** What a backend can do beyond `stat` and `download`. */
export interface BackendAbilities {
  readonly canUpload: boolean
  readonly canList: boolean
  /** Downloads can start at an offset, so one that breaks off is continued. */
  readonly canResume: boolean
}

/** One configured backend. Every call may be made at any time and as often as wanted. */
export interface BackendClient extends BackendAbilities {
  /** As in the configuration: `s3`, `testfs`, ... */
  readonly kind: string
  stat (namespace: string, name: string, options?: CallOptions): Promise<ObjectStat | undefined>
  download (namespace: string, name: string, options?: DownloadOptions): Promise<ObjectStream | undefined>
  /** Replaces what is there. When this resolves the backend has acknowledged the whole object. */
  upload (namespace: string, name: string, content: ObjectContent, options?: CallOptions): Promise<void>
  /** Names at or below a path prefix, in no particular order; none if there is nothing. */
  list (prefix: string, options?: ListOptions): Promise<ListPage>
  /** Resolves if the backend answers. @throws AppError UNAVAILABLE with the reason */
  checkReadiness (options?: CallOptions): Promise<void>
  /** Lets go of connections. May be called twice. */
  close (): Promise<void>
}

/** What a read-only backend says. */
export function readOnly (kind: string): AppError {
  return new AppError('UNSUPPORTED', `the ${kind} backend is read-only: configure a backend that stores for this namespace`)
}

/** What a backend without lists says. */
export function unlisted (kind: string): AppError {
  return new AppError('UNSUPPORTED', `the ${kind} backend cannot list what it has`)
}

/** Reads a short object as a whole. @throws AppError CORRUPT if it is longer than `bytesMax` */
export async function readObject (stream: ObjectStream, bytesMax: number): Promise<Buffer> {
  const parts: Buffer[] = []
  let totalBytes = 0
  for await (const chunkView of stream.chunks()) {
    totalBytes += chunkView.length
    if (totalBytes > bytesMax) throw new AppError('CORRUPT', `the object has more than the ${bytesMax} bytes that make sense here`)
    parts.push(Buffer.from(chunkView))
  }
  return Buffer.concat(parts)
}
