import { type Clock } from '../../runtime/core/clock.js'
import { type AppError } from '../../runtime/core/errors.js'
import { type Prng } from '../../runtime/core/prng.js'
import { pause, type Sleep } from './upstream.js'

/**
 * Polling of an owner that has begun what it was asked for (http-api specification 1.9). Kraken begins at 1 s; most of it is
 * about small blobs and done much earlier.
 */
const POLL = { firstMs: 200, factor: 1.3, lastMs: 5_000, jitter: 0.05, totalMs: 15 * 60_000 }

export interface PollOptions {
  readonly signal: AbortSignal | undefined
  readonly sleep: Sleep
  readonly clock: Clock
  readonly prng: Prng
}

/** What was asked for, or why it is not there yet. */
export type Polled<T> = { readonly value: T } | { readonly pending: AppError }

/** Asks until there is a value, for 15 minutes. @throws what is pending then, and what `ask` throws */
export async function poll<T> (ask: () => Promise<Polled<T>>, { signal, sleep, clock, prng }: PollOptions): Promise<T> {
  const giveUpAt = clock.now() + POLL.totalMs
  for (let delayMs = POLL.firstMs; ; delayMs = Math.min(delayMs * POLL.factor, POLL.lastMs)) {
    const answer = await ask()
    if ('value' in answer) return answer.value
    if (clock.now() >= giveUpAt) throw answer.pending
    await pause(sleep, delayMs * (1 + POLL.jitter * (2 * prng.next() - 1)), signal)
  }
}
