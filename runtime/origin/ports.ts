import { type CallOptions, type OriginClient } from '../../net/client/clients.js'
import { type Digest } from '../core/digest.js'

/** Another origin, as far as copying blobs goes. */
export type Replica = Pick<OriginClient, 'statLocal' | 'uploadDuplicate' | 'transfer' | 'download' | 'fetchFromBackend'>

/** What placement knows; `Membership` is the real one. */
export interface Placement {
  /** Our own address as the ring has it. */
  readonly self: string
  /** The healthy owners of a blob, best first, never empty (cluster specification 2.3). */
  locations (digest: Digest): string[]
  /** Those who should have a blob, healthy or not, best first. */
  owners (digest: Digest): readonly string[]
  /** All members, best first: the owners, then those who step in for them. */
  ranking (digest: Digest): readonly string[]
  /** All members that are healthy, in no particular order. */
  readonly healthy: readonly string[]
  /** Calls `listener` after every change of members or of their health; the function returned ends that. */
  onChange (listener: () => void): () => void
}

/** Bytes on their way into the cache; of some sources nobody knows how many before they are here. */
export interface IncomingBlob {
  readonly sizeBytes: number | undefined
  /** Views that are valid until the next one is asked for. */
  chunks (): AsyncIterable<Uint8Array>
}

/** Storage behind the cluster, asked for blobs that no origin holds. Undefined is an answer: there is no such blob. */
export interface Backend {
  /** @throws AppError CONFIG_INVALID if the namespace has no backend, UNAVAILABLE */
  open (namespace: string, digest: Digest, options?: CallOptions): Promise<IncomingBlob | undefined>
  /** The size is undefined where the backend cannot tell. @throws like `open` */
  stat (namespace: string, digest: Digest, options?: CallOptions): Promise<{ sizeBytes: number | undefined } | undefined>
}
