import { type Millis } from '../core/clock.js'

/** Hosts remembered although they are gone; beyond that all that are gone are forgotten. */
const REMEMBERED_MAX = 4096

/**
 * Decides from the outcomes of health checks who is healthy (cluster specification 3.2). Each host has a trend, a count of
 * passes in a row (above 0) or failures in a row (below 0):
 *
 *   -failsMax ......... -1   0   1 ......... passesMin
 *       |                    new                 |
 *   unhealthy from here                  healthy from here; in between it stays what it was
 */
export class ActiveHealth {
  readonly #trends = new Map<string, number>()
  readonly #healthy = new Set<string>()

  constructor (readonly options: { readonly failsMax: number, readonly passesMin: number }) {}

  /**
   * Replaces the list of hosts. A host never seen before starts healthy; one that was gone and is back has to pass its checks
   * first, because it may be back too early.
   */
  sync (hosts: readonly string[]): void {
    const current = new Set(hosts)
    for (const host of this.#healthy) {
      if (current.has(host)) continue
      this.#healthy.delete(host)
      this.#trends.set(host, 0)
    }
    if (this.#trends.size > REMEMBERED_MAX) {
      for (const host of this.#trends.keys()) if (!current.has(host)) this.#trends.delete(host)
    }
    for (const host of current) {
      if (this.#trends.has(host)) continue
      this.#trends.set(host, 0)
      this.#healthy.add(host)
    }
  }

  /** Counts the outcome of one check; those of hosts that were never listed are ignored. */
  record (host: string, hasPassed: boolean): void {
    const trend = this.#trends.get(host)
    if (trend === undefined) return
    const { failsMax, passesMin } = this.options
    const next = hasPassed ? Math.min(Math.max(trend + 1, 1), passesMin) : Math.max(Math.min(trend - 1, -1), -failsMax)
    this.#trends.set(host, next)
    if (next === passesMin) this.#healthy.add(host)
    if (next === -failsMax) this.#healthy.delete(host)
  }

  isHealthy (host: string): boolean { return this.#healthy.has(host) }

  /** True unless the next checks may make a difference soon: a host has failed, or not yet passed often enough since. */
  isSettled (hosts: readonly string[]): boolean {
    return hosts.every(host => {
      const trend = this.#trends.get(host) ?? 0
      return this.#healthy.has(host) && (trend === 0 || trend === this.options.passesMin)
    })
  }

  /** The healthy ones among `hosts`. A list of one is not worth a check: its only host is always healthy. */
  select (hosts: readonly string[]): string[] {
    return hosts.length === 1 ? [...hosts] : hosts.filter(host => this.#healthy.has(host))
  }
}

/**
 * Decides from what callers experienced who is healthy (cluster specification 3.3): a host that failed `failsMax` times
 * within `windowMs` is out for as long. Only network errors are failures, never an HTTP status.
 */
export class PassiveHealth {
  /** Times of the failures within the window, oldest first; fewer than `failsMax` for each host. */
  readonly #failures = new Map<string, Millis[]>()
  /** When each unhealthy host went out. */
  readonly #outSince = new Map<string, Millis>()

  constructor (readonly options: { readonly failsMax: number, readonly windowMs: number }) {}

  recordFailure (host: string, now: Millis): void {
    if (!this.isHealthy(host, now)) return
    const { failsMax, windowMs } = this.options
    const recent = (this.#failures.get(host) ?? []).filter(at => now - at < windowMs)
    recent.push(now)
    this.#failures.set(host, recent)
    if (recent.length < failsMax) return
    this.#failures.delete(host)
    this.#outSince.set(host, now)
  }

  isHealthy (host: string, now: Millis): boolean {
    const since = this.#outSince.get(host)
    return since === undefined || now - since >= this.options.windowMs
  }

  /** The healthy ones among `hosts`, possibly none; the history of all others, and what is over, is forgotten. */
  select (hosts: readonly string[], now: Millis): string[] {
    const current = new Set(hosts)
    for (const host of this.#failures.keys()) if (!current.has(host)) this.#failures.delete(host)
    for (const host of this.#outSince.keys()) if (!current.has(host) || this.isHealthy(host, now)) this.#outSince.delete(host)
    return hosts.filter(host => this.isHealthy(host, now))
  }
}
