import { join } from 'node:path'
import { open, type RootDatabase } from 'lmdb'
import { originApi } from '../../net/api/origin.js'
import { ok, text } from '../../net/http/reply.js'
import { type Router } from '../../net/http/router.js'
import { AppError } from '../core/errors.js'
import { makeDirDurably, storageError } from '../store/files.js'
import { compareVersions, formatVersion, parseVersion, type TagVersion } from '../store/tag-version.js'

/** Marks kept at most, about 0.2 KB each. */
const MARKS_MAX = 1_000_000
/** Of a tag's name; the database takes keys of up to 1,978 bytes. */
const TAG_BYTES_MAX = 1100
const BODY_BYTES_MAX = 256

/**
 * Where tags point, kept for build-indexes that could not tell all of their neighbours: whoever of those comes back while
 * the writer is away learns it here. A mark is taken away when all neighbours know. What was put survives a power loss.
 */
export class TagMarks {
  #count: number

  private constructor (readonly dir: string, readonly db: RootDatabase<string, string>) { this.#count = db.getCount() }

  /** @param taskDir - the folder of this origin's tasks, in which the marks get one of their own. @throws AppError STORAGE */
  static async open (taskDir: string): Promise<TagMarks> {
    const dir = join(taskDir, 'marks')
    await makeDirDurably(dir)
    try {
      // Without overlapping syncs, what has resolved is on the disk and not only on its way there.
      return new TagMarks(dir, open({ path: dir, encoding: 'json', noSubdir: false, overlappingSync: false }))
    } catch (error) {
      throw storageError(error, 'open the marks of tags in', dir)
    }
  }

  get count (): number { return this.#count }

  get (tag: string): TagVersion | undefined { return read(this.db.get(tag)) }

  /** Keeps the version, unless there is a later one. @throws AppError PARAMETER_INVALID, UNAVAILABLE, STORAGE */
  async put (tag: string, version: TagVersion): Promise<void> {
    if (Buffer.byteLength(tag) > TAG_BYTES_MAX || tag === '' || tag.includes('\0')) {
      throw new AppError('PARAMETER_INVALID', `a tag has 1 to ${TAG_BYTES_MAX} bytes and no zero among them`)
    }
    if (this.#count >= MARKS_MAX) throw new AppError('UNAVAILABLE', `${this.#count} tags are marked already: see which build-index is away`)
    await this.#change(() => {
      const known = this.get(tag)
      if (known !== undefined && compareVersions(known, version) >= 0) return
      if (known === undefined) this.#count++
      this.db.putSync(tag, formatVersion(version))
    })
  }

  /** Takes the mark away, unless it is later than `version`. @throws AppError STORAGE */
  async delete (tag: string, version: TagVersion): Promise<void> {
    if (this.get(tag) === undefined) return
    await this.#change(() => {
      const known = this.get(tag)
      if (known === undefined || compareVersions(known, version) > 0) return
      this.#count--
      this.db.removeSync(tag)
    })
  }

  async close (): Promise<void> { await this.db.close() }

  async #change (work: () => void): Promise<void> {
    try {
      await this.db.transaction(work)
    } catch (error) {
      throw storageError(error, 'write a mark into', this.dir)
    }
  }
}

/**
 * Adds the routes of the marks, which only this program has: 200 `<stamp> <digest>`, or 204 where there is none, so that an
 * origin which knows no marks, and answers 404, is told from one that has none.
 */
export function withTagMarks (router: Router, marks: Pick<TagMarks, 'get' | 'put' | 'delete'>): Router {
  const versionIn = (bytes: Uint8Array): TagVersion => {
    const version = parseVersion(Buffer.from(bytes).toString())
    if (version === undefined) throw new AppError('BODY_INVALID', 'expected "<milliseconds>.<count> sha256:<64 hex digits>"')
    return version
  }
  return router
    .on(originApi.getTagMark, (_, { tag }) => {
      const version = marks.get(tag)
      return version === undefined ? { status: 204 } : text(formatVersion(version))
    })
    .on(originApi.putTagMark, async ({ body }, { tag }) => {
      await marks.put(tag, versionIn(await body.bytes(BODY_BYTES_MAX)))
      return ok()
    })
    .on(originApi.deleteTagMark, async ({ body }, { tag }) => {
      await marks.delete(tag, versionIn(await body.bytes(BODY_BYTES_MAX)))
      return ok()
    })
}

function read (stored: unknown): TagVersion | undefined { return typeof stored === 'string' ? parseVersion(stored) : undefined }
