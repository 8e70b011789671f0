import { Swarm } from '../../workers/swarm-door.js'
import { type SchedulerConfig } from '../config/types.js'
import { type Digest } from '../core/digest.js'
import { type PeerId } from '../core/peer-id.js'
import { type Logger } from '../observe/log.js'

type SwarmOptions = Parameters<typeof Swarm.start>[0]

/**
 * The swarm of a component, which can be replaced by another one with a new configuration on the same port. Calls that come
 * meanwhile wait for the new one; downloads that are under way fail.
 */
export class ReconfigurableSwarm {
  #current: Promise<Swarm>
  /** A change that waits for the one before it; whoever asks meanwhile changes what it will be. */
  #next: { scheduler: SchedulerConfig, done: Promise<void> } | undefined
  #isClosing = false

  private constructor (first: Swarm, readonly options: SwarmOptions, readonly log: Logger) {
    this.#current = Promise.resolve(first)
    this.port = first.port
    this.peerId = first.peerId
  }

  /** The peer port that is really listened on. */
  readonly port: number
  readonly peerId: PeerId

  /** @throws AppError UNAVAILABLE if the port is taken */
  static async start (options: SwarmOptions, log: Logger): Promise<ReconfigurableSwarm> {
    return new ReconfigurableSwarm(await Swarm.start(options), options, log)
  }

  /** Resolves when the new one listens. A process whose swarm does not come back ends, to be started anew. */
  async reconfigure (scheduler: SchedulerConfig): Promise<void> {
    if (this.#next !== undefined) {
      this.#next.scheduler = scheduler
      return await this.#next.done
    }
    const next = { scheduler, done: Promise.resolve() }
    this.#next = next
    const starting = this.#current.then(async old => {
      this.#next = undefined
      return this.#isClosing ? old : await this.#replace(old, next.scheduler)
    })
    this.#current = starting
    starting.catch((error: unknown) => setImmediate(() => { throw error }))
    next.done = starting.then(() => {})
    await next.done
  }

  async open (namespace: string, digest: Digest, options?: Parameters<Swarm['open']>[2]): ReturnType<Swarm['open']> {
    return await (await this.#current).open(namespace, digest, options)
  }

  async remove (digest: Digest): Promise<boolean> { return await (await this.#current).remove(digest) }

  async probe (options?: Parameters<Swarm['probe']>[0]): Promise<void> { await (await this.#current).probe(options) }

  async blacklist (): ReturnType<Swarm['blacklist']> { return await (await this.#current).blacklist() }

  async stats (): ReturnType<Swarm['stats']> { return await (await this.#current).stats() }

  async #replace (old: Swarm, scheduler: SchedulerConfig): Promise<Swarm> {
    await old.close()
    const swarm = await Swarm.start({ ...this.options, port: this.port, scheduler })
    this.log.info({ port: swarm.port }, 'swarm reconfigured')
    return swarm
  }

  async close (): Promise<void> {
    this.#isClosing = true
    await (await this.#current).close()
  }
}
