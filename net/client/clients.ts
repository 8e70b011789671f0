import { type Digest } from '../../runtime/core/digest.js'
import { type MetaInfo } from '../../runtime/core/metainfo.js'
import { type InfoHash } from '../../runtime/core/infohash.js'
import { type PeerContext, type PeerInfo } from '../../runtime/core/peer.js'

/*
 * What the components ask of each other, as interfaces. All calls throw AppError: NETWORK (no HTTP answer), TIMED_OUT,
 * UNAVAILABLE (every host failed, or 5xx), CANCELLED (the signal), and the codes named at each call.
 */

export interface CallOptions { readonly signal?: AbortSignal }

/** Bytes on their way in; `chunks` yields views that are valid until the next one is asked for. */
export interface BlobStream {
  readonly sizeBytes: number
  chunks (): AsyncIterable<Uint8Array>
}

/** Bytes to send that can be read again from any offset, so that a retry can rewind. */
export interface BlobContent {
  readonly sizeBytes: number
  read (offset: number, lengthBytes: number): AsyncIterable<Uint8Array>
}

export interface MetaInfoOptions extends CallOptions {
  readonly withPieceDigests?: boolean
  /** How many bytes of the blob itself are welcome. */
  readonly inlineBytes?: number | undefined
}

/** `pending`: the owner is fetching it, ask again. */
export type MetaInfoAnswer =
  /** `blob` is all of a small blob, as long as it must be but not verified, if that was welcome. */
  | { readonly status: 'found', readonly metaInfo: MetaInfo, readonly blob?: Uint8Array | undefined }
  | { readonly status: 'pending' }
  | { readonly status: 'unknown' }

/** The origins of a cluster as one (http-api specification 5.7, 1.9). */
export interface BlobClient {
  /** Addresses `host:port` of the owners, best first. */
  locations (digest: Digest, options?: CallOptions): Promise<string[]>
  /** `undefined` only if an owner answered that there is no such blob and none has it. */
  stat (namespace: string, digest: Digest, options?: CallOptions): Promise<{ sizeBytes: number } | undefined>
  /** Polls through 202; resumes with Range on another owner if one breaks off; verifies the length. @throws BLOB_UNKNOWN */
  download (namespace: string, digest: Digest, options?: CallOptions & { offset?: number, lengthBytes?: number }): Promise<BlobStream>
  /** Start, chunks, commit on the first owner that works; 409 anywhere is success. @throws DIGEST_MISMATCH */
  upload (namespace: string, digest: Digest, content: BlobContent, options?: CallOptions): Promise<void>
  metaInfo (namespace: string, digest: Digest, options?: CallOptions): Promise<MetaInfoAnswer>
  /** Resolves when an owner has the blob or has begun to fetch it. @throws BLOB_UNKNOWN */
  prefetch (namespace: string, digest: Digest, options?: CallOptions): Promise<void>
  /** Peer contexts of the owners that answer. */
  owners (digest: Digest, options?: CallOptions): Promise<PeerContext[]>
  checkReadiness (options?: CallOptions): Promise<void>
}

/** One origin, addressed directly (http-api specification 5.6). */
export interface OriginClient {
  readonly address: string
  statLocal (namespace: string, digest: Digest, options?: CallOptions): Promise<{ sizeBytes: number } | undefined>
  metaInfo (namespace: string, digest: Digest, options?: MetaInfoOptions): Promise<MetaInfoAnswer>
  /** One request, without polling and without another origin. @throws BLOB_UNKNOWN, and UNAVAILABLE while it is fetching the blob itself (202) */
  download (namespace: string, digest: Digest, options?: CallOptions): Promise<BlobStream>
  peerContext (options?: CallOptions): Promise<PeerContext>
  locations (digest: Digest, options?: CallOptions): Promise<string[]>
  /** Public upload ending in the duplicate commit with `delayMs`; 409 is success. */
  uploadDuplicate (namespace: string, digest: Digest, content: BlobContent, delayMs: number, options?: CallOptions): Promise<void>
  /** Internal transfer; 409 is success. */
  transfer (digest: Digest, content: BlobContent, options?: CallOptions): Promise<void>
  deleteBlob (digest: Digest, options?: CallOptions): Promise<boolean>
  /** Has the origin fetch the blob from the backend by itself; to be repeated while it is `pending`. */
  fetchFromBackend (namespace: string, digest: Digest, options?: CallOptions): Promise<'present' | 'pending' | 'unknown'>
}

export interface TagPage { readonly names: string[], readonly next: string | undefined }

/** The build-indexes of a cluster as one (http-api specification 7.5). */
export interface TagClient {
  /**
   * @param options.onlyIf - put it only if it points there, or if it is not there; build-indexes of Kraken's put it in any case
   * @throws AppError TAG_EXISTS if it points elsewhere
   */
  put (tag: string, digest: Digest, options?: CallOptions & { replicate?: boolean, onlyIf?: Digest | 'none' }): Promise<void>
  get (tag: string, options?: CallOptions): Promise<Digest | undefined>
  has (tag: string, options?: CallOptions): Promise<boolean>
  /** Names as stored (`repo:tag`) below a prefix such as `/<repo>/_manifests/tags` or ''. */
  list (prefix: string, options?: CallOptions): Promise<string[]>
  /** Bare tags. */
  listRepository (repository: string, options?: CallOptions): Promise<string[]>
  origin (options?: CallOptions): Promise<string>
  checkReadiness (options?: CallOptions): Promise<void>
}

/** What build-indexes of ours can do beyond Kraken's; those of Kraken's answer with UNSUPPORTED, or know no record. */
export interface RecordClient {
  /** The newest value that any build-index has under this key. */
  record (key: string, options?: CallOptions): Promise<string | undefined>
  /** Resolves when every build-index that is well has it. @throws UNSUPPORTED */
  putRecord (key: string, value: string, options?: CallOptions): Promise<void>
  /** Deletes the tag everywhere, if it points at `digest` where one is named; false if it was nowhere. @throws UNSUPPORTED */
  deleteTag (tag: string, options?: CallOptions & { readonly digest?: Digest }): Promise<boolean>
}

/** The trackers of a cluster, picked by the ring (p2p specification 7.9). */
export interface TrackerClient {
  /** One request; polling through `pending` is the caller's business, who knows how long to wait. */
  metaInfo (namespace: string, digest: Digest, options?: MetaInfoOptions): Promise<MetaInfoAnswer>
  announce (digest: Digest, infoHash: InfoHash, self: PeerInfo, options?: CallOptions): Promise<{ peers: PeerInfo[], intervalMs: number }>
  checkReadiness (options?: CallOptions): Promise<void>
}
