import { type CallOptions } from '../../net/client/clients.js'
import { type Sleep, systemSleep } from '../../net/client/upstream.js'
import { type BackendsConfig } from '../config/types.js'
import { type Clock, systemClock } from '../core/clock.js'
import { AppError } from '../core/errors.js'
import { type Logger, noLog } from '../observe/log.js'
import { type BackendClient } from './backend.js'
import { GuardedClient } from './guarded-client.js'
import { makeClient } from './make-client.js'
import { NOOP_NAMESPACE, noopClient } from './noop.js'

export interface BackendManagerOptions {
  readonly clock?: Clock
  readonly sleep?: Sleep
  readonly log?: Logger
}

interface Entry { readonly pattern: RegExp, readonly client: GuardedClient, readonly isNoop: boolean, readonly mustReady: boolean }

/**
 * The backends of this process, chosen by namespace: the first item whose pattern is found in the namespace counts
 * (cluster specification 5.1). Its clients load their libraries when they are used for the first time.
 */
export class BackendManager {
  readonly #entries: readonly Entry[]

  /** @throws AppError CONFIG_INVALID for a backend that cannot be set up, such as one without its credentials */
  constructor ({ items, auth }: BackendsConfig, { clock = systemClock, sleep = systemSleep, log = noLog }: BackendManagerOptions = {}) {
    this.#entries = items.map(({ pattern, backend, bandwidth, mustReady }) => ({
      pattern,
      client: new GuardedClient(makeClient(backend, auth), { bandwidth, clock, sleep, log }),
      isNoop: backend.kind === 'noop',
      mustReady
    }))
  }

  /** Whether any backend is configured. Without one the cluster keeps what it has on its own disks. */
  get isConfigured (): boolean { return this.#entries.length > 0 }

  /** The backend of a namespace. @throws AppError CONFIG_INVALID if no pattern matches */
  clientFor (namespace: string): BackendClient {
    const client = this.find(namespace)
    if (client === undefined) throw new AppError('CONFIG_INVALID', `no matches for namespace ${JSON.stringify(namespace.slice(0, 256))} in backends`)
    return client
  }

  /** The same, or undefined if no pattern matches. */
  find (namespace: string): BackendClient | undefined {
    return namespace === NOOP_NAMESPACE ? noopClient : this.#entries.find(({ pattern }) => pattern.test(namespace))?.client
  }

  /** Every backend once, in the order of the configuration. */
  get clients (): readonly BackendClient[] { return this.#entries.map(({ client }) => client) }

  /**
   * Whether what is pushed to the namespace can be stored behind the cluster: `yes`, `local` where it is meant to stay on
   * the origins (no backend at all, `cache_only`, the reserved namespace), `no` where it would be lost with them.
   */
  storability (namespace: string): 'yes' | 'local' | 'no' {
    if (!this.isConfigured || namespace === NOOP_NAMESPACE) return 'local'
    const entry = this.#entries.find(({ pattern }) => pattern.test(namespace))
    if (entry === undefined) return 'no'
    return entry.isNoop ? 'local' : entry.client.canUpload ? 'yes' : 'no'
  }

  /** Resolves if all backends with `must_ready` answer. @throws AppError UNAVAILABLE */
  async checkReadiness (options?: CallOptions): Promise<void> {
    await Promise.all(this.#entries.map(async ({ client, mustReady }) => { if (mustReady) await client.checkReadiness(options) }))
  }

  /** Divides the configured bandwidths among so many members. */
  shareBandwidth (memberCount: number): void { for (const { client } of this.#entries) client.shareBandwidth(memberCount) }

  /** May be called twice. */
  async close (): Promise<void> { await Promise.all(this.#entries.map(async ({ client }) => { await client.close() })) }
}
