import { type Millis } from '../core/clock.js'

/** Addresses remembered at a time; beyond that those that asked least lately are forgotten. */
const ADDRESSES_MAX = 10_000

export interface RateLimitOptions {
  /** Requests of one address that are answered in the long run. */
  readonly perSecond: number
  /** Requests that may come at once on top of that. */
  readonly burst: number
  readonly addressesMax?: number
}

/**
 * A leaky bucket for each address, as nginx has it: every answered request adds one, time takes `perSecond` away, and
 * above `burst` requests are refused.
 */
export class RateLimit {
  /** In the order of their last answered request. */
  readonly #buckets = new Map<string, { readonly excess: number, readonly at: Millis }>()

  constructor (readonly options: RateLimitOptions) {}

  /** Whether a request of `address` may be answered now; counts it if so. */
  admits (address: string, now: Millis): boolean {
    const { perSecond, burst, addressesMax = ADDRESSES_MAX } = this.options
    const bucket = this.#buckets.get(address)
    const excess = bucket === undefined ? 0 : Math.max(0, bucket.excess - perSecond * (now - bucket.at) / 1000 + 1)
    if (excess > burst) return false
    this.#buckets.delete(address)
    this.#buckets.set(address, { excess, at: now })
    const oldest = this.#buckets.keys().next()
    if (this.#buckets.size > addressesMax && oldest.done !== true) this.#buckets.delete(oldest.value)
    return true
  }
}
