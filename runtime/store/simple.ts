import { readdir, rm, rmdir, unlink } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { type Clock, systemClock } from '../core/clock.js'
import { type Digest, isDigest } from '../core/digest.js'
import { AppError, isAppError, messageOf } from '../core/errors.js'
import { type Logger, noLog } from '../observe/log.js'
import { AccessTimes } from './access-times.js'
import { isAbsent, makeDir, makeDirDurably, readIfPresent, replaceFile, statIfPresent, storageError, syncDir } from './files.js'
import { KeyedLock } from './keyed-lock.js'
import { dataIn, flatDir, isUnfinished, SIDECARS, sidecarIn } from './paths.js'
import { decodePersist, encodePersist, readSidecar, writeSidecar } from './sidecars.js'
import { compareVersions, formatVersion, parseVersion, stampAfter, type TagVersion } from './tag-version.js'

/** A tag's file holds `sha256:` and 64 characters; a little more is read, to tell a damaged one from a missing one. */
const TAG_BYTES_MAX = 4096

export interface SimpleStoreOptions {
  readonly cacheDir: string
  readonly clock?: Clock
  readonly log?: Logger
}

/**
 * Tags on disk: a flat name such as `library/alpine:3.5` -> the digest that it points at, and since when. The write with the
 * latest stamp wins, in whatever order they come.
 *
 *   data            sha256:...                what Kraken reads and writes
 *   _tag_version    <ms>.<count> sha256:...   written first; if the two differ, the younger file is right
 */
export class SimpleStore {
  readonly #cacheDir: string
  readonly #log: Logger
  readonly #accessTimes: AccessTimes
  readonly #lock = new KeyedLock<string>()
  readonly #clock: Clock
  readonly #beganMs: number

  constructor ({ cacheDir, clock = systemClock, log = noLog }: SimpleStoreOptions) {
    this.#cacheDir = cacheDir
    this.#clock = clock
    this.#beganMs = clock.wall()
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
    const found = await this.find(name)
    if (found === undefined) return undefined
    await this.#accessTimes.touch(flatDir(this.#cacheDir, name)).catch(error => {
      this.#log.warn({ tag: name, error: messageOf(error) }, 'access time not written')
    })
    return found.digest
  }

  /** What the tag points at and since when. No access. @throws as `get` */
  async find (name: string): Promise<TagVersion | undefined> {
    const dir = flatDir(this.#cacheDir, name)
    const bytes = await readIfPresent(dataIn(dir), TAG_BYTES_MAX)
    // Written last and deleted first: without it there is no tag.
    if (bytes === undefined) return undefined
    const noted = await this.#notedVersion(dir)
    if (noted !== undefined && digestIn(bytes) === noted.digest) return noted
    // Either somebody else wrote one of the two files, or we do right now: that is told apart when nobody writes.
    return await this.#lock.run(name, async () => await this.#find(name))
  }

  /** The same for whoever holds the lock of the name. */
  async #find (name: string): Promise<TagVersion | undefined> {
    const dir = flatDir(this.#cacheDir, name)
    const path = dataIn(dir)
    const bytes = await readIfPresent(path, TAG_BYTES_MAX)
    if (bytes === undefined) return undefined
    const noted = await this.#notedVersion(dir)
    const digest = digestIn(bytes)
    if (noted !== undefined && digest === noted.digest) return noted
    const [data, sidecar] = await Promise.all([statIfPresent(path), statIfPresent(sidecarIn(dir, SIDECARS.tagVersion))])
    // Kraken has written since; otherwise it was us, and a crash came between the two files.
    const isForeign = noted === undefined || (data !== undefined && sidecar !== undefined && data.mtimeMs > sidecar.mtimeMs)
    if (digest !== undefined && isForeign) return { digest, stamp: { ms: Math.floor(data?.mtimeMs ?? 0), count: 0 } }
    if (noted === undefined) throw new AppError('CORRUPT', `the file of tag ${name} holds no digest: put the tag again`)
    return noted
  }

  /** Points the tag at `digest` from now on, whatever stamp it has. @throws AppError STORAGE, STORAGE_FULL */
  async set (name: string, digest: Digest): Promise<void> {
    await this.#lock.run(name, async () => {
      const found = await this.#find(name).catch(() => undefined)
      await this.#write(name, { digest, stamp: stampAfter(this.#clock.wall(), [found?.stamp]) })
    })
  }

  /**
   * Points the tag at `version`, unless it has a later one, and returns what it points at afterwards. When this resolves
   * that survives a power loss; a reader sees the old or the new value. @throws AppError NAME_INVALID, STORAGE, STORAGE_FULL
   */
  async advance (name: string, version: TagVersion): Promise<TagVersion> {
    return await this.#lock.run(name, async () => {
      const found = await this.#find(name).catch((error: unknown) => {
        if (isAppError(error, 'CORRUPT')) return undefined
        throw error
      })
      if (found !== undefined && compareVersions(found, version) >= 0) return found
      await this.#write(name, version)
      return version
    })
  }

  async #write (name: string, version: TagVersion): Promise<void> {
    const dir = flatDir(this.#cacheDir, name)
    try {
      await makeDirDurably(dir)
      await writeSidecar(dir, SIDECARS.tagVersion, formatVersion(version), true)
      await replaceFile(dataIn(dir), Buffer.from(version.digest), { isDurable: true })
      await syncDir(dir)
    } catch (error) {
      throw storageError(error, 'write the tag', dir)
    }
  }

  async #notedVersion (dir: string): Promise<TagVersion | undefined> {
    const bytes = await readSidecar(dir, SIDECARS.tagVersion)
    return bytes === undefined ? undefined : parseVersion(bytes.toString())
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

  /** Removes what was to replace a file when an earlier process died. */
  async #sweep (path: string): Promise<void> {
    const found = await statIfPresent(path)
    if (found !== undefined && found.mtimeMs < this.#beganMs) await rm(path, { force: true })
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
      else if (isUnfinished(entry.name)) await this.#sweep(path)
      else if (path === dataIn(dir) && dir !== this.#cacheDir) names.push(relative(this.#cacheDir, dir))
    }
  }
}

function digestIn (bytes: Uint8Array): Digest | undefined {
  const text = Buffer.from(bytes).toString().trim()
  return isDigest(text) ? text : undefined
}
