import { type BlobClient } from '../../net/client/clients.js'
import { type Http } from '../../net/client/http.js'
import { type Sleep } from '../../net/client/upstream.js'
import { type RemoteConfig } from '../config/types.js'
import { type Clock } from '../core/clock.js'
import { type Digest } from '../core/digest.js'
import { AppError, isAppError, messageOf } from '../core/errors.js'
import { field } from '../core/json.js'
import { forEachLimited } from '../core/limited.js'
import { type Logger } from '../observe/log.js'
import { type DueTask, type RetryPolicy, type TaskKind, type TaskOutcome } from '../retry/task.js'
import { type TaskQueue } from '../retry/task-queue.js'
import { compareVersions, isDeletion, type TagVersion } from '../store/tag-version.js'
import { type Dependencies, type Dependency } from './dependencies.js'
import { RemoteIndex } from './remote-index.js'

/** Blobs of one tag that are copied at the same time. */
const COPIES_MAX = 8
/** Tags whose digests are compared at the same time in an audit. */
const COMPARISONS_MAX = 4

/** What is copied is looked up when it is copied, so that a tag that moves meanwhile is copied once, as it is then. */
interface ReplicationTask { readonly address: string, readonly tag: string }

const REPLICATION: TaskKind<ReplicationTask> = {
  name: 'tag-replication',
  parse: stored => {
    const [address, tag] = [field(stored, 'address'), field(stored, 'tag')]
    if (typeof address !== 'string' || typeof tag !== 'string') throw new AppError('CORRUPT', 'expected address and tag')
    return { address, tag }
  }
}

/** Where a tag points, and since when if that is known. */
export interface FoundTag { readonly digest: Digest, readonly version?: TagVersion }

export interface RemotesOptions {
  readonly rules: readonly RemoteConfig[]
  readonly policy: RetryPolicy
  /** 0: never. */
  readonly auditIntervalMs: number
  /** Where a tag points by all within reach. */
  readonly find: (tag: string, signal: AbortSignal) => Promise<FoundTag | undefined>
  /** All tags of this cluster. */
  readonly names: () => Promise<readonly string[]>
  /** Asks the other build-indexes of this cluster to see later to the copies of a tag. */
  readonly share: (tag: string, digest: Digest, needed: readonly Digest[]) => Promise<void>
  readonly dependencies: Pick<Dependencies, 'resolve'>
  readonly origins: Pick<BlobClient, 'replicateToRemote'>
  readonly http: Http
  readonly queue: TaskQueue
  readonly clock: Clock
  readonly sleep: Sleep
  readonly log: Logger
}

/**
 * Copies of tags in other clusters (cluster specification 7.5, and B10 of 11.1). That a tag has to get to a cluster is on
 * record until it is there.
 *
 *     due --> no rule says so any more ---------------------> parked
 *         --> deleted here ---------------------------------> done
 *         --> the remote has the same, or a later value ----> done
 *         --> blobs, then manifests, lowest first; the tag -> done
 *
 * The remote gets the time of the write with the tag, so that the latest write wins in all clusters, whatever the order in
 * which copies arrive. Deletes stay in their cluster, but a deleted tag does not come back by an older copy of it.
 */
export class Remotes {
  constructor (readonly options: RemotesOptions) {}

