import { type CallOptions } from '../../net/client/clients.js'
import { type Reply } from '../../net/http/engine.js'
import { text } from '../../net/http/reply.js'
import { type Checked, failureOf, missing } from '../cluster/readiness.js'
import { type Clock, type Millis, systemClock } from '../core/clock.js'

export interface AgentHealthOptions {
  /** Resolves if the peer thread is alive. */
  readonly probe: (options: CallOptions) => Promise<void>
  readonly probeTimeoutMs: number
  readonly buildIndex: Checked
  readonly tracker: Checked
  /** How long it is remembered that this agent was ready; default not at all. */
  readonly readinessTtlMs?: number
  readonly clock?: Clock
}

/** Whether this agent works, and whether it can work. */
export class AgentHealth {
  readonly #options: AgentHealthOptions
  readonly #clock: Clock
  #readyAt: Millis | undefined

  constructor (options: AgentHealthOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  async live (): Promise<Reply> {
    const failure = await this.#probe()
    return failure === undefined ? text('OK') : text(failure, 500)
  }

  /** Tells of everything that is missing, in a fixed order. */
  async ready (): Promise<Reply> {
    const { buildIndex, tracker, readinessTtlMs = 0 } = this.#options
    if (this.#readyAt !== undefined && this.#clock.now() - this.#readyAt < readinessTtlMs) return text('OK')
    const [probe, others] = await Promise.all([this.#probe(), missing([['build index not ready', buildIndex], ['tracker not ready', tracker]])])
    const failures = probe === undefined ? others : [probe, ...others]
    this.#readyAt = failures.length === 0 ? this.#clock.now() : undefined
    return failures.length === 0 ? text('OK') : text(`agent not ready: ${failures.join('\n')}`, 503)
  }

  async #probe (): Promise<string | undefined> {
    const { probe, probeTimeoutMs } = this.#options
    return await failureOf('probe torrent client', probe({ signal: AbortSignal.timeout(probeTimeoutMs) }))
  }
}
