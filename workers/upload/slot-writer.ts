import { AppError, isAppError } from '../../runtime/core/errors.js'
import { type Filling, type Slab } from '../../runtime/core/slab.js'
import { SlotQueue } from '../../runtime/core/slot-queue.js'
import { type UploadCalls } from '../jobs.js'
import { type ServiceDoor } from '../pool.js'

/** Takes one chunk of an upload. */
export interface UploadWriter {
  /**
   * Copies the bytes, which are borrowed until this returns. A promise means that no slot is free: nothing more may be
   * written before it resolves.
   * @throws AppError what an earlier write met: UPLOAD_UNKNOWN, STORAGE_FULL, ...
   */
  write (chunkView: Uint8Array): void | Promise<void>
  /** Resolves when everything is in the upload's file. @throws AppError if anything is not */
  end (): Promise<{ sizeBytes: number }>
  /**
   * Gives up, at any time and any number of times. Resolves when nothing of this writer is under way any more; what was
   * written so far may be in the file and can be cut away with `truncate`.
   */
  abort (): Promise<void>
}

/**
 * The slots as they are shared by the writers. A slot is with a writer, which fills it, or with the service, which gives
 * it back soon. Writers whose client is slow must not keep all slots to themselves: when somebody waits and too few slots
 * are with the service, the writer that has held one for longest must send it as it is.
 */
export class UploadSlots {
  readonly queue: SlotQueue
  readonly #holders = new Set<SlotWriter>()
  readonly #waiting = new Set<SlotWriter>()
  #inService = 0
  constructor (slab: Slab) { this.queue = new SlotQueue(slab) }

  /** Calls `ready` with a slot, at once if there is one; the function returned withdraws a request that waits. */
  request (writer: SlotWriter, ready: (lease: Filling) => void): () => void {
    this.#waiting.add(writer)
    const withdraw = this.queue.request(1, ([lease]) => {
      if (lease === undefined) return
      this.#waiting.delete(writer)
      this.#holders.add(writer)
      ready(lease)
    })
    this.#relieve()
    return () => {
      this.#waiting.delete(writer)
      withdraw()
    }
  }

  /** The writer has sent its slot to the service. */
  sent (writer: SlotWriter): void {
    this.#holders.delete(writer)
    this.#inService++
  }

  /** The service has released a slot. */
  returned (): void {
    this.#inService--
    this.queue.release([])
    this.#relieve()
  }

  /** The writer gives its slot up. */
  release (writer: SlotWriter, lease: Filling): void {
    this.#holders.delete(writer)
    this.queue.release([lease])
  }

