import { type Sleep } from '../../net/client/upstream.js'
import { type HealthConfig, type RingConfig } from '../config/types.js'
import { type Digest } from '../core/digest.js'
import { AppError, messageOf } from '../core/errors.js'
import { type Logger } from '../observe/log.js'
import { ActiveHealth } from '../ring/health.js'
import { Ring } from '../ring/ring.js'
import { TaskGroup } from './task-group.js'

/** How long a host looks for itself among the members, and how often (cluster specification 2.4). */
const SELF_WAIT_MS = 60_000
const SELF_WAIT_INTERVAL_MS = 500
/** How often the members are looked at while one of them is in doubt: those who wait for it should not wait long. */
const DOUBT_INTERVAL_MS = 1_000

export interface MembershipOptions {
  /** The members' addresses `host:port` as of now. @throws AppError if they cannot be known */
  readonly resolve: () => Promise<readonly string[]>
  /** False if the same question always has the same answer, as for a list in the config. */
  readonly canChange: boolean
  /** The addresses by which this host may be listed, best first. */
  readonly ownAddresses: readonly string[]
  /** Asks a member whether it is well, and takes no longer than `health.timeoutMs` for it. A rejection is a no. */
  readonly probe: (address: string, signal: AbortSignal) => Promise<boolean>
  readonly health: HealthConfig
  readonly ring: RingConfig
  readonly sleep: Sleep
  readonly log: Logger
}

/**
 * Who the members of our cluster are, which of them are healthy, and which own a blob. The list and the health of its
 * members are looked at anew every `refreshIntervalMs`; whoever asks in between gets the last state, at once. We ourselves
 * are always healthy.
 */
export class Membership {
  readonly #health: ActiveHealth
  readonly #tasks: TaskGroup
  readonly #listeners = new Set<() => void>()
  #ring = new Ring([])
  #healthy: ReadonlySet<string> = new Set()

  private constructor (readonly options: MembershipOptions, /** Our own address as it is listed. */ readonly self: string) {
    this.#health = new ActiveHealth(options.health)
    this.#tasks = new TaskGroup(options.log)
  }

  /**
   * Waits until this host is among the members and starts to watch them.
   * @throws AppError CONFIG_INVALID if it is not, after a minute; CANCELLED if `signal` is aborted before that
   */
  static async start (options: MembershipOptions, signal: AbortSignal = new AbortController().signal): Promise<Membership> {
    const { self, members } = await findSelf(options, signal)
    const membership = new Membership(options, self)
    membership.#adopt(members)
    membership.#tasks.run('membership', async signal => {
      while (!signal.aborted) {
        await membership.refresh(signal)
        await options.sleep(membership.#intervalMs(), signal).catch(() => {})
      }
    })
    return membership
  }

  get members (): readonly string[] { return this.#ring.members }
  get healthy (): readonly string[] { return [...this.#healthy] }

  /** The healthy owners of a blob, best first; never empty (cluster specification 2.3). */
  locations (digest: Digest): string[] {
    return this.#ring.locationsOf(digest, member => this.#healthy.has(member), this.options.ring.replicasMax)
  }

  /** Those who should have a blob, healthy or not, best first. */
  owners (digest: Digest): readonly string[] { return this.ranking(digest).slice(0, this.options.ring.replicasMax) }

  /** All members, best first: the owners, then those who step in for them. */
  ranking (digest: Digest): readonly string[] { return this.#ring.ownersOf(digest) }

  /** Calls `listener` after every change of members or of their health; the function returned ends that. */
  onChange (listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }

  /** Resolves the list and checks its members' health, all at once. The last list stays if there is no new one. */
  async refresh (signal: AbortSignal): Promise<void> {
    let members = this.members
    try {
      members = await this.options.resolve()
    } catch (error) {
      this.options.log.warn({ error: messageOf(error) }, 'cluster members could not be resolved')
    }
    this.#health.sync(members)
    await this.#check(members, signal)
    if (!signal.aborted) this.#adopt(members)
  }

  /** Ends the watching. May be called twice. */
  async stop (): Promise<void> {
    this.#listeners.clear()
    await this.#tasks.close()
  }

  #intervalMs (): number {
    const { refreshIntervalMs } = this.options.ring
    const isSettled = this.#health.isSettled(this.members.filter(member => member !== this.self))
    return isSettled ? refreshIntervalMs : Math.min(refreshIntervalMs, DOUBT_INTERVAL_MS)
  }

  async #check (members: readonly string[], signal: AbortSignal): Promise<void> {
    if (members.length === 1) return
    await Promise.all(members.filter(member => member !== this.self).map(async member => {
      const hasPassed = await this.options.probe(member, signal).catch(() => false)
      if (!signal.aborted) this.#health.record(member, hasPassed)
    }))
  }

  /** Takes over the list and the state of health, and tells the listeners if either is new. */
  #adopt (members: readonly string[]): void {
    this.#health.sync(members)
    const healthy = new Set(this.#health.select(members))
    if (members.includes(this.self)) healthy.add(this.self)
    const ring = new Ring(members)
    const hasNewMembers = !isSame(ring.members, this.#ring.members)
    const hasNewHealth = !isSame([...healthy].sort(), [...this.#healthy].sort())
    if (!hasNewMembers && !hasNewHealth) return
    if (hasNewMembers) this.#ring = ring
    this.#healthy = healthy
    this.options.log.info({ members: ring.members, unhealthy: ring.members.filter(member => !healthy.has(member)) }, 'cluster changed')
    for (const listener of this.#listeners) listener()
  }
}

async function findSelf (options: MembershipOptions, signal: AbortSignal): Promise<{ self: string, members: readonly string[] }> {
  const { resolve, canChange, ownAddresses, sleep, log } = options
  for (let waitedMs = 0; ; waitedMs += SELF_WAIT_INTERVAL_MS) {
    const { members, failure } = await resolve().then(
      members => ({ members, failure: undefined }),
      (error: unknown) => ({ members: [] as readonly string[], failure: messageOf(error) }))
    const self = ownAddresses.find(address => members.includes(address))
    if (self !== undefined) return { self, members }
    if (!canChange || waitedMs >= SELF_WAIT_MS) throw notAMember(ownAddresses, members, failure)
    if (waitedMs === 0) log.warn({ ownAddresses, members, failure }, 'waiting to become a member of the cluster')
    await sleep(SELF_WAIT_INTERVAL_MS, signal).catch(() => {})
    if (signal.aborted) throw new AppError('CANCELLED', 'stopped while waiting to become a member of the cluster')
  }
}

function notAMember (ownAddresses: readonly string[], members: readonly string[], failure: string | undefined): AppError {
  const list = failure === undefined ? `among the members ${members.slice(0, 16).join(', ') || '(none)'}` : `known, because ${failure}`
  return new AppError('CONFIG_INVALID', `this host is no member of its cluster: none of its addresses ${ownAddresses.join(', ')} is ${list}. ` +
    'Name it in the cluster section of the config, or set the host name by which it is listed there.')
}

function isSame (a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i])
}
