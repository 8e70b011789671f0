import { type Digest, hexOf } from '../../runtime/core/digest.js'
import { AppError, isAppError, messageOf } from '../../runtime/core/errors.js'
import { type InfoHash } from '../../runtime/core/infohash.js'
import { type PieceIndex } from '../../runtime/core/lengths.js'
import { type MetaInfo } from '../../runtime/core/metainfo.js'
import { PIECES_MAX } from '../../net/wire/kraken/limits.js'
import { type DownloadStore, type StoredTorrent } from '../../runtime/store/download.js'

/** With it and PIECES_MAX pieces a handshake still fits its frame. */
const NAMESPACE_BYTES_MAX = 800

interface Waiter { readonly resolve: (result: { sizeBytes: number }) => void, readonly reject: (error: AppError) => void }

/** One blob while the swarm thread knows it. Its file stays open for as long, and until the last read or write of it ended. */
export class Torrent {
  readonly #waiters: Waiter[] = []
  #pendingIo = 0
  #isRetired = false
  #leading = 0
  /** Readers that want to hear of progress. */
  watchers = 0
  /** Some pieces were stored by an earlier process: what the disk made of them since is not known. */
  readonly isResumed: boolean

  constructor (readonly namespace: string, readonly stored: StoredTorrent) {
    this.isResumed = !stored.isComplete && !stored.have.isEmpty
    this.advance()
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

  /** Verified bytes from the beginning without a gap. */
  get leadingBytes (): number {
    if (this.isComplete) return this.metaInfo.lengths.totalBytes
    return this.isTrusted ? Math.min(this.#leading * this.metaInfo.lengths.pieceBytes, this.metaInfo.lengths.totalBytes) : 0
  }

  /** Looks how far the stored pieces reach by now; true if further than before. */
  advance (): boolean {
    const before = this.#leading
    while (this.stored.have.has(this.#leading)) this.#leading++
    return this.#leading > before
  }

  /** After pieces have turned out to be bad. */
  rewind (): void {
    this.#leading = 0
    this.advance()
  }

  wait (): Promise<{ sizeBytes: number }> {
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }))
  }

  get isWanted (): boolean { return this.#waiters.length > 0 || this.watchers > 0 }

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
    if (this.#isRetired && this.#pendingIo === 0) void this.stored.close().catch(() => {})
  }
}

/** Fetches the list of pieces of a blob; throws BLOB_UNKNOWN if nobody knows it. */
export type FetchMetaInfo = (namespace: string, digest: Digest) => Promise<MetaInfo>

/** The torrents of this thread, by digest and by info hash, each loaded once however many ask for it at the same time. */
export class Torrents {
  readonly #byHash = new Map<InfoHash, Torrent>()
  readonly #byDigest = new Map<Digest, Torrent>()
  readonly #loading = new Map<Digest, Promise<Torrent | undefined>>()

  constructor (
    readonly store: DownloadStore,
    readonly fetchMetaInfo: FetchMetaInfo,
    /** Called when a torrent has come to be known, before anybody else sees it. */
    readonly opened: (torrent: Torrent, isWanted: boolean) => void
  ) {}

  get size (): number { return this.#byHash.size }
  byHash (infoHash: InfoHash): Torrent | undefined { return this.#byHash.get(infoHash) }
  byDigest (digest: Digest): Torrent | undefined { return this.#byDigest.get(digest) }
  values (): IterableIterator<Torrent> { return this.#byHash.values() }

  /** The torrent if it is in memory or on disk. */
  find (digest: Digest): Promise<Torrent | undefined> {
    return this.#load(digest, async () => {
      const stored = await this.store.open(digest)
      return stored === undefined ? undefined : this.#add(new Torrent('', stored), false)
    })
  }

  /** The torrent, created from its metainfo if need be. */
  async obtain (namespace: string, digest: Digest): Promise<Torrent> {
    if (Buffer.byteLength(namespace) > NAMESPACE_BYTES_MAX) {
      throw new AppError('NAME_INVALID', `a namespace of ${Buffer.byteLength(namespace)} bytes is too long for a handshake: at most ${NAMESPACE_BYTES_MAX}`)
    }
    // A load that found nothing may have been a look-up for a peer: ask again, then with the tracker's help.
    for (;;) {
      const torrent = await this.#load(digest, async () => {
        const stored = await this.store.open(digest) ?? await this.#create(namespace, digest)
        return this.#add(new Torrent(namespace, stored), true)
      })
      if (torrent !== undefined) return torrent
    }
  }

  /** Takes the torrent out of memory; its file is closed when nothing uses it any more. */
  drop (torrent: Torrent): void {
    this.#byHash.delete(torrent.infoHash)
    this.#byDigest.delete(torrent.digest)
    torrent.retire()
  }

  async #create (namespace: string, digest: Digest): Promise<StoredTorrent> {
    const metaInfo = await this.fetchMetaInfo(namespace, digest)
    if (metaInfo.name !== hexOf(digest)) {
      throw new AppError('CORRUPT', `the tracker answered with the metainfo of ${metaInfo.digest} when asked for ${digest}`)
    }
    if (metaInfo.lengths.pieceCount > PIECES_MAX) {
      throw new AppError('UNSUPPORTED', `${digest} has ${metaInfo.lengths.pieceCount} pieces and peers can name at most ${PIECES_MAX}: its origins need larger piece_lengths`)
    }
    return await this.store.create(metaInfo)
  }

  #load (digest: Digest, open: () => Promise<Torrent | undefined>): Promise<Torrent | undefined> {
    const known = this.#byDigest.get(digest)
    if (known !== undefined) return Promise.resolve(known)
    const running = this.#loading.get(digest)
    if (running !== undefined) return running
    const loading = open().catch((error: unknown) => { throw asAppError(error, digest) }).finally(() => this.#loading.delete(digest))
    this.#loading.set(digest, loading)
    return loading
  }

  #add (torrent: Torrent, isWanted: boolean): Torrent {
    this.#byHash.set(torrent.infoHash, torrent)
    this.#byDigest.set(torrent.digest, torrent)
    this.opened(torrent, isWanted)
    return torrent
  }
}

/** The pieces that did not come from an origin, or all if every one did: where a wrong blob is to be looked for first. */
export function suspects (torrent: Torrent, fromOrigins: ReadonlySet<number>): PieceIndex[] {
  const all = [...torrent.metaInfo.lengths.indices()]
  const foreign = all.filter(piece => !fromOrigins.has(piece))
  return foreign.length > 0 ? foreign : all
}

function asAppError (error: unknown, digest: Digest): AppError {
  return isAppError(error) ? error : new AppError('STORAGE', `cannot open the torrent of ${digest}: ${messageOf(error)}`, { cause: error })
}
