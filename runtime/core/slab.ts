import { AppError } from './errors.js'
import { type Brand } from './brand.js'

/** The number of a slot; threads pass these instead of bytes. */
export type SlotId = Brand<number, 'SlotId'>

/** A slot with one writer. */
export interface Filling { readonly state: 'filling', readonly slot: SlotId, readonly generation: number, readonly bytes: Uint8Array }
/** A slot whose content no longer changes, with any number of readers; `bytes` is as long as the content. */
export interface Sealed { readonly state: 'sealed', readonly slot: SlotId, readonly generation: number, readonly bytes: Uint8Array }

/** What another thread needs to see the same slots; goes through `workerData` or a message without a copy. */
export interface SlabMemory { readonly control: SharedArrayBuffer, readonly data: SharedArrayBuffer, readonly slotBytes: number }

/*
 * control, Int32 words:     | state of slot 0 | generation of slot 0 | state of slot 1 | ...
 *
 *                lease               seal                 release by the last reader
 *     FREE (0) -------> FILLING (-1) ------> 1, 2, 3 ... readers -------> FREE
 *                          |  release                                       ^
 *                          +------------------------------------------------+
 */
const FREE = 0
const FILLING = -1
const WORDS_PER_SLOT = 2
const POISON = 0xdb

/**
 * One SharedArrayBuffer cut into equal slots. The lowest free slot is leased first, so a process that needs few slots
 * keeps using the same, cache-warm ones. Any thread may lease and release; each transition is one compare-exchange.
 */
export class Slab {
  readonly slotCount: number
  readonly #state: Int32Array

  constructor (readonly memory: SlabMemory, readonly options: { poison?: boolean } = {}) {
    this.#state = new Int32Array(memory.control)
    this.slotCount = this.#state.length / WORDS_PER_SLOT
  }

  static create (slotCount: number, slotBytes: number, options: { poison?: boolean } = {}): Slab {
    const control = new SharedArrayBuffer(slotCount * WORDS_PER_SLOT * Int32Array.BYTES_PER_ELEMENT)
    return new Slab({ control, data: new SharedArrayBuffer(slotCount * slotBytes), slotBytes }, options)
  }

  get slotBytes (): number { return this.memory.slotBytes }

  /** `undefined` when every slot is taken: stop reading from the source; do not allocate. */
  lease (): Filling | undefined {
    for (let slot = 0; slot < this.slotCount; slot++) {
      const at = slot * WORDS_PER_SLOT
      if (Atomics.load(this.#state, at) !== FREE || Atomics.compareExchange(this.#state, at, FREE, FILLING) !== FREE) continue
      const generation = Atomics.add(this.#state, at + 1, 1) + 1 | 0
      return { state: 'filling', slot: slot as SlotId, generation, bytes: this.bytesOf(slot as SlotId, this.slotBytes) }
    }
    return undefined
  }

  /** All of `count` slots or none, so that two takers can never wait for each other half served. */
  leaseMany (count: number): Filling[] | undefined {
    const leases: Filling[] = []
    while (leases.length < count) {
      const lease = this.lease()
      if (lease === undefined) {
        for (const held of leases) this.release(held)
        return undefined
      }
      leases.push(lease)
    }
    return leases
  }

  /** Ends the writer's turn; the lease passed in must not be used again. */
  seal (lease: Filling, lengthBytes: number): Sealed {
    this.#checkLength(lengthBytes)
    this.#transition(lease, FILLING, 1)
    return { state: 'sealed', slot: lease.slot, generation: lease.generation, bytes: lease.bytes.subarray(0, lengthBytes) }
  }

  /** One more reader. */
  retain (view: Sealed): Sealed {
    this.#checkGeneration(view)
    for (;;) {
      const readers = Atomics.load(this.#state, view.slot * WORDS_PER_SLOT)
      if (readers <= 0) throw spent(view.slot)
      if (Atomics.compareExchange(this.#state, view.slot * WORDS_PER_SLOT, readers, readers + 1) === readers) return view
    }
  }

  /** Gives up a lease or one reader's share; whoever holds neither must not call it. */
  release (view: Filling | Sealed): void {
    this.#checkGeneration(view)
    if (view.state === 'filling') {
      // Looked at before it is overwritten: a lease that was sealed meanwhile has readers.
      if (Atomics.load(this.#state, view.slot * WORDS_PER_SLOT) !== FILLING) throw spent(view.slot)
      if (this.options.poison === true) view.bytes.fill(POISON)
      this.#transition(view, FILLING, FREE)
      return
    }
    for (;;) {
      const readers = Atomics.load(this.#state, view.slot * WORDS_PER_SLOT)
      if (readers <= 0) throw spent(view.slot)
      // Overwritten before it is free: afterwards it may already have a new writer.
      if (readers === 1 && this.options.poison === true) view.bytes.fill(POISON)
      if (Atomics.compareExchange(this.#state, view.slot * WORDS_PER_SLOT, readers, readers - 1) === readers) return
    }
  }

  /** The bytes of a slot whose number was handed over by its owner, who keeps holding the lease meanwhile. */
  bytesOf (slot: SlotId, lengthBytes: number): Uint8Array {
    this.#checkLength(lengthBytes)
    return new Uint8Array(this.memory.data, slot * this.slotBytes, lengthBytes)
  }

  /** How many slots are not free; a test that ends with another number than it began with has leaked one. */
  get leasedCount (): number {
    let leased = 0
    for (let slot = 0; slot < this.slotCount; slot++) if (Atomics.load(this.#state, slot * WORDS_PER_SLOT) !== FREE) leased++
    return leased
  }

  /**
   * Writes to every page once. Fresh memory pages can cost ten times a warm one on virtual machines, so this is paid at
   * start and not under the first download.
   */
  touch (): void { new Uint8Array(this.memory.data).fill(0) }

  #transition (view: Filling, from: number, to: number): void {
    this.#checkGeneration(view)
    if (Atomics.compareExchange(this.#state, view.slot * WORDS_PER_SLOT, from, to) !== from) throw spent(view.slot)
  }

  #checkLength (lengthBytes: number): void {
    if (lengthBytes >= 0 && lengthBytes <= this.slotBytes) return
    throw new AppError('INTERNAL', `${lengthBytes} bytes do not fit into a slot of ${this.slotBytes}`)
  }

  #checkGeneration (view: Filling | Sealed): void {
    if (Atomics.load(this.#state, view.slot * WORDS_PER_SLOT + 1) !== view.generation) throw spent(view.slot)
  }
}

function spent (slot: number): AppError { return new AppError('INTERNAL', `slot ${slot} is used after its lease ended`) }
