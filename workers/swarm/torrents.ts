import { type Digest, hexOf } from '../../runtime/core/digest.js'
import { AppError, isAppError, messageOf } from '../../runtime/core/errors.js'
import { type InfoHash } from '../../runtime/core/infohash.js'
import { type PieceIndex } from '../../runtime/core/lengths.js'
import { type MetaInfo } from '../../runtime/core/metainfo.js'
import { PIECES_MAX } from '../../net/wire/kraken/limits.js'
import { type DownloadStore, type KeptBlob, type StoredTorrent } from '../../runtime/store/download.js'
import { type NewEntry } from '../../runtime/store/new-entry.js'

/** With it and PIECES_MAX pieces a handshake still fits its frame. */
const NAMESPACE_BYTES_MAX = 800

interface Waiter { readonly resolve: (result: { sizeBytes: number }) => void, readonly reject: (error: AppError) => void }

/** One blob while the swarm thread knows it. Its file stays open for as long, and until the last read or write of it ended. */
export class Torrent {
  readonly #waiters: Waiter[] = []
  #pendingIo = 0
  #isRetired = false
  #markClosed = (): void => {}
  #isClosing = false
  /** Who reads the blob while it arrives, and from which piece on once that is known. */
  readonly readers = new Map<number, PieceIndex | undefined>()
  /** Some pieces were stored by an earlier process: what the disk made of them since is not known. */
  readonly isResumed: boolean
  /** Resolved once it is retired and its file is closed. */
  readonly closed: Promise<void>

