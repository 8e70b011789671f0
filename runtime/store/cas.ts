import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, systemClock } from '../core/clock.js'
import { type Digest, digestFromHex, type DigestHex, hexOf, isDigest } from '../core/digest.js'
import { AppError, messageOf } from '../core/errors.js'
import { type MetaInfo } from '../core/metainfo.js'
import { type Logger, noLog } from '../observe/log.js'
import { AccessTimes } from './access-times.js'
import { isAbsent, makeDir, removeEntry, statIfPresent, storageError } from './files.js'
import { blobDir, dataIn, isDoomed, SIDECARS } from './paths.js'
import { decodePersist, encodePersist, readMetaInfo, readSidecar, writeMetaInfo, writeSidecar } from './sidecars.js'

/** A blob's data file. A descriptor opened on `path` stays readable when the blob is deleted. */
export interface BlobFile { readonly path: string, readonly sizeBytes: number }
export interface BlobStat extends BlobFile {
  /** Unix milliseconds at which its bytes were written. */
  readonly modifiedMs: number
}

export interface CasStoreOptions { readonly cacheDir: string, readonly clock?: Clock, readonly log?: Logger }

/**
 * The blobs in a cache directory, by digest. A blob that is visible is complete: it gets here by a rename and leaves by
 * one. The content of a blob never changes; its sidecars are replaced as a whole.
 */
export class CasStore {
  readonly #cacheDir: string
  readonly #log: Logger
  readonly #accessTimes: AccessTimes

  constructor ({ cacheDir, clock = systemClock, log = noLog }: CasStoreOptions) {
    this.#cacheDir = cacheDir
    this.#log = log
    this.#accessTimes = new AccessTimes(clock)
  }

  /** Looks at a blob without counting as an access. @throws AppError STORAGE */
  async stat (digest: Digest): Promise<BlobStat | undefined> {
    const path = dataIn(this.#dirOf(digest))
    const found = await statIfPresent(path)
    return found?.isFile() === true ? { path, sizeBytes: found.size, modifiedMs: found.mtimeMs } : undefined
  }

  async has (digest: Digest): Promise<boolean> { return await this.stat(digest) !== undefined }

  /** Where a blob can be read, or undefined if it is not here. Counts as an access. @throws AppError STORAGE */
  async open (digest: Digest): Promise<BlobFile | undefined> {
    const found = await this.stat(digest)
    if (found === undefined) return undefined
    await this.#accessTimes.touch(this.#dirOf(digest)).catch(error => {
      // Not worth failing a read for, on a full disk for instance.
      this.#log.warn({ digest, error: messageOf(error) }, 'access time not written')
    })
    return { path: found.path, sizeBytes: found.sizeBytes }
  }

  /** Unix milliseconds of the last access, exact to 5 minutes; undefined if none is on record. */
  async lastAccessMs (digest: Digest): Promise<number | undefined> { return await this.#accessTimes.read(this.#dirOf(digest)) }

  /**
   * Deletes a blob and its sidecars; false if it was not here.
   * @throws AppError DENIED while it is persisted, that is, not yet written back; STORAGE
   */
  async delete (digest: Digest): Promise<boolean> {
    if (await this.isPersisted(digest)) throw new AppError('DENIED', `cannot delete ${digest}: file is persisted until it is written back`)
    const isPresent = await this.has(digest)
    this.#accessTimes.forget(this.#dirOf(digest))
    return await removeEntry(this.#dirOf(digest)) && isPresent
  }

  /** All blobs, in the order of their digests. What a crash left behind half deleted is cleared away in passing. */
  async list (): Promise<Digest[]> {
    const digests: Digest[] = []
    for (const first of await namesIn(this.#cacheDir)) {
      for (const second of await namesIn(join(this.#cacheDir, first))) {
        for (const name of await namesIn(join(this.#cacheDir, first, second))) {
          const digest = digestFromHex(name as DigestHex)
          if (isDoomed(name)) await rm(join(this.#cacheDir, first, second, name), { recursive: true, force: true })
          else if (isDigest(digest) && await this.has(digest)) digests.push(digest)
        }
      }
    }
    return digests
  }

  /**
   * The list of pieces of a blob, or undefined if there is none, or none that can be used: one that a power loss tore, or
   * that is of something else, is reported and made again by whoever needs it.
   */
  async metaInfo (digest: Digest): Promise<MetaInfo | undefined> {
    const [found, { metaInfo, damage }] = await Promise.all([this.stat(digest), readMetaInfo(this.#dirOf(digest))])
    if (damage !== undefined) this.#log.warn({ digest, damage }, 'metainfo damaged')
    if (metaInfo === undefined || found === undefined) return undefined
    if (metaInfo.name !== hexOf(digest) || metaInfo.lengths.totalBytes !== found.sizeBytes) {
      this.#log.warn({ digest, damage: `it is of ${metaInfo.name} with ${metaInfo.lengths.totalBytes} bytes` }, 'metainfo damaged')
      return undefined
    }
    return metaInfo
  }

  /** Replaces the list of pieces of a blob. @throws AppError BLOB_UNKNOWN, STORAGE */
  async setMetaInfo (metaInfo: MetaInfo): Promise<void> {
    await this.#requireBlob(metaInfo.digest)
    const dir = this.#dirOf(metaInfo.digest)
    // Digests of other pieces than those of the list would condemn good pieces.
    if (metaInfo.pieceDigests === undefined) await rm(join(dir, SIDECARS.pieceSha256), { force: true })
    await writeMetaInfo(dir, metaInfo)
  }

  /** Whether the blob must not be deleted. A mark that cannot be read counts as set, since it is there for a reason. */
  async isPersisted (digest: Digest): Promise<boolean> {
    const bytes = await readSidecar(this.#dirOf(digest), SIDECARS.persist)
    return bytes !== undefined && decodePersist(bytes) !== false
  }

  /** Sets or lifts the mark that forbids deletion; on the disk when this resolves. @throws AppError BLOB_UNKNOWN, STORAGE */
  async setPersisted (digest: Digest, isPersisted: boolean): Promise<void> {
    await this.#requireBlob(digest)
    await writeSidecar(this.#dirOf(digest), SIDECARS.persist, encodePersist(isPersisted), true)
  }

  /** Makes the root, so that a wrong path or missing rights show at the start. */
  async prepare (): Promise<void> { await makeDir(this.#cacheDir) }

  async #requireBlob (digest: Digest): Promise<void> {
    if (!await this.has(digest)) throw new AppError('BLOB_UNKNOWN', `blob ${digest} is not in the cache`)
  }

  #dirOf (digest: Digest): string { return blobDir(this.#cacheDir, hexOf(digest)) }
}

/** The names in a directory, sorted; none if it is no directory or disappeared meanwhile. */
async function namesIn (dir: string): Promise<string[]> {
  try {
    return (await readdir(dir)).sort()
  } catch (error) {
    if (isAbsent(error)) return []
    throw storageError(error, 'list', dir)
  }
}
