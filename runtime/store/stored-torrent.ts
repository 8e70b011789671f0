import { open, rename, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type Bitfield } from '../core/bitfield.js'
import { type Clock } from '../core/clock.js'
import { AppError, messageOf, systemCodeOf } from '../core/errors.js'
import { type PieceIndex } from '../core/lengths.js'
import { type MetaInfo } from '../core/metainfo.js'
import { type Logger } from '../observe/log.js'
import { makeDir, makeDirDurably, removeEntry, storageError, syncDir } from './files.js'
import { dataIn, SIDECARS } from './paths.js'
import { encodeAccessTime, encodeStatus, writeMetaInfo, writeSidecar } from './sidecars.js'
import { StatusFile } from './status-file.js'

/** A blob that is being downloaded or seeded, with its data file open. */
export interface StoredTorrent {
  readonly metaInfo: MetaInfo
  /** The pieces that are stored. Belongs to the store: it changes with `markStored` and `invalidate`. */
  readonly have: Bitfield
  /** In the cache, and so verified. */
  readonly isComplete: boolean
  /** The data file; another one once the blob is complete. Readers may open it for themselves and keep that. */
  readonly path: string
  /** The data file open for positional reads and, until it is complete, writes. Valid until `close`. */
  readonly fd: number
  /** Notes a piece whose data was written; it is in `have` at once, and on record when this resolves. */
  markStored (piece: PieceIndex): Promise<void>
  /** Takes pieces back that turned out to be wrong. */
  invalidate (pieces: readonly PieceIndex[]): Promise<void>
  /**
   * Moves the blob, whose whole content was verified, into the cache. Others may have brought it there meanwhile.
   * @throws AppError CANCELLED if it was removed, STORAGE, STORAGE_FULL
   */
  complete (): Promise<void>
  /** Gives up this use; the files are closed with the last one. Must be called once for each `open` and `create`. */
  close (): Promise<void>
}

/** What an entry knows of its store. */
export interface EntryContext {
  readonly downloadDir: string
  readonly cacheDir: string
  readonly clock: Clock
  readonly log: Logger
  readonly isDurable: boolean
  /** Runs `work` while nobody else opens, completes, closes or removes this blob. */
  exclusively<T> (work: () => Promise<T>): Promise<T>
  /** Called when the last use ended. */
  forget (entry: Entry): void
}

/** A torrent that is open; the store hands the same one to all who open it. */
export class Entry implements StoredTorrent {
  refCount = 0
  isRemoved = false
  #status: StatusFile | undefined

  private constructor (readonly context: EntryContext, readonly metaInfo: MetaInfo, readonly have: Bitfield, readonly handle: FileHandle) {}

  static async open (context: EntryContext, metaInfo: MetaInfo, have: Bitfield, state: 'partial' | 'complete'): Promise<Entry> {
    const dir = state === 'complete' ? context.cacheDir : context.downloadDir
    let handle: FileHandle
    try {
      handle = await open(dataIn(dir), state === 'complete' ? 'r' : 'r+')
    } catch (error) {
      throw storageError(error, 'open', dataIn(dir))
    }
    const entry = new Entry(context, metaInfo, have, handle)
    if (state === 'complete') return entry
    try {
      entry.#status = await StatusFile.open(dir, have, async () => { await entry.#syncData() })
    } catch (error) {
      await handle.close()
      throw error
    }
    return entry
  }

  /** Prepares an empty download in its directory, which exists. A directory that is left behind half made is damaged, and swept. */
  static async create (context: EntryContext, metaInfo: MetaInfo, have: Bitfield): Promise<Entry> {
    const dir = context.downloadDir
    const handle = await open(dataIn(dir), 'wx+')
    try {
      await handle.truncate(metaInfo.lengths.totalBytes)
      await writeMetaInfo(dir, metaInfo)
      const entry = new Entry(context, metaInfo, have, handle)
      entry.#status = await StatusFile.create(dir, have, async () => { await entry.#syncData() })
      return entry
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  get isComplete (): boolean { return this.#status === undefined }
  get path (): string { return dataIn(this.isComplete ? this.context.cacheDir : this.context.downloadDir) }
  get fd (): number { return this.handle.fd }

  async markStored (piece: PieceIndex): Promise<void> {
    if (this.have.add(piece)) await this.#status?.set(piece, true)
  }

  async invalidate (pieces: readonly PieceIndex[]): Promise<void> {
    await Promise.all(pieces.map(async piece => { if (this.have.delete(piece)) await this.#status?.set(piece, false) }))
  }

  async complete (): Promise<void> {
    await this.context.exclusively(async () => {
      const status = this.#status
      if (status === undefined) return
      if (!this.have.isFull) throw new AppError('INTERNAL', `${this.metaInfo.digest} is completed with ${this.have.count} of ${this.have.length} pieces`)
      if (this.isRemoved) throw new AppError('CANCELLED', `${this.metaInfo.digest} was removed while it was downloaded`)
      try {
        await this.#publish()
      } catch (error) {
        throw storageError(error, 'move a download into', this.context.cacheDir)
      }
      this.#status = undefined
      await status.close()
    })
  }

  async close (): Promise<void> { await this.context.exclusively(async () => await this.release()) }

  /** `close` for those who have the turn of this blob already. */
  async release (): Promise<void> {
    this.refCount--
    if (this.refCount > 0) return
    this.context.forget(this)
    try {
      await this.#status?.close()
    } finally {
      await this.handle.close()
    }
  }

  async #syncData (): Promise<void> { if (this.context.isDurable) await this.handle.datasync() }

  /** Everything that belongs to the blob is beside it before it appears. */
  async #publish (): Promise<void> {
    // The directory as it is has all of it. Only, what it was made of may not be on the disk yet.
    if (this.context.isDurable || !await this.#moveWhole()) await this.#moveParts()
  }

  /** False if the cache has something there already. */
  async #moveWhole (): Promise<boolean> {
    const { downloadDir, cacheDir, clock } = this.context
    await makeDir(dirname(cacheDir))
    await writeSidecar(downloadDir, SIDECARS.lastAccess, encodeAccessTime(Math.floor(clock.wall() / 1000)))
    try {
      await rename(downloadDir, cacheDir)
      return true
    } catch (error) {
      const code = systemCodeOf(error)
      if (code === 'ENOTEMPTY' || code === 'EEXIST') return false
      throw error
    }
  }

  /** A blob that is there already is replaced by its equal. */
  async #moveParts (): Promise<void> {
    const { downloadDir, cacheDir, clock, isDurable } = this.context
    if (isDurable) await Promise.all([this.handle.datasync(), makeDirDurably(cacheDir)])
    else await makeDir(cacheDir)
    await writeMetaInfo(cacheDir, this.metaInfo, isDurable)
    await writeSidecar(cacheDir, SIDECARS.status, encodeStatus(this.have))
    await writeSidecar(cacheDir, SIDECARS.lastAccess, encodeAccessTime(Math.floor(clock.wall() / 1000)))
    await rename(dataIn(downloadDir), dataIn(cacheDir))
    if (isDurable) await syncDir(cacheDir)
    await removeEntry(downloadDir).catch(error => {
      this.context.log.warn({ digest: this.metaInfo.digest, error: messageOf(error) }, 'download directory not removed')
    })
  }
}