  /** @param namespace - '' if a peer asked for the blob first: then the first caller here says which one it is */
  constructor (public namespace: string, readonly stored: StoredTorrent) {
    this.isResumed = !stored.isComplete && !stored.have.isEmpty
    this.closed = new Promise(resolve => { this.#markClosed = resolve })
  }

  get metaInfo (): MetaInfo { return this.stored.metaInfo }
  get digest (): Digest { return this.stored.metaInfo.digest }
  get infoHash (): InfoHash { return this.stored.metaInfo.infoHash }
  /** The blob is verified as a whole and lies in the cache. */
  get isComplete (): boolean { return this.stored.isComplete }
  /**
   * Every piece was checked by us against a SHA-256 that an origin vouches for, so a stored piece may be read at once.
   * Otherwise the whole is checked before any of it is read.
   */
  get isTrusted (): boolean { return this.metaInfo.pieceDigests !== undefined && !this.isResumed }

  /** Stored pieces that may be read before the blob is complete. */
  get readable (): number[] { return this.isTrusted && !this.isComplete ? [...this.stored.have] : [] }

  wait (): Promise<{ sizeBytes: number }> {
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }))
  }

  settle (error: AppError | undefined): void {
    for (const waiter of this.#waiters.splice(0)) {
      if (error === undefined) waiter.resolve({ sizeBytes: this.metaInfo.lengths.totalBytes })
      else waiter.reject(error)
    }
  }

  /** Marks the beginning of a read or write of the file; the function returned marks its end. */
  hold (): () => void {
    this.#pendingIo++
    return () => {
      this.#pendingIo--
      this.#closeIfUnused()
    }
  }

  /** The file is closed once nothing uses it: a descriptor closed too early could be somebody else's a moment later. */
  retire (): void {
    this.#isRetired = true
    this.#closeIfUnused()
  }

  get isRetired (): boolean { return this.#isRetired }

  #closeIfUnused (): void {
    if (!this.#isRetired || this.#pendingIo > 0 || this.#isClosing) return
    this.#isClosing = true
    this.stored.close().catch(() => {}).finally(this.#markClosed)
  }
}

/** The list of pieces of a blob, and all of it if it is small and whoever was asked had it at hand. */
export interface Found { readonly metaInfo: MetaInfo, readonly blob?: Uint8Array | undefined }

/** Asks for a blob's metainfo; throws BLOB_UNKNOWN if nobody knows it, CANCELLED once the signal is aborted. */
export type FetchMetaInfo = (namespace: string, digest: Digest, signal: AbortSignal) => Promise<Found>

export interface TorrentsParts {
  readonly store: DownloadStore
  readonly fetchMetaInfo: FetchMetaInfo
  /** Checks a small blob and writes it to its place; false if it is not what it should be. */
  readonly publish: (digest: Digest, entry: NewEntry) => Promise<boolean>
  /** Of the memory that pieces arrive in: a longer one could never be received. */
  readonly pieceBytesMax: number
  /** Called when a torrent has come to be known, before anybody else sees it. */
  readonly opened: (torrent: Torrent, isWanted: boolean) => void
}

/** A torrent on its way into memory. */
interface Loading { readonly torrent: Promise<Torrent | KeptBlob | undefined>, readonly abort: AbortController }

/** The torrents of this thread, by digest and by info hash, each loaded once however many ask for it at the same time. */
export class Torrents {
  readonly #byHash = new Map<InfoHash, Torrent>()
  readonly #byDigest = new Map<Digest, Torrent>()
  readonly #loading = new Map<Digest, Loading>()
  /** Out of memory, but with a file that is still open. */
  readonly #closing = new Set<Torrent>()
  #isClosed = false

  constructor (readonly parts: TorrentsParts) {}

  get size (): number { return this.#byHash.size }
  byHash (infoHash: InfoHash): Torrent | undefined { return this.#byHash.get(infoHash) }
  byDigest (digest: Digest): Torrent | undefined { return this.#byDigest.get(digest) }
  values (): IterableIterator<Torrent> { return this.#byHash.values() }

  /** The torrent if it is in memory or on disk. */
  find (digest: Digest): Promise<Torrent | undefined> {
    const torrent = this.#load(digest, async signal => {
      const stored = await this.parts.store.open(digest)
      return stored === undefined ? undefined : await this.#add(new Torrent('', stored), false, signal)
    })
    // What is kept without a torrent meanwhile is found by the next peer that asks.
    return torrent.then(found => found instanceof Torrent ? found : undefined)
  }

  /** The torrent, created from its metainfo if need be; a small blob may be in the cache without ever having been one. */
  async obtain (namespace: string, digest: Digest): Promise<Torrent | KeptBlob> {
    const namespaceBytes = Buffer.byteLength(namespace)
    if (namespaceBytes > NAMESPACE_BYTES_MAX) {
      throw new AppError('NAME_INVALID', `a namespace of ${namespaceBytes} bytes is too long for a handshake: at most ${NAMESPACE_BYTES_MAX}`)
    }
    // A load that found nothing may have been a look-up for a peer: ask again, then with the tracker's help.
    for (;;) {
      const torrent = await this.#load(digest, async signal => {
        const stored = await this.parts.store.open(digest) ?? await this.#create(namespace, digest, signal)
        return 'fd' in stored ? await this.#add(new Torrent(namespace, stored), true, signal) : stored
      })
      if (torrent === undefined) continue
      if (torrent instanceof Torrent && torrent.namespace === '') torrent.namespace = namespace
      return torrent
    }
  }

  /** Takes the torrent out of memory; its file is closed when nothing uses it any more. */
  drop (torrent: Torrent): void {
    this.#byHash.delete(torrent.infoHash)
    this.#byDigest.delete(torrent.digest)
    this.#close(torrent)
  }

  /** Gives up loads of the blob that are under way: who waits for them gets CANCELLED. Resolves once none is left. */
  async cancel (digest: Digest): Promise<void> {
    for (let loading = this.#loading.get(digest); loading !== undefined; loading = this.#loading.get(digest)) {
      loading.abort.abort()
      await loading.torrent.catch(() => {})
    }
  }

  /** Nothing is loaded any more. Resolves once the files of all torrents that were dropped are closed. */
  async close (): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#loading.keys()].map(async digest => await this.cancel(digest)))
    await Promise.all([...this.#closing].map(async torrent => await torrent.closed))
  }

  #close (torrent: Torrent): void {
    this.#closing.add(torrent)
    void torrent.closed.then(() => this.#closing.delete(torrent))
    torrent.retire()
  }

  async #create (namespace: string, digest: Digest, signal: AbortSignal): Promise<StoredTorrent | KeptBlob> {
    const { metaInfo, blob } = await this.parts.fetchMetaInfo(namespace, digest, signal)
    if (metaInfo.name !== hexOf(digest)) {
      throw new AppError('CORRUPT', `the tracker answered with the metainfo of ${metaInfo.digest} when asked for ${digest}`)
    }
    this.#checkSizes(metaInfo, false)
    signal.throwIfAborted()
    const kept = blob === undefined ? undefined : await this.parts.store.keep(metaInfo, blob, async entry => await this.parts.publish(digest, entry))
    return kept ?? await this.parts.store.create(metaInfo)
  }

  #load (digest: Digest, open: (signal: AbortSignal) => Promise<Torrent | KeptBlob | undefined>): Promise<Torrent | KeptBlob | undefined> {
    const known = this.#byDigest.get(digest)
    if (known !== undefined) return Promise.resolve(known)
    const running = this.#loading.get(digest)
    if (running !== undefined) return running.torrent
    if (this.#isClosed) return Promise.reject(cancelled(digest))
    const abort = new AbortController()
    const torrent = open(abort.signal).catch((error: unknown) => {
      throw abort.signal.aborted ? cancelled(digest) : asAppError(error, digest)
    }).finally(() => this.#loading.delete(digest))
    this.#loading.set(digest, { torrent, abort })
    return torrent
  }

  async #add (torrent: Torrent, isWanted: boolean, signal: AbortSignal): Promise<Torrent> {
    try {
      signal.throwIfAborted()
      this.#checkSizes(torrent.metaInfo, torrent.isComplete)
    } catch (error) {
      this.#close(torrent)
      await torrent.closed
      throw error
    }
    this.#byHash.set(torrent.infoHash, torrent)
    this.#byDigest.set(torrent.digest, torrent)
    this.parts.opened(torrent, isWanted)
    return torrent
  }

  /** Blobs that our peers or our memory could not handle are refused before any of it is needed. */
  #checkSizes ({ digest, lengths: { pieceCount, pieceBytes, totalBytes } }: MetaInfo, isComplete: boolean): void {
    if (pieceCount > PIECES_MAX) {
      throw new AppError('UNSUPPORTED', `${digest} has ${pieceCount} pieces and peers can name at most ${PIECES_MAX}: its origins need larger piece_lengths`)
    }
    const longestBytes = Math.min(pieceBytes, totalBytes)
    const { pieceBytesMax } = this.parts
    if (longestBytes > pieceBytesMax && !isComplete) {
      throw new AppError('UNSUPPORTED', `${digest} has pieces of ${longestBytes} bytes and there is memory for ${pieceBytesMax}: give the process more memory slots`)
    }
  }
}

function cancelled (digest: Digest): AppError { return new AppError('CANCELLED', `the search for ${digest} was given up: it was deleted, or the process stops`) }

/** The pieces that did not come from an origin, or all if every one did: where a wrong blob is to be looked for first. */
export function suspects (torrent: Torrent, fromOrigins: ReadonlySet<number>): PieceIndex[] {
  const all = [...torrent.metaInfo.lengths.indices()]
  const foreign = all.filter(piece => !fromOrigins.has(piece))
  return foreign.length > 0 ? foreign : all
}

function asAppError (error: unknown, digest: Digest): AppError {
  return isAppError(error) ? error : new AppError('STORAGE', `cannot open the torrent of ${digest}: ${messageOf(error)}`, { cause: error })
}
