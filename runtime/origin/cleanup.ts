import { type Clock } from '../core/clock.js'
import { type Digest, hexOf } from '../core/digest.js'
import { AppError, messageOf } from '../core/errors.js'
import { type Logger } from '../observe/log.js'
import { type BlobStat } from '../store/cas.js'
import { type Placement } from './ports.js'

/** The blobs that are cleaned up; `Blobs` are the real ones. */
export interface CleanableBlobs {
  list (): AsyncIterable<Digest>
  /** As it lies on the disk, without a closer look. */
  stat (digest: Digest): Promise<BlobStat | undefined>
  /** Unix milliseconds; undefined if it was never read. */
  lastAccessMs (digest: Digest): Promise<number | undefined>
  isPersisted (digest: Digest): Promise<boolean>
  /** Lifts the mark that forbids deletion. */
  release (digest: Digest): Promise<void>
  /** @throws AppError DENIED while it is persisted */
  delete (digest: Digest): Promise<boolean>
}

export interface DiskUsage { readonly usedBytes: number, readonly totalBytes: number }

export interface CleanupOptions {
  readonly blobs: CleanableBlobs
  readonly placement: Placement
  /** Resolves when the other owners have the blob. @throws if one of them cannot be brought to */
  readonly bringToOwners: (digest: Digest, signal: AbortSignal) => Promise<void>
  /** Of the file system that holds the blobs. */
  readonly usage: () => Promise<DiskUsage>
  readonly clock: Clock
  readonly log: Logger
}

/** What a cleanup did: bare digests, and `<digest>: <reason>` for those that had to stay. */
export interface CleanupReport { readonly deleted: readonly string[], readonly errors: readonly string[] }

/** Deletes blobs because an operator says so (cluster specification 1.10). */
export class Cleanup {
  constructor (readonly options: CleanupOptions) {}

  /**
   * Deletes every blob whose bytes were written more than `ageMs` ago, and every one that we do not own. The latter may be
   * the only copy, so its owners get it first.
   */
  async deleteOld (ageMs: number, signal: AbortSignal): Promise<CleanupReport> {
    const { blobs, clock, log } = this.options
    const deleted: string[] = []
    const errors: string[] = []
    for await (const digest of blobs.list()) {
      this.#checkWanted(signal)
      const found = await blobs.stat(digest)
      if (found === undefined) continue
      const isOld = clock.wall() - found.modifiedMs > ageMs
      if (!isOld && this.#isOurs(digest)) continue
      try {
        if (!isOld) await this.options.bringToOwners(digest, signal)
        if (await blobs.delete(digest)) deleted.push(hexOf(digest))
      } catch (error) {
        errors.push(`${hexOf(digest)}: ${messageOf(error)}`)
      }
    }
    log.info({ ageMs, deletedCount: deleted.length, errorCount: errors.length }, 'forced cleanup')
    return { deleted, errors }
  }

  /**
   * Deletes blobs, those first that were not read for the longest time, until the disk is filled to at most `targetPercent`,
   * and returns to how much it is then. Blobs that wait to be written back come last, and not at all if `sparesPersisted`.
   * @throws AppError STORAGE, saying how far it came, if there is nothing left to delete
   */
  async deleteDownTo (targetPercent: number, sparesPersisted: boolean, signal: AbortSignal): Promise<number> {
    const { blobs, log } = this.options
    const { free, persisted } = await this.#byLastRead(signal)
    let percent = await this.#percent()
    let deletedCount = 0
    for (const digest of sparesPersisted ? free : [...free, ...persisted]) {
      if (percent <= targetPercent) break
      this.#checkWanted(signal)
      if (!sparesPersisted) await blobs.release(digest)
      if (await blobs.delete(digest).catch((error: unknown) => this.#kept(digest, error))) deletedCount++
      percent = await this.#percent()
    }
    log.info({ targetPercent, percent, deletedCount }, 'forced cleanup')
    if (percent > targetPercent) throw new AppError('STORAGE', `the disk is still filled to ${percent} %, the target was ${targetPercent} %: nothing is left to delete`)
    return percent
  }

  /** What was deleted until then stays deleted. @throws AppError CANCELLED */
  #checkWanted (signal: AbortSignal): void {
    if (signal.aborted) throw new AppError('CANCELLED', 'the cleanup ended early: whoever asked for it went away')
  }

  #isOurs (digest: Digest): boolean {
    const { placement } = this.options
    return placement.locations(digest).includes(placement.self)
  }

  async #byLastRead (signal: AbortSignal): Promise<{ free: Digest[], persisted: Digest[] }> {
    const { blobs } = this.options
    const found: Array<{ digest: Digest, lastReadMs: number, isPersisted: boolean }> = []
    for await (const digest of blobs.list()) {
      this.#checkWanted(signal)
      const lastReadMs = await blobs.lastAccessMs(digest) ?? (await blobs.stat(digest))?.modifiedMs
      if (lastReadMs !== undefined) found.push({ digest, lastReadMs, isPersisted: await blobs.isPersisted(digest) })
    }
    found.sort((a, b) => a.lastReadMs - b.lastReadMs)
    const of = (wanted: boolean): Digest[] => found.flatMap(({ digest, isPersisted }) => isPersisted === wanted ? [digest] : [])
    return { free: of(false), persisted: of(true) }
  }

  #kept (digest: Digest, error: unknown): false {
    this.options.log.warn({ digest, error: messageOf(error) }, 'blob not deleted')
    return false
  }

  /** Whole percent, rounded down, as operators know it from the reference. */
  async #percent (): Promise<number> {
    const { usedBytes, totalBytes } = await this.options.usage()
    return totalBytes === 0 ? 0 : Math.floor(100 * usedBytes / totalBytes)
  }
}
