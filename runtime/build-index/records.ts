import { open, type RootDatabase } from 'lmdb'
import { AppError } from '../core/errors.js'
import { isRecord } from '../core/json.js'
import { makeDirDurably, storageError } from '../store/files.js'

/** Bytes of a key: a repository's name and a digest of 135 characters, or a tag of up to 1 KiB, and what kind of record it is. */
export const RECORD_KEY_BYTES_MAX = 1100
/** Characters of a value: two digests fit well. */
export const RECORD_VALUE_MAX = 512
/** Versions are far below: microseconds since 1970, and one more for each write of one key that comes sooner. */
const VERSION_MAX = 2 ** 52

/** What one key says, and since when. */
export interface IndexRecord {
  readonly value: string
  readonly version: number
}

/**
 * What the registries of a cluster know of repositories beside their tags, by key, in a database of its own. The newest
 * version of a key wins wherever it comes from, so the same writes in any order lead to the same records on all
 * build-indexes. A write that has resolved survives a power loss.
 */
export class RecordStore {
  private constructor (readonly dir: string, readonly db: RootDatabase<unknown, string>, readonly nowMs: () => number) {}

  /** @param nowMs - the time since 1970, to order writes by. @throws AppError STORAGE */
  static async open (dir: string, nowMs: () => number): Promise<RecordStore> {
    await makeDirDurably(dir)
    try {
      // Without overlapping syncs, what has resolved is on the disk and not only on its way there.
      return new RecordStore(dir, open({ path: dir, encoding: 'json', noSubdir: false, overlappingSync: false }), nowMs)
    } catch (error) {
      throw storageError(error, 'open the records in', dir)
    }
  }

  get (key: string): IndexRecord | undefined { return readRecord(this.db.get(checkKey(key))) }

  /** Writes a version that is newer than what is here. @returns that version. @throws AppError PARAMETER_INVALID, STORAGE */
  async put (key: string, value: string): Promise<number> {
    return await this.#write(key, value, known => Math.max(Math.floor(this.nowMs() * 1000), (known?.version ?? 0) + 1))
  }

  /** Takes over what another build-index has, unless what is here is newer. @throws AppError PARAMETER_INVALID, STORAGE */
  async putVersion (key: string, { value, version }: IndexRecord): Promise<void> {
    if (!Number.isSafeInteger(version) || version < 1 || version > VERSION_MAX) throw new AppError('PARAMETER_INVALID', `${version} is no version of a record`)
    await this.#write(key, value, () => version)
  }

  /** The keys that begin with `prefix`, sorted. */
  * keys (prefix: string): Iterable<string> {
    for (const key of this.db.getKeys({ start: prefix })) {
      if (!key.startsWith(prefix)) return
      yield key
    }
  }

  async close (): Promise<void> { await this.db.close() }

  async #write (key: string, value: string, versionOf: (known: IndexRecord | undefined) => number): Promise<number> {
    checkKey(key)
    if (value.length > RECORD_VALUE_MAX) throw new AppError('PARAMETER_INVALID', `a record has at most ${RECORD_VALUE_MAX} characters`)
    try {
      return await this.db.transaction(() => {
        const known = readRecord(this.db.get(key))
        const version = versionOf(known)
        // Of two values with one version, which two writers made at the same moment, all must choose the same.
        const isNewer = known === undefined || version > known.version || (version === known.version && value > known.value)
        if (isNewer) this.db.putSync(key, { value, version })
        return version
      })
    } catch (error) {
      throw storageError(error, 'write a record into', this.dir)
    }
  }
}

/** @throws AppError PARAMETER_INVALID */
function checkKey (key: string): string {
  if (key === '' || Buffer.byteLength(key) > RECORD_KEY_BYTES_MAX || key.includes('\0')) {
    throw new AppError('PARAMETER_INVALID', `the key of a record has 1 to ${RECORD_KEY_BYTES_MAX} bytes and no zero among them`)
  }
  return key
}

function readRecord (stored: unknown): IndexRecord | undefined {
  if (!isRecord(stored) || typeof stored['value'] !== 'string' || typeof stored['version'] !== 'number') return undefined
  return { value: stored['value'], version: stored['version'] }
}
