import { type FileHandle, open } from 'node:fs/promises'
import { type Bitfield } from '../core/bitfield.js'
import { storageError } from './files.js'
import { sidecarIn, SIDECARS } from './paths.js'
import { encodeStatus } from './sidecars.js'

/**
 * The `_status` sidecar of a download, patched in place. Changes that come while a write is under way leave together with
 * the next one, so the rate of writes is that of the disk and not that of the pieces.
 */
export class StatusFile {
  readonly #bytes: Uint8Array
  #changedFrom = Infinity
  #changedTo = 0
  #running: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined

  /** @param beforeWrite - makes sure that the data of the pieces is where it must be before they are marked */
  constructor (readonly path: string, readonly handle: FileHandle, have: Bitfield, readonly beforeWrite: () => Promise<void>) {
    this.#bytes = encodeStatus(have)
  }

  static async open (dir: string, have: Bitfield, beforeWrite: () => Promise<void>): Promise<StatusFile> {
    const path = sidecarIn(dir, SIDECARS.status)
    try {
      return new StatusFile(path, await open(path, 'r+'), have, beforeWrite)
    } catch (error) {
      throw storageError(error, 'open', path)
    }
  }

  static async create (dir: string, have: Bitfield, beforeWrite: () => Promise<void>): Promise<StatusFile> {
    const path = sidecarIn(dir, SIDECARS.status)
    const handle = await open(path, 'wx+')
    const status = new StatusFile(path, handle, have, beforeWrite)
    try {
      await handle.write(status.#bytes)
      return status
    } catch (error) {
      await handle.close()
      throw storageError(error, 'write', path)
    }
  }

  /** Notes whether a piece is stored, and resolves when the file says so. @throws AppError STORAGE, STORAGE_FULL */
  async set (piece: number, isStored: boolean): Promise<void> {
    this.#bytes[piece] = isStored ? 1 : 0
    this.#changedFrom = Math.min(this.#changedFrom, piece)
    this.#changedTo = Math.max(this.#changedTo, piece + 1)
    await this.flush()
  }

  /** Resolves when everything noted before is in the file. */
  async flush (): Promise<void> {
    this.#next ??= this.#running.catch(() => {}).then(async () => {
      this.#running = this.#next ?? Promise.resolve()
      this.#next = undefined
      await this.#write()
    })
    await this.#next
  }

  /** Writes what is noted and lets go of the file. */
  async close (): Promise<void> {
    try {
      await this.flush()
    } finally {
      await this.handle.close()
    }
  }

  async #write (): Promise<void> {
    const from = this.#changedFrom
    const to = this.#changedTo
    if (from >= to) return
    this.#changedFrom = Infinity
    this.#changedTo = 0
    // Copied now: a piece noted during the waits below may not be safe yet and belongs to the next write.
    const changed = this.#bytes.slice(from, to)
    try {
      await this.beforeWrite()
      await this.handle.write(changed, 0, changed.length, from)
    } catch (error) {
      this.#changedFrom = Math.min(this.#changedFrom, from)
      this.#changedTo = Math.max(this.#changedTo, to)
      throw storageError(error, 'write', this.path)
    }
  }
}
