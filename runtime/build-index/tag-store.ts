import { type Digest } from '../core/digest.js'
import { type SimpleStore } from '../store/simple.js'
import { type Page, type PageQuery, TagIndex } from './tag-index.js'

/** What the tag store needs of the disk. */
export type TagFiles = Pick<SimpleStore, 'prepare' | 'get' | 'set' | 'delete' | 'list'>

/** Where tags point, on disk and durable, and an index of their names in memory. The last write of a tag wins. */
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

  /** What the tag points at. @throws AppError CORRUPT, STORAGE */
  async get (tag: string): Promise<Digest | undefined> { return this.files.get(tag) }

  /** Removes the tag; false if there was none. @throws AppError DENIED, STORAGE */
  async delete (tag: string): Promise<boolean> {
    const isDeleted = await this.files.delete(tag)
    this.index.delete(tag)
    return isDeleted
  }

  /** One page of the names below a path prefix, sorted; see `TagIndex`. */
  page (prefix: string, query?: PageQuery): Page { return this.index.page(prefix, query) }
}
