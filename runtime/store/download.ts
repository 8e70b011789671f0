import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Bitfield } from '../core/bitfield.js'
import { type Clock, systemClock } from '../core/clock.js'
import { type Digest, hexOf } from '../core/digest.js'
import { AppError, messageOf } from '../core/errors.js'
import { type MetaInfo } from '../core/metainfo.js'
import { type Logger, noLog } from '../observe/log.js'
import { makeDir, removeEntry, statIfPresent, storageError } from './files.js'
import { KeyedLock } from './keyed-lock.js'
import { type NewEntry } from './new-entry.js'
import { blobDir, dataIn, SIDECARS } from './paths.js'
import { decodeStatus, encodeAccessTime, encodeStatus, readMetaInfo, readSidecar, writeMetaInfo } from './sidecars.js'
import { Entry, type EntryContext, type StoredTorrent } from './stored-torrent.js'

export { type StoredTorrent } from './stored-torrent.js'

/** A blob in the cache that nobody has open. */
export interface KeptBlob { readonly path: string, readonly sizeBytes: number }

export interface DownloadStoreOptions {
  readonly clock?: Clock
  readonly log?: Logger
  /**
   * Sync data before a piece is on record as stored and before the blob becomes visible. Without it a power loss (not a
   * crash of the process) can leave pieces on record that never reached the disk. Off by default, as in the reference.
   */
  readonly isDurable?: boolean
}

/**
 * The downloads of an agent on disk, in Kraken's layout (p2p specification 9), so that either program can take over the
 * directories of the other.
 *
 *   create --> download tree: data (full length, sparse), _torrentmeta, [_piece_sha256], _status
 *                 | complete(): the whole directory renamed
 *                 v
 *              cache tree: complete by definition
 *
 * What a restart finds in the download tree is resumed from `_status`, or removed if it is damaged.
 */
export class DownloadStore {
  readonly #live = new Map<Digest, Entry>()
  readonly #lock = new KeyedLock<Digest>()
  readonly #clock: Clock
  readonly #log: Logger
  readonly #isDurable: boolean

  constructor (
    readonly paths: { readonly downloadDir: string, readonly cacheDir: string },
    { clock = systemClock, log = noLog, isDurable = false }: DownloadStoreOptions = {}
  ) {
    this.#clock = clock
    this.#log = log
    this.#isDurable = isDurable
  }

  /** Makes the directories, so that a wrong path or missing rights show at the start. */
  async prepare (): Promise<void> {
    await makeDir(this.paths.downloadDir)
    await makeDir(this.paths.cacheDir)
  }

  /** What is on disk of a blob, complete or not; undefined if that is nothing of use. */
  async open (digest: Digest): Promise<StoredTorrent | undefined> {
    return await this.#lock.run(digest, async () => await this.#open(digest))
  }

