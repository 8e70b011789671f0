import { type Digest } from '../core/digest.js'
import { isAppError } from '../core/errors.js'
import { KeyedLock } from '../store/keyed-lock.js'
import { type SimpleStore } from '../store/simple.js'
import { compareVersions, formatVersion, isDeletion, newerOf, parseVersion, successorOf, type TagVersion } from '../store/tag-version.js'
import { type RecordStore } from './records.js'
import { type Page, type PageQuery, TagIndex } from './tag-index.js'

/** What the tag store needs of the disk. */
export type TagFiles = Pick<SimpleStore, 'prepare' | 'get' | 'find' | 'set' | 'advance' | 'delete' | 'setPersisted' | 'list'>
/** Where it is kept when tags were deleted, so that an older value that turns up again is known to be old. */
export type Graves = Pick<RecordStore, 'get' | 'put' | 'keys'>

/** Where tags point, on disk and durable, and an index of their names in memory. The latest write of a tag wins. */
export class TagStore {
  readonly #turns = new KeyedLock<string>()

  private constructor (readonly files: TagFiles, readonly graves: Graves, readonly index: TagIndex) {}

  /** Reads the names that are on disk, and finishes what a crash left half deleted. @throws AppError STORAGE */
  static async open (files: TagFiles, graves: Graves = memoryGraves()): Promise<TagStore> {
    await files.prepare()
    const store = new TagStore(files, graves, new TagIndex(await files.list()))
    for (const key of graves.keys(GRAVE)) {
      const tag = key.slice(GRAVE.length)
      if (store.has(tag)) await store.#turns.run(tag, async () => { if (isDeletion(await store.find(tag))) await store.#remove(tag) })
    }
    return store
  }

  /** How many tags there are. */
  get size (): number { return this.index.size }

  /** Points the tag at `digest`; when this resolves, readers and lists see it and a power loss does not undo it. */
  async put (tag: string, digest: Digest): Promise<void> {
    await this.#turns.run(tag, async () => {
      await this.files.set(tag, digest)
      const grave = this.#grave(tag)
      // Its clock may have been set back since the delete.
      if (isDeletion(await this.find(tag)) && grave !== undefined) await this.files.advance(tag, { digest, stamp: successorOf(grave.stamp) })
      this.index.add(tag)
    })
  }

  /** Points the tag at `version`, or deletes it, unless it has a later one; returns what holds then. Durable as `put`. */
  async advance (tag: string, version: TagVersion): Promise<TagVersion> {
    return await this.#turns.run(tag, async () => {
      const known = await this.find(tag).catch(undefinedIfDamaged)
      if (known !== undefined && compareVersions(known, version) >= 0) return known
      if (isDeletion(version)) {
        await this.graves.put(GRAVE + tag, formatVersion(version))
        await this.#remove(tag)
        return version
      }
      const found = await this.files.advance(tag, version)
      this.index.add(tag)
      return found
    })
  }

  /** Whether there is such a tag. */
  has (tag: string): boolean { return this.index.has(tag) }

  /** What the tag points at. @throws AppError CORRUPT, STORAGE */
  async get (tag: string): Promise<Digest | undefined> {
    return this.#grave(tag) !== undefined && isDeletion(await this.find(tag)) ? undefined : await this.files.get(tag)
  }

  /**
   * What the tag points at and since when, without counting as an access; a deleted one points at `DELETED`.
   * @throws AppError CORRUPT, STORAGE
   */
  async find (tag: string): Promise<TagVersion | undefined> { return newerOf(await this.files.find(tag), this.#grave(tag)) }

  /** One page of the names below a path prefix, sorted; see `TagIndex`. */
  page (prefix: string, query?: PageQuery): Page { return this.index.page(prefix, query) }

  async #remove (tag: string): Promise<void> {
    // What was still to be written back is not wanted any more.
    await this.files.setPersisted(tag, false).catch((error: unknown) => { if (!isAppError(error, 'TAG_UNKNOWN')) throw error })
    await this.files.delete(tag)
    this.index.delete(tag)
  }

  #grave (tag: string): TagVersion | undefined {
    const record = this.graves.get(GRAVE + tag)
    return record === undefined ? undefined : parseVersion(record.value)
  }
}

const GRAVE = 'gone:'

function undefinedIfDamaged (error: unknown): undefined {
  if (isAppError(error, 'CORRUPT')) return undefined
  throw error
}

/** For as long as the process lives. */
function memoryGraves (): Graves {
  const graves = new Map<string, string>()
  return {
    get: key => {
      const value = graves.get(key)
      return value === undefined ? undefined : { value, version: 1 }
    },
    put: async (key, value) => {
      graves.set(key, value)
      return 1
    },
    keys: () => graves.keys()
  }
}
