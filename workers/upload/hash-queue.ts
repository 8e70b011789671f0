import { type RunningSums } from '../sums.js'

/** How much is hashed before the event loop may go round: about 2 ms. */
const PORTION_BYTES = 1 << 20

interface Work { readonly sums: RunningSums, readonly bytes: Uint8Array, readonly resolve: () => void }

/**
 * Hashes in the order of asking, and in portions, so that finished writes are noticed between them: a slot that is free
 * again keeps the sender busy while this thread hashes the next ones.
 */
export class HashQueue {
  readonly #waiting: Work[] = []
  #isScheduled = false

  /** Resolves when `bytes` are in `sums` and may change again. */
  async update (sums: RunningSums, bytes: Uint8Array): Promise<void> {
    await new Promise<void>(resolve => {
      this.#waiting.push({ sums, bytes, resolve })
      this.#schedule()
    })
  }

  #schedule (): void {
    if (this.#isScheduled || this.#waiting.length === 0) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.#hashPortion()
      this.#schedule()
    })
  }

  #hashPortion (): void {
    for (let hashedBytes = 0; hashedBytes < PORTION_BYTES;) {
      const work = this.#waiting.shift()
      if (work === undefined) return
      work.sums.update(work.bytes)
      hashedBytes += work.bytes.length
      work.resolve()
    }
  }
}
