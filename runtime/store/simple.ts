import { readdir, rm, rmdir, unlink } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { type Clock, systemClock } from '../core/clock.js'
import { type Digest, parseDigest } from '../core/digest.js'
import { AppError, messageOf } from '../core/errors.js'
import { type Logger, noLog } from '../observe/log.js'
import { AccessTimes } from './access-times.js'
import { isAbsent, makeDir, makeDirDurably, readIfPresent, replaceFile, statIfPresent, storageError, syncDir } from './files.js'
import { KeyedLock } from './keyed-lock.js'
import { dataIn, flatDir, SIDECARS, sidecarIn } from './paths.js'
import { decodePersist, encodePersist, readSidecar, writeSidecar } from './sidecars.js'

/** A tag's file holds `sha256:` and 64 characters; a little more is read, to tell a damaged one from a missing one. */
const TAG_BYTES_MAX = 4096

export interface SimpleStoreOptions {
  readonly cacheDir: string
  readonly clock?: Clock
  readonly log?: Logger
}

/** Tags on disk: a flat name such as `library/alpine:3.5` -> the digest that it points at. The last write wins. */
export class SimpleStore {
  readonly #cacheDir: string
  readonly #log: Logger
  readonly #accessTimes: AccessTimes
  readonly #lock = new KeyedLock<string>()

  constructor ({ cacheDir, clock = systemClock, log = noLog }: SimpleStoreOptions) {
    this.#cacheDir = cacheDir
    this.#log = log
    this.#accessTimes = new AccessTimes(clock)
  }

  /** Makes the root, so that a wrong path or missing rights show at the start. */
  async prepare (): Promise<void> { await makeDir(this.#cacheDir) }

  /**
   * What the tag points at, or undefined. Counts as an access.
   * @throws AppError NAME_INVALID, CORRUPT if the file holds no digest, STORAGE
   */
  async get (name: string): Promise<Digest | undefined> {
    const dir = flatDir(this.#cacheDir, name)
    const bytes = await readIfPresent(dataIn(dir), TAG_BYTES_MAX)
    if (bytes === undefined) return undefined
    await this.#accessTimes.touch(dir).catch(error => {
      this.#log.warn({ tag: name, error: messageOf(error) }, 'access time not written')
    })
    try {
      return parseDigest(bytes.toString().trim())
    } catch (cause) {
      throw new AppError('CORRUPT', `the file of tag ${name} holds no digest: put the tag again`, { cause })
    }
  }

  /** Points the tag at `digest`. When this resolves the new value survives a power loss; a reader sees the old or the new one. */
  async set (name: string, digest: Digest): Promise<void> {
    const dir = flatDir(this.#cacheDir, name)
    await this.#lock.run(name, async () => {
      try {
        await makeDirDurably(dir)
        await replaceFile(dataIn(dir), Buffer.from(digest), { isDurable: true })
        await syncDir(dir)
      } catch (error) {
        throw storageError(error, 'write the tag', dir)
      }
    })
  }

  /**
   * Deletes the tag; false if there was none. Only its own files: a name may have others nested below it.
   * @throws AppError DENIED while it is persisted; NAME_INVALID, STORAGE
   */
  async delete (name: string): Promise<boolean> {
    const dir = flatDir(this.#cacheDir, name)
    return await this.#lock.run(name, async () => {
      if (await this.isPersisted(name)) throw new AppError('DENIED', `cannot delete ${name}: file is persisted until it is written back`)
      try {
        await unlink(dataIn(dir))
        for (const sidecar of Object.values(SIDECARS)) await rm(sidecarIn(dir, sidecar), { force: true })
        await syncDir(dir)
      } catch (error) {
        if (isAbsent(error)) return false
        throw storageError(error, 'delete the tag', dir)
      } finally {
        this.#accessTimes.forget(dir)
      }
      // Fails if something is nested below, and then the directory is still needed.
      await rmdir(dir).catch(() => {})
      return true
    })
  }

  /** All names that begin with `prefix`, sorted. */
  async list (prefix = ''): Promise<string[]> {
    const names: string[] = []
    await this.#walk(this.#cacheDir, names)
    return names.filter(name => name.startsWith(prefix)).sort()
  }

  /** Unix milliseconds of the last access, exact to 5 minutes; undefined if none is on record. */
  async lastAccessMs (name: string): Promise<number | undefined> { return await this.#accessTimes.read(flatDir(this.#cacheDir, name)) }

  /** Whether the tag must not be deleted; a mark that cannot be read counts as set. */
  async isPersisted (name: string): Promise<boolean> {
    const bytes = await readSidecar(flatDir(this.#cacheDir, name), SIDECARS.persist)
    return bytes !== undefined && decodePersist(bytes) !== false
  }

  /** Sets or lifts the mark that forbids deletion; on the disk when this resolves. @throws AppError TAG_UNKNOWN, STORAGE */
  async setPersisted (name: string, isPersisted: boolean): Promise<void> {
    const dir = flatDir(this.#cacheDir, name)
    await this.#lock.run(name, async () => {
      if (await statIfPresent(dataIn(dir)) === undefined) throw new AppError('TAG_UNKNOWN', `tag ${name} is not here`)
      await writeSidecar(dir, SIDECARS.persist, encodePersist(isPersisted), true)
    })
  }

  async #walk (dir: string, names: string[]): Promise<void> {
    let entries
    try {
      entries = await readdir(dir, { withFileTypes: true })
    } catch (error) {
      if (isAbsent(error)) return
      throw storageError(error, 'list', dir)
    }
    for (const entry of entries) {
      const path = join(dir, entry.name)
      if (entry.isDirectory()) await this.#walk(path, names)
      else if (path === dataIn(dir) && dir !== this.#cacheDir) names.push(relative(this.#cacheDir, dir))
    }
  }
}
