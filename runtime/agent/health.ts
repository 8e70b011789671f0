import { type CallOptions } from '../../net/client/clients.js'
import { type Reply } from '../../net/http/engine.js'
import { text } from '../../net/http/reply.js'
import { messageOf } from '../core/errors.js'

/** How long a dependency may take to say that it is ready (http-api specification 3.2). */
const READY_TIMEOUT_MS = 5_000

export interface AgentHealthOptions {
  /** Resolves if the peer thread is alive. */
  readonly probe: (options: CallOptions) => Promise<void>
  readonly probeTimeoutMs: number
  readonly buildIndex: { checkReadiness (options?: CallOptions): Promise<void> }
  readonly tracker: { checkReadiness (options?: CallOptions): Promise<void> }
}

/** Whether this agent works, and whether it can work. */
export class AgentHealth {
  readonly #options: AgentHealthOptions

  constructor (options: AgentHealthOptions) { this.#options = options }

  async live (): Promise<Reply> {
    const failure = await this.#probe()
    return failure === undefined ? text('OK') : text(failure, 500)
  }

  /** Tells of everything that is missing, in a fixed order. */
  async ready (): Promise<Reply> {
    const { buildIndex, tracker } = this.#options
    const failures = await Promise.all([
      this.#probe(),
      failureOf('build index not ready', buildIndex.checkReadiness({ signal: AbortSignal.timeout(READY_TIMEOUT_MS) })),
      failureOf('tracker not ready', tracker.checkReadiness({ signal: AbortSignal.timeout(READY_TIMEOUT_MS) }))
    ])
    const missing = failures.filter(failure => failure !== undefined)
    return missing.length === 0 ? text('OK') : text(`agent not ready: ${missing.join('\n')}`, 503)
  }

  async #probe (): Promise<string | undefined> {
    const { probe, probeTimeoutMs } = this.#options
    return await failureOf('probe torrent client', probe({ signal: AbortSignal.timeout(probeTimeoutMs) }))
  }
}

async function failureOf (what: string, check: Promise<void>): Promise<string | undefined> {
  try {
    await check
    return undefined
  } catch (error) {
    return `${what}: ${messageOf(error)}`
  }
}
