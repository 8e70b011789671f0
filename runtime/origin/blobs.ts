import { type BlobContent } from '../../net/client/clients.js'
import { fileBody } from '../../net/http/file-body.js'
import { type HashPool } from '../../workers/pool.js'
import { type PieceLengthConfig } from '../config/types.js'
import { type Digest, hexOf } from '../core/digest.js'
import { AppError } from '../core/errors.js'
import { MetaInfo, PIECE_BYTES_MAX } from '../core/metainfo.js'
import { type Logger } from '../observe/log.js'
import { type BlobFile, type BlobStat, type CasStore } from '../store/cas.js'
import { readIfPresent } from '../store/files.js'
import { KeyedLock } from '../store/keyed-lock.js'
import { pieceBytesFor } from '../store/piece-length.js'

/**
 * A metainfo with more pieces is not made for somebody who asks for a piece length: it is held in memory and sent as text.
 * The largest upload in pieces of 64 KiB has a sixth of it.
 */
const PIECES_MAX = 1 << 20
/** Blobs remembered as checked; beyond that all are forgotten and checked again. */
const CHECKED_MAX = 65_536

export interface BlobsOptions {
  readonly store: CasStore
  readonly pool: Pick<HashPool, 'run'>
  /** Drops a blob from the swarm that seeds it. */
  readonly unseed: (digest: Digest) => Promise<unknown>
  readonly pieceLengths: readonly PieceLengthConfig[]
  /** Whether something still has to be done with the blob, so that it must not be deleted. */
  readonly isPinned?: (digest: Digest) => boolean
  readonly log: Logger
}

/**
 * The blobs that this origin has. A blob is looked at when it is used for the first time: one without a usable metainfo is
 * summed up again, and one whose bytes are not what they should be (a crash or a disk can do that) is removed, as if it had
 * never been here.
 */
export class Blobs {
  /** What changes a blob waits for its turn here. Whoever holds it must not ask for what may have to be made again. */
  readonly lock = new KeyedLock<Digest>()
  readonly #checked = new Set<Digest>()

  constructor (readonly options: BlobsOptions) {}

  /** Whether the blob is here and good. */
  async has (digest: Digest): Promise<boolean> { return await this.sizeOf(digest) !== undefined }

  /** The blob's file as it lies there, without a closer look. */
  async stat (digest: Digest): Promise<BlobStat | undefined> { return await this.options.store.stat(digest) }

  /** Unix milliseconds of the last access, exact to 5 minutes; undefined if there was none. */
  async lastAccessMs (digest: Digest): Promise<number | undefined> { return await this.options.store.lastAccessMs(digest) }

  async isPersisted (digest: Digest): Promise<boolean> {
    return this.options.isPinned?.(digest) === true || await this.options.store.isPersisted(digest)
  }

  /** Lifts the mark that forbids deletion, if there is one. */
  async release (digest: Digest): Promise<void> {
    const { store } = this.options
    await this.lock.run(digest, async () => { if (await store.isPersisted(digest)) await store.setPersisted(digest, false) })
  }

  /** Whether there is a file for the blob, without a closer look; for those who hold its lock. */
  async isStored (digest: Digest): Promise<boolean> { return await this.options.store.has(digest) }

