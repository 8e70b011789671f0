import { after, type Millis } from '../core/clock.js'
import { type Digest } from '../core/digest.js'
import { type MetaInfo } from '../core/metainfo.js'
import { type Aged, Recency } from './recency.js'

/** What an entry takes beside its sums. */
const ENTRY_BYTES = 1024

/** Metainfo of the blobs asked for last, for a while, within a number of bytes. */
export class MetaInfoCache {
  readonly #entries = new Map<Digest, Entry>()
  readonly #order = new Recency<Entry>()
  #bytes = 0

  constructor (readonly ttlMs: number, readonly bytesMax: number) {}

  get size (): number { return this.#entries.size }

  get (now: Millis, digest: Digest): MetaInfo | undefined {
    const entry = this.#entries.get(digest)
    if (entry === undefined) return undefined
    if (entry.expiresAt <= now) {
      this.#remove(entry)
      return undefined
    }
    this.#order.touch(entry)
    return entry.metaInfo
  }

  set (now: Millis, digest: Digest, metaInfo: MetaInfo): void {
    const known = this.#entries.get(digest)
    if (known !== undefined) this.#remove(known)
    const bytes = ENTRY_BYTES + metaInfo.pieceSums.byteLength + (metaInfo.pieceDigests?.byteLength ?? 0)
    const entry: Entry = { digest, metaInfo, bytes, expiresAt: after(now, this.ttlMs), older: undefined, newer: undefined }
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
  readonly metaInfo: MetaInfo
  readonly bytes: number
  readonly expiresAt: Millis
}