  /** Begins to work, also on what earlier processes left. */
  start (): void {
    const { queue, policy, http } = this.options
    http.onReturn(returned => { queue.wake(REPLICATION, key => key.startsWith(`${returned} `)) })
    queue.handle(REPLICATION, policy, async (task, signal) => await this.#run(task, signal))
  }

  /**
   * Puts on record that the tag has to get to the clusters whose rules match; false if there are none.
   * @throws AppError UNAVAILABLE, STORAGE, STORAGE_FULL
   */
  async enqueue (tag: string, delayMs: number): Promise<boolean> {
    const addresses = this.options.rules.filter(rule => matches(rule, tag)).map(({ address }) => address)
    if (addresses.length === 0) return false
    const ifPresent = delayMs === 0 ? 'replace' : 'keep'
    const tasks = addresses.map(address => ({ key: keyOf(address, tag), payload: { address, tag }, delayMs, ifPresent } as const))
    await this.options.queue.addAll(REPLICATION, tasks)
    return true
  }

  /** Has the other build-indexes put it on record too, for later. */
  async share (tag: string, digest: Digest, needed: readonly Digest[]): Promise<void> { await this.options.share(tag, digest, needed) }

  /** Compares both sides every now and then until the signal is aborted, and puts on record what differs. */
  async audit (signal: AbortSignal): Promise<void> {
    const { auditIntervalMs, rules, sleep, log } = this.options
    if (auditIntervalMs === 0 || rules.length === 0) return
    while (!signal.aborted) {
      await sleep(auditIntervalMs, signal).catch(() => {})
      for (const rule of rules) {
        if (signal.aborted) return
        try {
          const count = await this.compare(rule, signal)
          log.info({ remote: rule.address, count }, 'remote compared')
        } catch (error) {
          log.warn({ remote: rule.address, reason: messageOf(error) }, 'remote not compared')
        }
      }
    }
  }

  /** Puts on record what a remote lacks, or has otherwise; returns how many tags that are. */
  async compare (rule: RemoteConfig, signal: AbortSignal): Promise<number> {
    const { names, queue, find, http } = this.options
    const remote = new RemoteIndex(rule.address, http)
    let count = 0
    const differing = (await names()).filter(tag => matches(rule, tag) && !queue.has(REPLICATION, keyOf(rule.address, tag)))
    await forEachLimited(differing, COMPARISONS_MAX, async tag => {
      signal.throwIfAborted()
      const [found, theirs] = await Promise.all([find(tag, signal), remote.get(tag, signal)])
      if (found === undefined || isDeletion(found.version) || found.digest === theirs) return
      await queue.add(REPLICATION, { key: keyOf(rule.address, tag), payload: { address: rule.address, tag } })
      count++
    })
    return count
  }

  async #run ({ payload: { address, tag } }: DueTask<ReplicationTask>, signal: AbortSignal): Promise<TaskOutcome> {
    const { rules, find, dependencies, http, log } = this.options
    if (!rules.some(rule => rule.address === address && matches(rule, tag))) return { park: `no rule sends tag ${tag} to ${address} any more` }
    const found = await find(tag, signal)
    if (found === undefined || isDeletion(found.version)) return undefined
    const remote = new RemoteIndex(address, http)
    const theirs = await remote.get(tag, signal)
    if (theirs === found.digest || await this.#isOutdated(remote, tag, found, signal)) {
      log.info({ tag, digest: theirs, remote: address }, 'tag is in the other cluster already')
      return undefined
    }
    try {
      const needed = await dependencies.resolve(tag, found.digest, { signal })
      await this.#copy(tag, needed, await remote.origin(signal), signal)
    } catch (error) {
      if (isAppError(error, 'MANIFEST_INVALID') || isAppError(error, 'TAG_INVALID')) return { park: messageOf(error) }
      throw error
    }
    await remote.put(tag, found.digest, found.version, signal)
    log.info({ tag, digest: found.digest, remote: address }, 'tag copied to another cluster')
    return theirs === undefined ? undefined : await this.#outcomeOfMove(remote, tag, found, signal)
  }

  /** Whether the remote knows of a later write, or of a later delete. */
  async #isOutdated (remote: RemoteIndex, tag: string, { version }: FoundTag, signal: AbortSignal): Promise<boolean> {
    if (version === undefined) return false
    const theirs = await remote.version(tag, signal)
    return theirs !== undefined && compareVersions(theirs, version) > 0
  }

  async #copy (tag: string, needed: readonly Dependency[], originAddress: string, signal: AbortSignal): Promise<void> {
    const { origins } = this.options
    for (const level of new Set(needed.map(({ height }) => height))) {
      await forEachLimited(needed.filter(({ height }) => height === level), COPIES_MAX, async ({ digest, isOptional }) => {
        await origins.replicateToRemote(tag, digest, originAddress, { signal }).catch((error: unknown) => {
          if (!isOptional || !isAppError(error, 'BLOB_UNKNOWN')) throw error
        })
      })
    }
  }

  /** A remote of Kraken's keeps the first value of a tag for good, and says that all is well. */
  async #outcomeOfMove (remote: RemoteIndex, tag: string, found: FoundTag, signal: AbortSignal): Promise<TaskOutcome> {
    const theirs = await remote.get(tag, signal)
    if (theirs === found.digest || theirs === undefined || await this.#isOutdated(remote, tag, found, signal)) return undefined
    return { park: `${remote.address} was told that ${tag} is ${found.digest} and keeps ${theirs}: its tags do not move` }
  }
}

function keyOf (address: string, tag: string): string { return `${address} ${tag}` }

function matches ({ patterns }: RemoteConfig, tag: string): boolean { return patterns.some(pattern => pattern.test(tag)) }
