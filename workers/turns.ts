import { AppError } from '../runtime/core/errors.js'

interface Waiter { readonly resolve: () => void, readonly reject: (error: AppError) => void }

/** Lets at most `limit` users in at a time, first come, first served. */
export class Turns {
  readonly #waiting = new Set<Waiter>()
  #taken = 0
  #isClosed = false
  #drained: (() => void) | undefined
  constructor (readonly limit: number) {}

  /** Waits for a turn; every one taken must be given back. @throws AppError CANCELLED if aborted or closed before that */
  async take (signal?: AbortSignal): Promise<void> {
    if (this.#isClosed || signal?.aborted === true) throw withdrawn()
    if (this.#taken < this.limit) {
      this.#taken++
      return
    }
    let onAbort = (): void => {}
    try {
      await new Promise<void>((resolve, reject) => {
        const waiter = { resolve, reject }
        this.#waiting.add(waiter)
        onAbort = () => { if (this.#waiting.delete(waiter)) reject(withdrawn()) }
        signal?.addEventListener('abort', onAbort, { once: true })
      })
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** Gives a turn back, to the one who has waited longest. */
  give (): void {
    const [next] = this.#waiting
    if (next !== undefined) {
      this.#waiting.delete(next)
      next.resolve()
      return
    }
    this.#taken--
    if (this.#taken === 0) this.#drained?.()
  }

  /** Sends away all who wait, now and later, and resolves when nobody is in any more. */
  async close (): Promise<void> {
    this.#isClosed = true
    for (const waiter of this.#waiting) waiter.reject(withdrawn())
    this.#waiting.clear()
    if (this.#taken > 0) await new Promise<void>(resolve => { this.#drained = resolve })
  }
}

function withdrawn (): AppError { return new AppError('CANCELLED', 'the job was withdrawn before it ran') }
