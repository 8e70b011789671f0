import { after, type Millis } from '../core/clock.js'

/** How a look-up ended; failures are remembered like values, only shorter. */
export type Outcome<V> = { readonly ok: true, readonly value: V } | { readonly ok: false, readonly error: unknown }

export interface TtlCacheOptions {
  readonly ttlMs: number
  readonly errorTtlMs: number
  /** The entry that was loaded first makes room for one more than this. */
  readonly entriesMax: number
  readonly now: () => Millis
}

/** Remembers what `load` answered, for a while, and never runs it twice at a time for one key. */
export class TtlCache<K, V> {
  readonly #outcomes = new Map<K, { readonly outcome: Outcome<V>, readonly expiresAt: Millis }>()
  readonly #flights = new Map<K, Promise<Outcome<V>>>()

  constructor (readonly load: (key: K) => Promise<V>, readonly options: TtlCacheOptions) {}

  /** What is known and still fresh. */
  peek (key: K): Outcome<V> | undefined {
    const known = this.#outcomes.get(key)
    return known !== undefined && known.expiresAt > this.options.now() ? known.outcome : undefined
  }

  /** What is known, or else what `load` answers. Never rejects. */
  async get (key: K): Promise<Outcome<V>> {
    const known = this.peek(key)
    if (known !== undefined) return known
    const underway = this.#flights.get(key)
    if (underway !== undefined) return underway
    const flight = this.#fly(key)
    this.#flights.set(key, flight)
    return flight
  }

  async #fly (key: K): Promise<Outcome<V>> {
    const outcome = await settled(this.load(key))
    this.#flights.delete(key)
    this.#outcomes.delete(key)
    const { now, ttlMs, errorTtlMs, entriesMax } = this.options
    this.#outcomes.set(key, { outcome, expiresAt: after(now(), outcome.ok ? ttlMs : errorTtlMs) })
    for (const first of this.#outcomes.keys()) {
      if (this.#outcomes.size <= entriesMax) break
      this.#outcomes.delete(first)
    }
    return outcome
  }
}

async function settled<V> (promise: Promise<V>): Promise<Outcome<V>> {
  try {
    return { ok: true, value: await promise }
  } catch (error) {
    return { ok: false, error }
  }
}
