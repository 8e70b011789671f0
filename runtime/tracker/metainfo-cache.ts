import { after, type Millis } from '../core/clock.js'
import { type Digest } from '../core/digest.js'
import { type MetaInfo } from '../core/metainfo.js'
import { type Aged, Recency } from './recency.js'

/** What an entry takes beside its sums. */
const ENTRY_BYTES = 1024

/** What there is to know of a blob: `blob` is all of it if it is small. */
export interface Known { readonly metaInfo: MetaInfo, readonly blob: Uint8Array | undefined }

/** Metainfo of the blobs asked for last, and the small ones among them, for a while, within a number of bytes. */
export class MetaInfoCache {
  readonly #entries = new Map<Digest, Entry>()
  readonly #order = new Recency<Entry>()
  #bytes = 0

  constructor (readonly ttlMs: number, readonly bytesMax: number) {}

  get size (): number { return this.#entries.size }

  get (now: Millis, digest: Digest): Known | undefined {
    const entry = this.#entries.get(digest)
    if (entry === undefined) return undefined
    if (entry.expiresAt <= now) {
      this.#remove(entry)
      return undefined
    }
    this.#order.touch(entry)
    return entry.known
  }

  set (now: Millis, digest: Digest, known: Known): void {
    const before = this.#entries.get(digest)
    if (before !== undefined) this.#remove(before)
    const { metaInfo, blob } = known
    const bytes = ENTRY_BYTES + metaInfo.pieceSums.byteLength + (metaInfo.pieceDigests?.byteLength ?? 0) + (blob?.length ?? 0)
    const entry: Entry = { digest, known, bytes, expiresAt: after(now, this.ttlMs), older: undefined, newer: undefined }
    this.#entries.set(digest, entry)
    this.#order.add(entry)
    this.#bytes += bytes
    for (let oldest = this.#order.oldest; oldest !== undefined && this.#bytes > this.bytesMax; oldest = this.#order.oldest) this.#remove(oldest)
  }

  #remove (entry: Entry): void {
    this.#entries.delete(entry.digest)
    this.#order.remove(entry)
    this.#bytes -= entry.bytes
  }
}

interface Entry extends Aged<Entry> {
  readonly digest: Digest
  readonly known: Known
  readonly bytes: number
  readonly expiresAt: Millis
}
