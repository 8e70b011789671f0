import { createHash } from 'node:crypto'
import { open, type RootDatabase } from 'lmdb'
import { type AppError, isAppError, messageOf } from '../core/errors.js'
import { type Logger } from '../observe/log.js'
import { makeDirDurably, storageError } from '../store/files.js'
import { readTaskRecord, type TaskRecord } from './task.js'

/** Longer keys are stored under their hash: the database takes names of up to 1,978 bytes. */
const KEY_BYTES_MAX = 512

/**
 * The tasks of a component on disk, in an LMDB environment of their own. Writes of one turn of the event loop leave in one
 * transaction, off the main thread, and resolve when they are synced. Whatever instruction a crash interrupts, the next
 * process finds every write that had resolved and no part of any other.
 */
export class TaskStore {
  private constructor (readonly dir: string, readonly db: RootDatabase<unknown, string>) {}

  /** @throws AppError STORAGE, STORAGE_FULL */
  static async open (dir: string): Promise<TaskStore> {
    await makeDirDurably(dir)
    try {
      // Without overlapping syncs, what has resolved is in the newest of the two meta pages and not only on its way.
      return new TaskStore(dir, open({ path: dir, encoding: 'json', noSubdir: false, overlappingSync: false }))
    } catch (error) {
      throw storageError(error, 'open the tasks in', dir)
    }
  }

  /** All tasks; those that cannot be read stay where they are and are reported. */
  * all (log: Logger): Generator<TaskRecord> {
    for (const { key, value } of this.db.getRange()) {
      try {
        yield readTaskRecord(value)
      } catch (error) {
        if (!isAppError(error)) throw error
        log.error({ key, error: error.message }, 'task unreadable')
      }
    }
  }

  get (kind: string, key: string): TaskRecord | undefined {
    const stored: unknown = this.db.get(nameOf(kind, key))
    return stored === undefined ? undefined : readTaskRecord(stored)
  }

  /** All of them or none. @throws AppError STORAGE, STORAGE_FULL */
  async put (records: readonly TaskRecord[]): Promise<void> {
    await this.#write(this.db.batch(() => { for (const record of records) this.#launch(this.db.put(nameOf(record.kind, record.key), record)) }))
  }

  /** @throws AppError STORAGE, STORAGE_FULL */
  async delete (kind: string, key: string): Promise<void> { await this.#write(this.db.remove(nameOf(kind, key))) }

  async close (): Promise<void> { await this.db.close() }

  /** A part of a batch, whose outcome is that of the batch. */
  #launch (part: Promise<boolean>): void { part.catch(() => {}) }

  async #write (written: Promise<boolean>): Promise<void> {
    try {
      await written
    } catch (error) {
      throw this.#failure(error)
    }
  }

  /** A failed commit hides the system's error one level down. */
  #failure (error: unknown): AppError {
    const inner: unknown = typeof error === 'object' && error !== null && 'commitError' in error ? error.commitError : error
    const isFull = /no space left/i.test(messageOf(inner))
    return storageError(isFull ? Object.assign(new Error(messageOf(inner)), { code: 'ENOSPC' }) : inner, 'write tasks into', this.dir)
  }
}

function nameOf (kind: string, key: string): string {
  const isShort = Buffer.byteLength(key) <= KEY_BYTES_MAX && !key.includes('\0')
  return `${kind}\n${isShort ? `=${key}` : `#${createHash('sha256').update(key).digest('hex')}`}`
}
