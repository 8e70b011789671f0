import { type Http } from '../../net/client/http.js'
import { buildIndexApi, TAG_VERSION_HEADER } from '../../net/api/build-index.js'
import { pathOf } from '../../net/api/route.js'
import { must200 } from '../../net/client/answers.js'
import { type Sleep } from '../../net/client/upstream.js'
import { type Clock } from '../core/clock.js'
import { type Digest } from '../core/digest.js'
import { AppError, isAppError, messageOf } from '../core/errors.js'
import { field } from '../core/json.js'
import { type Logger } from '../observe/log.js'
import { type DueTask, type RetryPolicy, type TaskKind, type TaskOutcome } from '../retry/task.js'
import { type TaskQueue } from '../retry/task-queue.js'
import { formatVersion, isCredible, newerOf, parseVersion, type TagVersion } from '../store/tag-version.js'
import { majorityOf, readersOf, untilDecided } from './quorum.js'
import { type Witnesses } from './witnesses.js'

/**
 * Those who are well answer at once, and one that is gone is noticed within about 3 s. In between is one that is slow: it
 * may know better than we do, and is worth waiting for if nobody else does.
 */
const ANSWER_MS = 10_000
/** After so long the origins are asked, or told, beside a neighbour that has not answered. */
const PATIENCE_MS = 400
/** Our own pause, if we were stopped for a while, looks like theirs: so nobody is given up after one try. */
const TRIES = 2
/** One that is back should not have to wait long for what it is owed. */
const OWED_PAUSE_MAX_MS = 15_000

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

/** What the others know of a tag. */
export interface Known {
  /** Of the neighbours that answered. */
  readonly versions: ReadonlyMap<string, TagVersion | undefined>
  /** The latest of all. */
  readonly newest: TagVersion | undefined
  /** Whether no later write can have been acknowledged by anybody. */
  readonly isCertain: boolean
  /** Whether every neighbour answered. */
  readonly isUnanimous: boolean
}

export interface NeighboursOptions {
  /** The other build-indexes of the cluster, as of now. */
  readonly addresses: () => Promise<readonly string[]>
  readonly witnesses: Pick<Witnesses, 'addresses' | 'ask' | 'mark' | 'unmark'>
  readonly http: Http
  readonly queue: TaskQueue
  readonly policy: RetryPolicy
  /** Where a tag points by our own records. */
  readonly own: (tag: string) => Promise<TagVersion | undefined>
  /** Distance between the write-backs of a tag by us and each further neighbour. */
  readonly staggerMs: number
  readonly clock: Clock
  readonly sleep: Sleep
  readonly log: Logger
}

