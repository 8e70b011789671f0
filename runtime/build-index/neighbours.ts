import { type Http } from '../../net/client/http.js'
import { buildIndexApi, TAG_VERSION_HEADER } from '../../net/api/build-index.js'
import { pathOf } from '../../net/api/route.js'
import { must200 } from '../../net/client/answers.js'
import { createTagClient } from '../../net/client/tag-client.js'
import { type UpstreamConfig } from '../config/types.js'
import { type Clock } from '../core/clock.js'
import { type Digest } from '../core/digest.js'
import { AppError, isAppError, messageOf } from '../core/errors.js'
import { field } from '../core/json.js'
import { forEachLimited } from '../core/limited.js'
import { type Logger } from '../observe/log.js'
import { type DueTask, type RetryPolicy, type TaskKind, type TaskOutcome } from '../retry/task.js'
import { type TaskQueue } from '../retry/task-queue.js'
import { formatVersion, isCredible, parseVersion, type TagVersion } from '../store/tag-version.js'

/**
 * Those who are well answer at once, and one that is gone is noticed within about 3 s. In between is one that is slow: it
 * may know better than we do, and is worth waiting for.
 */
const ANSWER_MS = 10_000
/** Our own pause, if we were stopped for a while, looks like theirs: so nobody is given up after one try. */
const TRIES = 2
/** One that is back should not have to wait long for what it is owed. */
const OWED_PAUSE_MAX_MS = 15_000
/** Tags that are learnt at the same time. */
const LEARNING_MAX = 8

/** A neighbour that has to be told where a tag points. Where that is is looked up when it is told. */
interface OwedTag { readonly address: string, readonly tag: string }

const OWED_TAG: TaskKind<OwedTag> = {
  name: 'tag-copy',
  parse: stored => {
    const [address, tag] = [field(stored, 'address'), field(stored, 'tag')]
    if (typeof address !== 'string' || typeof tag !== 'string') throw new AppError('CORRUPT', 'expected address and tag')
    return { address, tag }
  }
}

export interface NeighboursOptions {
  /** The other build-indexes of the cluster, as of now. */
  readonly addresses: () => Promise<readonly string[]>
  readonly http: Http
  readonly queue: TaskQueue
  readonly policy: RetryPolicy
  /** Where a tag points by our own records. */
  readonly own: (tag: string) => Promise<TagVersion | undefined>
  /** Distance between the write-backs of a tag by us and each further neighbour. */
  readonly staggerMs: number
  readonly clock: Clock
  readonly log: Logger
}

/**
 * The other build-indexes of the cluster (cluster specification 7.4). They are told of every write before it is
 * acknowledged; what one of them could not be told is on record and told as soon as it answers again. To Kraken's
 * build-indexes all of this is an ordinary duplicate put.
 */
export class Neighbours {
  constructor (readonly options: NeighboursOptions) {}

