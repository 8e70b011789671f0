import { type Digest } from '../core/digest.js'
import { type SimpleStore } from '../store/simple.js'
import { type TagVersion } from '../store/tag-version.js'
import { type Page, type PageQuery, TagIndex } from './tag-index.js'

/** What the tag store needs of the disk. */
export type TagFiles = Pick<SimpleStore, 'prepare' | 'get' | 'find' | 'set' | 'advance' | 'delete' | 'list'>

/** Where tags point, on disk and durable, and an index of their names in memory. The latest write of a tag wins. */
export class TagStore {
  private constructor (readonly files: TagFiles, readonly index: TagIndex) {}

  /** Reads the names that are on disk. @throws AppError STORAGE */
  static async open (files: TagFiles): Promise<TagStore> {
    await files.prepare()
    return new TagStore(files, new TagIndex(await files.list()))
  }

  /** How many tags there are. */
  get size (): number { return this.index.size }

  /** Points the tag at `digest`; when this resolves, readers and lists see it and a power loss does not undo it. */
  async put (tag: string, digest: Digest): Promise<void> {
    await this.files.set(tag, digest)
    this.index.add(tag)
  }

  /** Points the tag at `version`, unless it has a later one; returns what it points at then. Durable as `put`. */
  async advance (tag: string, version: TagVersion): Promise<TagVersion> {
    const found = await this.files.advance(tag, version)
    this.index.add(tag)
    return found
  }

  /** Whether there is such a tag. */
  has (tag: string): boolean { return this.index.has(tag) }

  /** What the tag points at. @throws AppError CORRUPT, STORAGE */
  async get (tag: string): Promise<Digest | undefined> { return this.files.get(tag) }

  /** What the tag points at and since when, without counting as an access. @throws AppError CORRUPT, STORAGE */
  async find (tag: string): Promise<TagVersion | undefined> { return this.files.find(tag) }

  /** Removes the tag; false if there was none. @throws AppError DENIED, STORAGE */
  async delete (tag: string): Promise<boolean> {
    const isDeleted = await this.files.delete(tag)
    this.index.delete(tag)
    return isDeleted
  }

  /** One page of the names below a path prefix, sorted; see `TagIndex`. */
  page (prefix: string, query?: PageQuery): Page { return this.index.page(prefix, query) }
}