  /** Ends all writers that hold a slot or wait for one: the service will not return any. */
  async close (): Promise<void> {
    await Promise.all([...this.#holders, ...this.#waiting].map(async writer => await writer.abort()))
  }

  #relieve (): void {
    if (!this.queue.isContended || 2 * this.#inService >= this.queue.slab.slotCount) return
    const [longest] = this.#holders
    longest?.send()
  }
}

/** One chunk on its way into slots. */
export class SlotWriter implements UploadWriter {
  #lease: Filling | undefined
  #filledBytes = 0
  #sizeBytes: number | undefined
  #failure: AppError | undefined
  #isEnded = false
  #underWay = 0
  #settled: (() => void) | undefined
  #withdraw: (() => void) | undefined

  constructor (readonly door: ServiceDoor<UploadCalls, object>, readonly slots: UploadSlots, readonly upload: string, public offset: number) {}

  write (chunkView: Uint8Array): void | Promise<void> {
    this.#requireGood()
    const rest = this.#copyWhileFree(chunkView)
    // The view is gone when this returns, so what found no room is kept; nothing more comes meanwhile.
    return rest.length === 0 ? undefined : this.#copyWhenFree(new Uint8Array(rest))
  }

  async end (): Promise<{ sizeBytes: number }> {
    this.#requireGood()
    this.#isEnded = true
    this.send()
    await this.#allSettled()
    if (this.#failure !== undefined) throw this.#failure
    if (this.#sizeBytes !== undefined) return { sizeBytes: this.#sizeBytes }
    // Nothing was written; the upload must exist all the same.
    const status = await this.door.call('status', { upload: this.upload })
    if (status === undefined) throw new AppError('UPLOAD_UNKNOWN', `there is no upload ${this.upload.slice(0, 64)}`)
    return status
  }

  async abort (): Promise<void> {
    this.#isEnded = true
    this.#failure ??= new AppError('CANCELLED', 'the chunk was given up')
    this.#withdraw?.()
    if (this.#lease !== undefined) this.slots.release(this, this.#lease)
    this.#lease = undefined
    await this.#allSettled()
  }

  /** Hands the slot that is being filled, if any, to the service. */
  send (): void {
    const lease = this.#lease
    if (lease === undefined) return
    this.#lease = undefined
    const lengthBytes = this.#filledBytes
    const { slot, generation } = this.slots.queue.slab.seal(lease, lengthBytes)
    this.slots.sent(this)
    this.#underWay++
    this.door.call('append', { upload: this.upload, slot, generation, lengthBytes, offset: this.offset })
      .then(({ sizeBytes }) => { this.#sizeBytes = sizeBytes }, (error: unknown) => { this.#failure ??= asAppError(error) })
      .finally(() => {
        this.#underWay--
        this.slots.returned()
        if (this.#underWay === 0) this.#settled?.()
      })
    this.offset += lengthBytes
  }

  /** Copies as much as there is room for at once and returns the rest. */
  #copyWhileFree (bytes: Uint8Array): Uint8Array {
    let rest = bytes
    while (rest.length > 0) {
      if (this.#lease === undefined) this.slots.request(this, lease => this.#take(lease))()
      if (this.#lease === undefined) return rest
      rest = this.#copy(this.#lease, rest)
    }
    return rest
  }

  async #copyWhenFree (bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0;) {
      rest = await this.#copyIntoNext(rest)
      this.#requireGood()
      rest = this.#copyWhileFree(rest)
    }
  }

  /** Waits for a slot, copies as much as it takes, and resolves with the rest. */
  async #copyIntoNext (bytes: Uint8Array): Promise<Uint8Array> {
    const rest = await new Promise<Uint8Array>(resolve => {
      const withdraw = this.slots.request(this, lease => {
        this.#take(lease)
        // At once: a slot is never held empty, where it could be asked for by those who wait.
        resolve(this.#copy(lease, bytes))
      })
      this.#withdraw = () => {
        withdraw()
        resolve(bytes)
      }
    })
    this.#withdraw = undefined
    return rest
  }

  #take (lease: Filling): void {
    this.#lease = lease
    this.#filledBytes = 0
  }

  /** Copies what fits into the slot, sends it if it is full, and returns the rest. */
  #copy (lease: Filling, bytes: Uint8Array): Uint8Array {
    const part = bytes.subarray(0, lease.bytes.length - this.#filledBytes)
    copyInto(lease.bytes, this.#filledBytes, part)
    this.#filledBytes += part.length
    if (this.#filledBytes === lease.bytes.length) this.send()
    return bytes.subarray(part.length)
  }

  #requireGood (): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#isEnded) throw new AppError('INTERNAL', `upload ${this.upload} is written to after the end of the chunk`)
  }

  async #allSettled (): Promise<void> {
    while (this.#underWay > 0) await new Promise<void>(resolve => { this.#settled = resolve })
  }
}

/** `set` copies into shared memory word by word, as other threads might be looking; `fill` of a whole range is one memcpy. */
function copyInto (target: Uint8Array, offset: number, part: Uint8Array): void {
  if (part.length > 0) Buffer.from(target.buffer, target.byteOffset + offset, part.length).fill(part)
}

function asAppError (error: unknown): AppError {
  return isAppError(error) ? error : new AppError('INTERNAL', 'an append failed', { cause: error })
}