  /** Begins to tell what is owed, also by an earlier process. */
  start (): void {
    const { queue, policy, http } = this.options
    http.onReturn(returned => { queue.wake(OWED_TAG, key => key.startsWith(`${returned} `)) })
    const soon = { ...policy, pauseMaxMs: Math.min(policy.pauseMaxMs, OWED_PAUSE_MAX_MS) }
    queue.handle(OWED_TAG, soon, async (task, signal) => await this.#repay(task, signal))
  }

  /** Where the tag points by each of them that answers soon. */
  async ask (tag: string, signal: AbortSignal): Promise<Map<string, TagVersion | undefined>> {
    const found = new Map<string, TagVersion | undefined>()
    await Promise.all((await this.#wellOnes()).map(async address => {
      try {
        found.set(address, await this.#persist(address, async () => await this.#versionAt(address, tag, signal)))
      } catch (error) {
        if (!signal.aborted) this.#silent(address, error)
      }
    }))
    return found
  }

  /**
   * Tells all of them, or those that `isMeant`, that the tag points at `version`. When this resolves they know, or it is on
   * record that they have to be told. @throws AppError STORAGE, STORAGE_FULL, UNAVAILABLE
   */
  async tell (tag: string, version: TagVersion, isMeant: (address: string) => boolean = () => true): Promise<void> {
    const addresses = (await this.#addresses()).filter(isMeant)
    const well = new Set(await this.#wellOnes())
    const owed: OwedTag[] = []
    await Promise.all(addresses.map(async (address, i) => {
      try {
        if (!well.has(address)) throw new AppError('UNAVAILABLE', 'it did not answer a moment ago')
        await this.#persist(address, async () => { await this.#put(address, tag, version, (i + 1) * this.options.staggerMs) })
      } catch (error) {
        if (well.has(address)) this.#silent(address, error)
        owed.push({ address, tag })
      }
    }))
    if (owed.length === 0) return
    await this.options.queue.addAll(OWED_TAG, owed.map(payload => ({ key: `${payload.address} ${tag}`, payload, ifPresent: 'replace' })))
  }

  /**
   * Asks those that are well to see later to the copies of a tag in other clusters, in case we do not come to it. Best
   * effort: we have it on record ourselves.
   */
  async share (tag: string, digest: Digest, dependencies: readonly Digest[], staggerMs: number): Promise<void> {
    await Promise.all((await this.#wellOnes()).map(async (address, i) => {
      try {
        const answer = await this.options.http.call({
          method: 'POST',
          address,
          path: pathOf(buildIndexApi.replicateDuplicate, { tag, digest }),
          body: `{"dependencies":${JSON.stringify(dependencies)},"delay":${BigInt(Math.round((i + 1) * staggerMs)) * 1_000_000n}}`,
          timeoutMs: ANSWER_MS,
          isReplaceable: true
        })
        must200(`replication of tag ${tag} at ${address}`, answer)
      } catch (error) {
        this.options.log.warn({ address, tag, reason: messageOf(error) }, 'replication not shared with a neighbour')
      }
    }))
  }

  /**
   * Learns of the tags that all of them know and we do not, as after a disk was lost. What changed while we were away they
   * tell us by themselves, and every read asks them.
   */
  async learn (
    isKnown: (tag: string) => boolean, keep: (tag: string, version: TagVersion) => Promise<unknown>, signal: AbortSignal
  ): Promise<number> {
    const { http, log } = this.options
    let count = 0
    for (const address of await this.#addresses()) {
      const client = createTagClient({ hosts: only(address), http, log, health: 'passive' })
      const names = await client.list('', { signal }).catch((error: unknown) => {
        log.warn({ address, reason: messageOf(error) }, 'tags of a neighbour not read')
        return []
      })
      await client.close()
      await forEachLimited(names.filter(name => !isKnown(name)), LEARNING_MAX, async tag => {
        const version = signal.aborted ? undefined : await this.#versionAt(address, tag, signal).catch(() => undefined)
        if (version === undefined) return
        await keep(tag, version)
        count++
      })
    }
    return count
  }

  async #repay ({ payload: { address, tag } }: DueTask<OwedTag>, signal: AbortSignal): Promise<TaskOutcome> {
    if (!(await this.#addresses()).includes(address)) return { park: `${address} is no build-index of this cluster any more` }
    const version = await this.options.own(tag)
    if (version === undefined) return undefined
    await this.#put(address, tag, version, this.options.staggerMs, signal)
    return undefined
  }

  async #put (address: string, tag: string, version: TagVersion, delayMs: number, signal?: AbortSignal): Promise<void> {
    const answer = await this.options.http.call({
      method: 'PUT',
      address,
      path: pathOf(buildIndexApi.putDuplicate, { tag, digest: version.digest }),
      headers: { [TAG_VERSION_HEADER]: formatVersion(version) },
      body: `{"delay":${BigInt(Math.round(delayMs)) * 1_000_000n}}`,
      timeoutMs: ANSWER_MS,
      isReplaceable: true,
      signal
    })
    must200(`put of tag ${tag} at ${address}`, answer)
  }

  async #versionAt (address: string, tag: string, signal: AbortSignal): Promise<TagVersion | undefined> {
    const path = pathOf(buildIndexApi.tagVersion, { tag })
    const answer = await this.options.http.call({ method: 'GET', address, path, timeoutMs: ANSWER_MS, isReplaceable: true, signal })
    // Also what Kraken's build-indexes say, which know no versions.
    if (answer.status === 404) return undefined
    const version = parseVersion(must200(`version of tag ${tag} at ${address}`, answer).text)
    return version !== undefined && isCredible(version.stamp, this.options.clock.wall()) ? version : undefined
  }

  /** Tries again while the neighbour is not known to be gone. */
  async #persist<T> (address: string, work: () => Promise<T>): Promise<T> {
    for (let tried = 1; ; tried++) {
      try {
        return await work()
      } catch (error) {
        if (tried === TRIES || !isAppError(error, 'TIMED_OUT') || this.options.http.isSilent(address)) throw error
      }
    }
  }

  #silent (address: string, error: unknown): void {
    this.options.log.warn({ address, reason: messageOf(error) }, 'neighbour does not answer')
  }

  async #wellOnes (): Promise<readonly string[]> {
    return (await this.#addresses()).filter(address => !this.options.http.isSilent(address))
  }

  async #addresses (): Promise<readonly string[]> {
    try {
      return await this.options.addresses()
    } catch (error) {
      this.options.log.warn({ reason: messageOf(error) }, 'neighbours not known')
      return []
    }
  }
}

/** An upstream of one host, which is always asked. */
export function only (address: string): UpstreamConfig {
  return { hosts: { static: [address], dns: undefined, ttlMs: 1 }, health: { failsMax: 1, passesMin: 1, timeoutMs: 1, intervalMs: 1 } }
}