  /** The data file of a blob for reading, or undefined if it is not here. */
  async open (digest: Digest): Promise<BlobFile | undefined> {
    if (!this.#checked.has(digest) && await this.metaInfo(digest) === undefined) return undefined
    const file = await this.options.store.open(digest)
    if (file === undefined) this.#checked.delete(digest)
    return file
  }

  /** All of a small blob, or undefined if it is not here. */
  async read (digest: Digest): Promise<Uint8Array | undefined> {
    const file = await this.open(digest)
    if (file === undefined) return undefined
    const bytes = await readIfPresent(file.path, file.sizeBytes)
    return bytes?.length === file.sizeBytes ? bytes : undefined
  }

  /** Size of a blob, or undefined if it is not here. */
  async sizeOf (digest: Digest): Promise<number | undefined> {
    if (!this.#checked.has(digest) && await this.metaInfo(digest) === undefined) return undefined
    return (await this.options.store.stat(digest))?.sizeBytes
  }

  /** The list of pieces of a blob, made anew if it was lost; undefined if the blob is not here. */
  async metaInfo (digest: Digest): Promise<MetaInfo | undefined> {
    const metaInfo = await this.options.store.metaInfo(digest) ?? await this.#restore(digest)
    if (metaInfo === undefined) this.#checked.delete(digest)
    else this.#markChecked(digest)
    return metaInfo
  }

  /** Cuts a blob into pieces of another length. @throws AppError BLOB_UNKNOWN, SIZE_INVALID */
  async overwriteMetaInfo (digest: Digest, pieceBytes: number): Promise<void> {
    await this.lock.run(digest, async () => {
      const file = await this.options.store.stat(digest)
      if (file === undefined) throw new AppError('BLOB_UNKNOWN', `blob ${digest} is not in the cache`)
      if (pieceBytes < 1 || pieceBytes > PIECE_BYTES_MAX) {
        throw new AppError('SIZE_INVALID', `piece length must be from 1 to ${PIECE_BYTES_MAX} and is ${pieceBytes}`)
      }
      if (file.sizeBytes / pieceBytes > PIECES_MAX) {
        throw new AppError('SIZE_INVALID', `pieces of ${pieceBytes} bytes would be more than ${PIECES_MAX} for ${file.sizeBytes} bytes`)
      }
      if (await this.#sum(digest, file, pieceBytes) === undefined) throw new AppError('BLOB_UNKNOWN', `blob ${digest} was damaged and is removed`)
    })
  }

  /** Removes our copy; false if there is none. @throws AppError DENIED while it must be kept */
  async delete (digest: Digest): Promise<boolean> {
    return await this.lock.run(digest, async () => {
      if (this.options.isPinned?.(digest) === true) {
        throw new AppError('DENIED', `cannot delete ${digest}: file is persisted until all of its copies are made; GET /x/tasks lists what is pending`)
      }
      const isDeleted = await this.options.store.delete(digest)
      this.#checked.delete(digest)
      await this.options.unseed(digest)
      return isDeleted
    })
  }

  /** The bytes of a blob, for sending. @throws AppError BLOB_UNKNOWN */
  async content (digest: Digest): Promise<BlobContent> {
    const file = await this.open(digest)
    if (file === undefined) throw new AppError('BLOB_UNKNOWN', `blob ${digest} is not in the cache`)
    return { sizeBytes: file.sizeBytes, read: (offset, lengthBytes) => fileBody(file.path, offset, lengthBytes).chunks() }
  }

  /** All blobs, in the order of their digests. */
  async * list (): AsyncGenerator<Digest> { yield * await this.options.store.list() }

  async #restore (digest: Digest): Promise<MetaInfo | undefined> {
    if (!await this.isStored(digest)) return undefined
    return await this.lock.run(digest, async () => {
      const { store, pieceLengths } = this.options
      const [made, file] = await Promise.all([store.metaInfo(digest), store.stat(digest)])
      if (made !== undefined || file === undefined) return made
      const pieceBytes = pieceBytesFor(pieceLengths, file.sizeBytes)
      return pieceBytes === undefined ? undefined : await this.#sum(digest, file, pieceBytes)
    })
  }

  /** Reads the whole file and writes its metainfo; undefined if the bytes are those of another blob, which is then removed. */
  async #sum (digest: Digest, file: BlobFile, pieceBytes: number): Promise<MetaInfo | undefined> {
    const { store, pool, unseed, log } = this.options
    const sums = await pool.run('sumFile', { path: file.path, pieceBytes })
    if (sums.digest !== digest) {
      log.error({ digest, found: sums.digest, sizeBytes: sums.sizeBytes }, 'damaged blob removed')
      await store.delete(digest)
      await unseed(digest)
      return undefined
    }
    const metaInfo = new MetaInfo(hexOf(digest), sums.sizeBytes, pieceBytes, sums.crcs, sums.sha256s)
    await store.setMetaInfo(metaInfo)
    log.info({ digest, pieceBytes, pieceCount: metaInfo.lengths.pieceCount }, 'metainfo made')
    return metaInfo
  }

  #markChecked (digest: Digest): void {
    if (this.#checked.size >= CHECKED_MAX) this.#checked.clear()
    this.#checked.add(digest)
  }
}
