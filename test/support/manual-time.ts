import { setImmediate } from 'node:timers/promises'
import { type Clock, type Millis } from '../../runtime/core/clock.js'

interface Sleeper { readonly at: number, readonly wake: () => void }

/** Waits until somebody has had enough. */
export const neverSleep = async (_ms: number, signal: AbortSignal): Promise<void> => {
  await new Promise<void>((_resolve, reject) => {
    signal.addEventListener('abort', () => { reject(new Error('the wait was aborted')) }, { once: true })
  })
}

/** Time that stands still until a test moves it on. */
export class ManualTime {
  #now = 0
  readonly #sleepers = new Set<Sleeper>()

  readonly clock: Clock = { now: () => this.#now as Millis, wall: () => this.#now }

  /** How many wait for time to pass. */
  get sleeping (): number { return this.#sleepers.size }

  readonly sleep = async (ms: number, signal: AbortSignal): Promise<void> => {
    signal.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        this.#sleepers.delete(sleeper)
        reject(new Error('the wait was aborted', { cause: signal.reason }))
      }
      const sleeper = {
        at: this.#now + ms,
        wake: () => {
          signal.removeEventListener('abort', onAbort)
          resolve()
        }
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#sleepers.add(sleeper)
    })
  }

  /** Moves time on to each sleeper's end in turn and lets what follows from it happen, `ms` in all. */
  async advance (ms: number): Promise<void> {
    const end = this.#now + ms
    await settle()
    for (;;) {
      const next = [...this.#sleepers].filter(sleeper => sleeper.at <= end).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      this.#now = Math.max(this.#now, next.at)
      this.#sleepers.delete(next)
      next.wake()
      await settle()
    }
    this.#now = end
  }
}

/** Lets promises and callbacks that are ready run, and those that they make ready. */
export async function settle (): Promise<void> {
  for (let i = 0; i < 10; i++) await setImmediate()
}

/** Waits for something that happens by itself, without a clock; fails after many turns of the event loop. */
export async function until (isTrue: () => boolean | Promise<boolean>, turnsMax = 100_000): Promise<void> {
  for (let turn = 0; turn < turnsMax; turn++) {
    if (await isTrue()) return
    await setImmediate()
  }
  throw new Error('what a test waited for did not happen')
}
