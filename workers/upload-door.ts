import { type Digest, type Sha512Digest } from '../runtime/core/digest.js'
import { isAppError } from '../runtime/core/errors.js'
import { Slab } from '../runtime/core/slab.js'
import { type PieceLengthConfig } from '../runtime/config/types.js'
import { type HashEngine } from '../wasm/engine.js'
import { type UploadCalls, type UploadOptions } from './jobs.js'
import { type ServiceDoor, startService } from './pool.js'
import { SlotWriter, UploadSlots, type UploadWriter } from './upload/slot-writer.js'

export { type UploadWriter } from './upload/slot-writer.js'

export const UPLOAD_SLOT_BYTES = 256 * 1024
/** Room for sidecars, tasks and logs. */
const RESERVE_BYTES = 64 * 1024 * 1024

export interface UploadsOptions {
  readonly uploadDir: string
  readonly cacheDir: string
  /** Slots of 256 KiB for chunks on their way to the disk. */
  readonly slotCount: number
  /** Undefined if committed blobs need no metainfo (the proxy's). */
  readonly pieceLengths: readonly PieceLengthConfig[] | undefined
  readonly uploadTtlMs: number
  readonly isDurable: boolean
  /** Default 64 MiB. */
  readonly reserveBytes?: number
  readonly hashEngine?: HashEngine
  /** Overwrite released slots; for tests. */
  readonly isPoisoned?: boolean
}

/** The main thread's side of the upload service. */
export class Uploads {
  private constructor (readonly door: ServiceDoor<UploadCalls, object>, readonly slots: UploadSlots) {
    // Without its upload thread the process can take nothing in: end it, so that whoever supervises it starts it anew.
    void door.failed.then(error => setImmediate(() => { throw error }))
  }

  /** Starts the thread. Uploads of an earlier process can be continued. @throws AppError CONFIG_INVALID, STORAGE */
  static async start (options: UploadsOptions): Promise<Uploads> {
    const { slotCount, hashEngine = 'auto', isPoisoned = false, reserveBytes = RESERVE_BYTES, ...rest } = options
    const slab = Slab.create(slotCount, UPLOAD_SLOT_BYTES, { poison: isPoisoned })
    slab.touch()
    const door = await startService<UploadCalls, object, UploadOptions>('upload', { ...rest, reserveBytes, hashEngine, isPoisoned, slab: slab.memory })
    return new Uploads(door, new UploadSlots(slab))
  }

  /**
   * Starts an upload and answers with its UUID.
   * @param sizeBytesHint - the size if it is known: the sums of the right pieces are then made on the way
   * @throws AppError TOO_MANY_REQUESTS, STORAGE, STORAGE_FULL
   */
  async start (sizeBytesHint?: number): Promise<string> { return (await this.door.call('start', { sizeBytesHint })).upload }

  /** How much is written of an upload; undefined if there is no such upload. */
  async status (upload: string): Promise<{ sizeBytes: number } | undefined> { return await this.door.call('status', { upload }) }

  /** Writes from `offset` on. Any offset will do; chunks that continue each other need not be read again at the end. */
  writer (upload: string, offset: number): UploadWriter { return new SlotWriter(this.door, this.slots, upload, offset) }

  /**
   * Turns the upload into the blob; durable, where that is asked for, when this resolves. The upload is gone afterwards.
   * @throws AppError UPLOAD_UNKNOWN, DIGEST_MISMATCH, BLOB_EXISTS, STORAGE, STORAGE_FULL
   */
  async commit (upload: string, digest: Digest): Promise<{ sizeBytes: number }> { return await this.door.call('commit', { upload, digest }) }

  /** Both sums of what is written so far, from one pass over the file. @throws AppError UPLOAD_UNKNOWN, STORAGE */
  async digests (upload: string): Promise<{ sha256: Digest, sha512: Sha512Digest }> { return await this.door.call('digests', { upload }) }

  /** Forgets the upload and its bytes; false if there is no such upload. */
  async cancel (upload: string): Promise<boolean> { return (await this.door.call('cancel', { upload })).existed }

  /** Cuts the upload back, after a chunk that broke off. @throws AppError UPLOAD_UNKNOWN, STORAGE */
  async truncate (upload: string, sizeBytes: number): Promise<{ sizeBytes: number }> {
    return await this.door.call('truncate', { upload, sizeBytes })
  }

  /** Stores content that is in memory, a manifest for instance. A blob that is there already will do. */
  async put (bytes: Uint8Array, digest: Digest): Promise<void> {
    const upload = await this.start(bytes.length)
    const writer = this.writer(upload, 0)
    try {
      await writer.write(bytes)
      await writer.end()
    } catch (error) {
      await writer.abort()
      await this.cancel(upload)
      throw error
    }
    await this.commit(upload, digest).catch((error: unknown) => {
      if (!isAppError(error, 'BLOB_EXISTS')) throw error
    })
  }

  /** How many slots are in use; none while nobody writes. */
  get leasedSlots (): number { return this.slots.queue.slab.leasedCount }

  /** Breaks off what is being written and ends the thread after what it was asked to do. Unfinished uploads stay on disk. Idempotent. */
  async close (): Promise<void> {
    await this.slots.close()
    await this.door.close()
  }
}