  /**
   * Opens what there is, or prepares an empty download of this metainfo in its place.
   * @throws AppError STORAGE_FULL if the disk cannot hold it, STORAGE
   */
  async create (metaInfo: MetaInfo): Promise<StoredTorrent> {
    return await this.#lock.run(metaInfo.digest, async () => {
      await this.#adopt(metaInfo)
      const found = await this.#open(metaInfo.digest)
      if (found !== undefined && (found.isComplete || found.metaInfo.infoHash === metaInfo.infoHash)) return found
      if (found !== undefined) {
        // Other pieces than those that the peers have now.
        await found.release()
        await this.#remove(metaInfo.digest)
      }
      return await this.#create(metaInfo)
    })
  }

  /**
   * Puts a small blob that came as a whole into the cache; undefined if it is not what it should be, or cannot be kept this
   * way: then it is to be created and downloaded.
   * @param publish - checks the bytes and writes the entry, where that may block; false for wrong bytes
   */
  async keep (metaInfo: MetaInfo, data: Uint8Array, publish: (entry: NewEntry) => Promise<boolean>): Promise<KeptBlob | undefined> {
    if (this.#isDurable) return undefined
    return await this.#lock.run(metaInfo.digest, async () => {
      const dir = blobDir(this.paths.cacheDir, metaInfo.name)
      try {
        const isGood = await publish({
          unfinishedDir: blobDir(this.paths.downloadDir, metaInfo.name),
          dir,
          data,
          sidecars: [
            { name: SIDECARS.torrentMeta, bytes: Buffer.from(metaInfo.serialize()) },
            { name: SIDECARS.status, bytes: encodeStatus(Bitfield.full(metaInfo.lengths.pieceCount)) },
            { name: SIDECARS.lastAccess, bytes: encodeAccessTime(Math.floor(this.#clock.wall() / 1000)) }
          ]
        })
        if (isGood) return { path: dataIn(dir), sizeBytes: data.length }
        this.#log.warn({ digest: metaInfo.digest }, 'a blob that came with its metainfo is not what it should be')
      } catch (error) {
        // Something may be there already, which the long way can cope with, and it knows how to tell of a full disk.
        this.#log.warn({ digest: metaInfo.digest, error: messageOf(error) }, 'a blob that came with its metainfo cannot be kept')
      }
      return undefined
    })
  }

  /** Deletes all there is of a blob; false if that is nothing. Those who have it open can read on. */
  async remove (digest: Digest): Promise<boolean> {
    return await this.#lock.run(digest, async () => await this.#remove(digest))
  }

  async #open (digest: Digest): Promise<Entry | undefined> {
    const opened = await this.#openLive(digest) ?? await this.#openCached(digest) ?? await this.#openDownload(digest)
    if (opened === undefined) return undefined
    this.#live.set(digest, opened)
    opened.refCount++
    return opened
  }

  /** The entry that others have open already, unless its blob was deleted behind their backs, by a cleanup for instance. */
  async #openLive (digest: Digest): Promise<Entry | undefined> {
    const live = this.#live.get(digest)
    if (live === undefined || await statIfPresent(live.path) !== undefined) return live
    live.isRemoved = true
    this.#live.delete(digest)
    return undefined
  }

  async #openCached (digest: Digest): Promise<Entry | undefined> {
    const dir = blobDir(this.paths.cacheDir, hexOf(digest))
    const data = await statIfPresent(dataIn(dir))
    if (data === undefined) return undefined
    const { metaInfo, damage } = await readMetaInfo(dir)
    if (damage !== undefined) this.#log.warn({ digest, damage }, 'metainfo damaged')
    if (metaInfo === undefined || metaInfo.name !== hexOf(digest) || metaInfo.lengths.totalBytes !== data.size) return undefined
    return await Entry.open(this.#contextFor(digest), metaInfo, Bitfield.full(metaInfo.lengths.pieceCount), 'complete')
  }

  async #openDownload (digest: Digest): Promise<Entry | undefined> {
    const dir = blobDir(this.paths.downloadDir, hexOf(digest))
    if (await statIfPresent(dir) === undefined) return undefined
    const [data, { metaInfo, damage }, status] = await Promise.all([statIfPresent(dataIn(dir)), readMetaInfo(dir), readSidecar(dir, SIDECARS.status)])
    if (damage !== undefined) this.#log.warn({ digest, damage }, 'metainfo damaged')
    const have = metaInfo === undefined || status === undefined ? undefined : decodeStatus(status, metaInfo.lengths.pieceCount)
    if (metaInfo === undefined || have === undefined || metaInfo.name !== hexOf(digest) || data?.size !== metaInfo.lengths.totalBytes) {
      this.#log.warn({ digest }, 'download damaged')
      await removeEntry(dir)
      return undefined
    }
    return await Entry.open(this.#contextFor(digest), metaInfo, have, 'partial')
  }

  async #create (metaInfo: MetaInfo): Promise<Entry> {
    const dir = blobDir(this.paths.downloadDir, metaInfo.name)
    await makeDir(dir)
    try {
      await requireSpace(dir, metaInfo.lengths.totalBytes)
      const created = await Entry.create(this.#contextFor(metaInfo.digest), metaInfo, new Bitfield(metaInfo.lengths.pieceCount))
      this.#live.set(metaInfo.digest, created)
      created.refCount++
      return created
    } catch (error) {
      await removeEntry(dir)
      throw storageError(error, 'prepare a download in', dir)
    }
  }

  /** Gives a blob in the cache that lost its metainfo a new one; a blob of another length than it must have is removed. */
  async #adopt (metaInfo: MetaInfo): Promise<void> {
    const dir = blobDir(this.paths.cacheDir, metaInfo.name)
    const data = await statIfPresent(dataIn(dir))
    if (data === undefined || this.#live.has(metaInfo.digest)) return
    if (data.size !== metaInfo.lengths.totalBytes) {
      this.#log.warn({ digest: metaInfo.digest, sizeBytes: data.size, expectedBytes: metaInfo.lengths.totalBytes }, 'cached blob damaged')
      await removeEntry(dir)
    } else if ((await readMetaInfo(dir)).metaInfo === undefined) {
      await writeMetaInfo(dir, metaInfo)
    }
  }

  async #remove (digest: Digest): Promise<boolean> {
    const live = this.#live.get(digest)
    if (live !== undefined) live.isRemoved = true
    this.#live.delete(digest)
    const wasDownload = await removeEntry(blobDir(this.paths.downloadDir, hexOf(digest)))
    const wasCached = await removeEntry(blobDir(this.paths.cacheDir, hexOf(digest)))
    return wasDownload || wasCached
  }

  #contextFor (digest: Digest): EntryContext {
    const hex = hexOf(digest)
    return {
      downloadDir: blobDir(this.paths.downloadDir, hex),
      cacheDir: blobDir(this.paths.cacheDir, hex),
      clock: this.#clock,
      log: this.#log,
      isDurable: this.#isDurable,
      exclusively: async work => await this.#lock.run(digest, work),
      forget: entry => { if (this.#live.get(digest) === entry) this.#live.delete(digest) }
    }
  }
}

/** A file of full length is sparse, so a disk that is too small would show only midway. */
async function requireSpace (dir: string, neededBytes: number): Promise<void> {
  const disk = await statfs(dir)
  const freeBytes = disk.bavail * disk.bsize
  // Some network file systems do not know and report no blocks at all.
  if (disk.blocks > 0 && freeBytes < neededBytes) {
    throw new AppError('STORAGE_FULL', `${dirname(dir)} has ${freeBytes} bytes free and a blob of ${neededBytes} bytes is to be downloaded there; free some space`)
  }
}