/**
 * The other build-indexes of the cluster (cluster specification 7.4). To Kraken's all of this is an ordinary duplicate put.
 *
 * A write is acknowledged when all of them know, or when a majority of build-indexes and origins together has it on record
 * and those that do not know are owed it. So a reader who gets answers from all neighbours, or from as many members as
 * every majority has one of, knows every write that was acknowledged, whoever is away by then.
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

  /** What they know of the tag: the neighbours, and beside those that do not answer soon the origins. Never rejects. */
  async ask (tag: string, signal: AbortSignal): Promise<Known> {
    const addresses = await this.addresses()
    const over = new AbortController()
    const limited = AbortSignal.any([signal, over.signal])
    const versions = new Map<string, TagVersion | undefined>()
    const isUnanimous = (): boolean => versions.size === addresses.length
    const asked = addresses.map(async address => {
      try {
        if (this.options.http.isSilent(address)) return
        versions.set(address, await this.#persist(address, async () => await this.#versionAt(address, tag, limited)))
      } catch (error) {
        if (!limited.aborted) this.#silent(address, error)
      }
    })
    try {
      await this.#patiently(asked, limited)
      if (isUnanimous()) return knownOf(versions, [], true, true)
      const marks = await this.#askWitnesses(tag, limited, 1 + addresses.length, () => 1 + versions.size, asked)
      return knownOf(versions, marks.versions, marks.isCertain || isUnanimous(), isUnanimous())
    } finally {
      over.abort()
    }
  }

  /**
   * Tells them that the tag points at `version`. When this resolves they know, or it is on record that they have to be told
   * and so many others have it on record that whoever reads learns of it. @throws AppError STORAGE, STORAGE_FULL, UNAVAILABLE
   */
  async tell (tag: string, version: TagVersion): Promise<void> {
    const addresses = await this.addresses()
    const told = new Set<string>()
    const isToldToAll = (): boolean => told.size === addresses.length
    const telling = addresses.map(async (address, i) => {
      if (await this.#tellOne(address, tag, version, (i + 1) * this.options.staggerMs)) told.add(address)
    })
    await this.#patiently(telling, NEVER)
    if (isToldToAll()) return
    const missing = addresses.filter(address => !told.has(address))
    await Promise.all([this.#owe(missing, tag), this.#markWitnesses(tag, version, 1 + addresses.length, () => 1 + told.size, telling)])
  }

  /**
   * Asks those that are well to see later to the copies of a tag in other clusters, in case we do not come to it. Best
   * effort: we have it on record ourselves.
   */
  async share (tag: string, digest: Digest, dependencies: readonly Digest[], staggerMs: number): Promise<void> {
    const addresses = (await this.addresses()).filter(address => !this.options.http.isSilent(address))
    await Promise.all(addresses.map(async (address, i) => {
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

  /** Tells those that are behind, so that whoever asks them next does not get an older answer than we give now. */
  async tellBehind (tag: string, version: TagVersion, behind: readonly string[]): Promise<void> {
    const missing: string[] = []
    await Promise.all(behind.map(async address => {
      if (!await this.#tellOne(address, tag, version, this.options.staggerMs)) missing.push(address)
    }))
    if (missing.length > 0) await this.#owe(missing, tag)
  }

  /** The other build-indexes; none while they cannot be known. */
  async addresses (): Promise<readonly string[]> {
    try {
      return await this.options.addresses()
    } catch (error) {
      this.options.log.warn({ reason: messageOf(error) }, 'neighbours not known')
      return []
    }
  }

  /** @returns whether it knows now */
  async #tellOne (address: string, tag: string, version: TagVersion, delayMs: number): Promise<boolean> {
    if (this.options.http.isSilent(address)) return false
    try {
      await this.#persist(address, async () => { await this.#put(address, tag, version, delayMs) })
      return true
    } catch (error) {
      this.#silent(address, error)
      return false
    }
  }

  async #owe (addresses: readonly string[], tag: string): Promise<void> {
    const tasks = addresses.map(address => ({ key: keyOf(address, tag), payload: { address, tag }, ifPresent: 'replace' as const }))
    await this.options.queue.addAll(OWED_TAG, tasks)
  }

  /** @param members - build-indexes, ourselves included. @param answered - how many of them have, by now */
  async #askWitnesses (
    tag: string, signal: AbortSignal, members: number, answered: () => number, asked: ReadonlyArray<Promise<void>>
  ): Promise<{ versions: ReadonlyArray<TagVersion | undefined>, isCertain: boolean }> {
    const { witnesses, http } = this.options
    const addresses = await witnesses.addresses()
    const versions: Array<TagVersion | undefined> = []
    let able = addresses.length
    const isEnough = (): boolean => answered() === members || (able > 0 && answered() + versions.length >= readersOf(members + able))
    await untilDecided([...asked, ...addresses.map(async address => {
      if (http.isSilent(address)) return
      const answer = await witnesses.ask(address, tag, signal)
      if (answer.kind === 'version') versions.push(answer.version)
      else able--
    })], isEnough)
    // Without anybody who could have been a witness what the build-indexes know is all there is.
    return { versions, isCertain: isEnough() || able === 0 }
  }

  async #markWitnesses (
    tag: string, version: TagVersion, members: number, told: () => number, telling: ReadonlyArray<Promise<void>>
  ): Promise<void> {
    const { witnesses, http, log } = this.options
    const addresses = await witnesses.addresses()
    let [marked, able] = [0, addresses.length]
    const isEnough = (): boolean => told() === members || (able > 0 && told() + marked >= majorityOf(members + able))
    await untilDecided([...telling, ...addresses.map(async address => {
      if (http.isSilent(address)) return
      if (await witnesses.mark(address, tag, version)) marked++
      else able--
    })], isEnough)
    if (isEnough() || able === 0) return
    if (told() + marked < 2) throw new AppError('UNAVAILABLE', `no other build-index and no origin could be told of tag ${tag}: try again in a moment`)
    log.warn({ tag, told: told() + marked, members: members + able }, 'tag acknowledged by too few')
  }

  async #repay ({ payload: { address, tag } }: DueTask<OwedTag>, signal: AbortSignal): Promise<TaskOutcome> {
    const { own, queue, witnesses } = this.options
    const addresses = await this.addresses()
    if (!addresses.includes(address)) return { park: `${address} is no build-index of this cluster any more` }
    const version = await own(tag)
    if (version === undefined) return undefined
    await this.#put(address, tag, version, this.options.staggerMs, signal)
    const isOwedElsewhere = addresses.some(other => other !== address && queue.has(OWED_TAG, keyOf(other, tag)))
    if (!isOwedElsewhere) await witnesses.unmark(tag, version)
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

  /** Waits for all of it, but not for long. */
  async #patiently (work: ReadonlyArray<Promise<void>>, signal: AbortSignal): Promise<void> {
    const over = new AbortController()
    const late = this.options.sleep(PATIENCE_MS, AbortSignal.any([signal, over.signal])).catch(() => {})
    await Promise.race([Promise.all(work), late])
    over.abort()
  }

  #silent (address: string, error: unknown): void {
    this.options.log.warn({ address, reason: messageOf(error) }, 'neighbour does not answer')
  }
}

const NEVER = new AbortController().signal

function keyOf (address: string, tag: string): string { return `${address} ${tag}` }

function knownOf (
  versions: ReadonlyMap<string, TagVersion | undefined>, marks: ReadonlyArray<TagVersion | undefined>, isCertain: boolean, isUnanimous: boolean
): Known {
  return { versions: new Map(versions), newest: [...versions.values(), ...marks].reduce(newerOf, undefined), isCertain, isUnanimous }
}
