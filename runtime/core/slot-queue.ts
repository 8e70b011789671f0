import { AppError } from './errors.js'
import { type Filling, type Sealed, type Slab } from './slab.js'

interface Waiter { readonly count: number, readonly ready: (leases: Filling[]) => void }

/**
 * First come, first served access to a slab from one thread. Whoever needs slots asks here and is called when all of
 * them are free at once; whoever holds some gives them back here, so that the next in line is noticed.
 */
export class SlotQueue {
  readonly #waiting: Waiter[] = []
  #isServing = false
  constructor (readonly slab: Slab) {}

  /** True if somebody waits: holders that make no progress should be made to let go. */
  get isContended (): boolean { return this.#waiting.length > 0 }

  /**
   * Calls `ready` with `count` leases, at once if they are free. The function returned withdraws a request that waits.
   * @throws AppError UNAVAILABLE if the slab could never serve it
   */
  request (count: number, ready: (leases: Filling[]) => void): () => void {
    if (count > this.slab.slotCount) {
      throw new AppError('UNAVAILABLE', `${count} slots of ${this.slab.slotBytes} bytes are needed at once and there are only ${this.slab.slotCount}: give the process more memory slots`)
    }
    const waiter = { count, ready }
    this.#waiting.push(waiter)
    this.#serve()
    return () => {
      const at = this.#waiting.indexOf(waiter)
      if (at >= 0) this.#waiting.splice(at, 1)
    }
  }

  release (held: Iterable<Filling | Sealed>): void {
    for (const view of held) this.slab.release(view)
    this.#serve()
  }

  #serve (): void {
    // `ready` may release or request again; the loop below sees to that, so there is no recursion.
    if (this.#isServing) return
    this.#isServing = true
    try {
      for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
        const leases = this.slab.leaseMany(next.count)
        if (leases === undefined) return
        this.#waiting.shift()
        next.ready(leases)
      }
    } finally {
      this.#isServing = false
    }
  }
}
