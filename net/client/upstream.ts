import { setTimeout as wait } from 'node:timers/promises'
import { type UpstreamConfig } from '../../runtime/config/types.js'
import { type Clock, systemClock } from '../../runtime/core/clock.js'
import { AppError, messageOf } from '../../runtime/core/errors.js'
import { type Logger } from '../../runtime/observe/log.js'
import { ActiveHealth, PassiveHealth } from '../../runtime/ring/health.js'
import { type Hosts, resolveHosts } from './hosts.js'
import { type Http } from './http.js'

/** The hosts of another component, without those that are known to be ill. */
export interface Upstream {
  /**
   * Those worth asking; all of them if none is healthy, since a refused connection costs less than giving up.
   * @throws AppError UNAVAILABLE if the hosts cannot be resolved
   */
  hosts (): Promise<readonly string[]>
  /** All of them, well or not. @throws AppError UNAVAILABLE if the hosts cannot be resolved */
  all (): Promise<readonly string[]>
  /** A call to a host got no HTTP answer. */
  reportFailure (host: string): void
  close (): Promise<void>
}

/** Rejects when the signal is aborted. */
export type Sleep = (ms: number, signal: AbortSignal) => Promise<void>

export const systemSleep: Sleep = async (ms, signal) => { await wait(ms, undefined, { signal }) }

/** Sleeps between two tries. @throws AppError CANCELLED */
export async function pause (sleep: Sleep, ms: number, signal: AbortSignal = new AbortController().signal): Promise<void> {
  try {
    await sleep(ms, signal)
  } catch (cause) {
    throw new AppError('CANCELLED', 'cancelled while waiting for another try', { cause })
  }
}

export interface UpstreamOptions {
  readonly http: Http
  readonly log: Logger
  readonly clock?: Clock
  readonly sleep?: Sleep
  readonly hosts?: Hosts
}

/** Asks every host for its health in regular rounds (cluster specification 3.2). A list of one host is not asked. */
export function watchActively (config: UpstreamConfig, options: UpstreamOptions): Upstream { return new ActiveUpstream(config, options) }

/** Learns from failed calls only; `failsMax` of them within `timeoutMs` put a host out for as long (cluster specification 3.3). */
export function watchPassively (config: UpstreamConfig, options: UpstreamOptions): Upstream { return new PassiveUpstream(config, options) }

class ActiveUpstream implements Upstream {
  readonly #health: ActiveHealth
  readonly #resolve: Hosts
  readonly #stopped = new AbortController()
  readonly #watching: Promise<void>

  constructor (readonly config: UpstreamConfig, readonly options: UpstreamOptions) {
    this.#health = new ActiveHealth(config.health)
    this.#resolve = options.hosts ?? resolveHosts(config.hosts, options)
    this.#watching = this.#watch(options.sleep ?? systemSleep)
  }

  async hosts (): Promise<readonly string[]> {
    const hosts = await this.#resolve()
    this.#health.sync(hosts)
    const healthy = this.#health.select(hosts)
    return healthy.length > 0 ? healthy : hosts
  }

  async all (): Promise<readonly string[]> { return await this.#resolve() }

  reportFailure (): void {}

  async close (): Promise<void> {
    this.#stopped.abort()
    await this.#watching
  }

  async #watch (sleep: Sleep): Promise<void> {
    const { signal } = this.#stopped
    while (!signal.aborted) {
      // The only way for it to fail is that we stop.
      await sleep(this.config.health.intervalMs, signal).catch(() => {})
      if (signal.aborted) return
      await this.#check(signal).catch((error: unknown) => this.options.log.warn({ reason: messageOf(error) }, 'health not checked'))
    }
  }

  async #check (signal: AbortSignal): Promise<void> {
    const hosts = await this.#resolve()
    this.#health.sync(hosts)
    if (hosts.length <= 1) return
    await Promise.all(hosts.map(async host => {
      const wasHealthy = this.#health.isHealthy(host)
      const hasPassed = await this.options.http.isHealthy(host, { signal, timeoutMs: this.config.health.timeoutMs })
      if (signal.aborted) return
      this.#health.record(host, hasPassed)
      const isHealthy = this.#health.isHealthy(host)
      if (isHealthy !== wasHealthy) this.options.log.warn({ host }, isHealthy ? 'host healthy' : 'host unhealthy')
    }))
  }
}

class PassiveUpstream implements Upstream {
  readonly #health: PassiveHealth
  readonly #resolve: Hosts
  readonly #clock: Clock

  constructor (config: UpstreamConfig, readonly options: UpstreamOptions) {
    this.#health = new PassiveHealth({ failsMax: config.health.failsMax, windowMs: config.health.timeoutMs })
    this.#resolve = options.hosts ?? resolveHosts(config.hosts, options)
    this.#clock = options.clock ?? systemClock
  }

  async hosts (): Promise<readonly string[]> {
    const hosts = await this.#resolve()
    const healthy = this.#health.select(hosts, this.#clock.now())
    return healthy.length > 0 ? healthy : hosts
  }

  async all (): Promise<readonly string[]> { return await this.#resolve() }

  reportFailure (host: string): void {
    const now = this.#clock.now()
    const wasHealthy = this.#health.isHealthy(host, now)
    this.#health.recordFailure(host, now)
    if (wasHealthy && !this.#health.isHealthy(host, now)) this.options.log.warn({ host }, 'host unhealthy')
  }

  async close (): Promise<void> {}
}
