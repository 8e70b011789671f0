import { type Sleep } from '../../net/client/upstream.js'
import { type TaskGroup } from '../cluster/task-group.js'
import { after, type Clock, type Millis } from '../core/clock.js'
import { type Digest } from '../core/digest.js'
import { AppError, isAppError, messageOf } from '../core/errors.js'
import { type Logger } from '../observe/log.js'
import { type Backend, type IncomingBlob, type Placement, type Replica } from './ports.js'

/** Fetches under way at the same time, and further ones that may wait for their turn. */
const RUNNING_MAX = 16
const WAITING_MAX = 1_000
/** How long a failed fetch is answered with its error instead of being tried again (cluster specification 6.1). */
const FAILURE_TTL_MS = 15_000
const FAILURES_MAX = 10_000
/** How long a backend's word that it has no such blob counts. Short, since somebody may be about to put it there. */
const ABSENCE_TTL_MS = 1_000
const ABSENCES_MAX = 10_000
/** Pauses before an origin is asked anew whether it has fetched a blob from the backend. */
const LEASE_PAUSE_MIN_MS = 50
const LEASE_PAUSE_MAX_MS = 1_000
/** How long the other origins are waited for when they are asked who has a blob. */
const LOOKUP_MS = 5_000
/** How long a holder that answered waits for better ones. */
const BETTER_HOLDER_MS = 100

export interface RefreshOptions {
  readonly placement: Placement
  readonly replica: (address: string) => Replica
  readonly backend: Backend | undefined
  /** On how many members an acknowledged blob is at least. */
  readonly copiesMin: number
  /** Puts a blob into the cache while it arrives. @throws AppError DIGEST_MISMATCH if it is another blob */
  readonly store: (digest: Digest, blob: IncomingBlob, bytesMax: number | undefined) => Promise<void>
  /** Larger blobs are not fetched from the backend; undefined if there is no limit of its own. */
  readonly backendBytesMax?: number | undefined
  /** Called when a blob has landed here: its other owners may lack it as well. */
  readonly onLanded: (digest: Digest) => void
  readonly tasks: TaskGroup
  readonly clock: Clock
  readonly sleep: Sleep
  readonly log: Logger
}

export interface BeginOptions {
  /** Another origin leaves the fetch from the backend to us, so it is not left to a third one. */
  readonly isLeased?: boolean
}

/** Where a blob can be had: an origin's address, or the backend. */
interface Source {
  readonly name: string
  /** Resolves when it makes sense to open it. Takes no turn, since those whom it waits for may be waiting for theirs. */
  readonly ready?: (signal: AbortSignal) => Promise<void>
  readonly open: (signal: AbortSignal) => Promise<IncomingBlob | undefined>
  readonly bytesMax?: number | undefined
}

/**
 * Fetches blobs that this origin lacks, from another origin or else from the backend, so that one that lost its disk heals.
 * There is one fetch for each blob, whatever the namespace; callers are told `pending` and ask again.
 *
 *     begin --> failed a moment ago: its error        --> nobody has it: unknown
 *           --> under way: pending                    --> somebody has it: fetch starts, pending
 *
 * The backend is read by one origin alone, however many are asked for the blob: by the first of its healthy owners. The
 * others have that one fetch it, wait, and copy it from there. If it dies meanwhile, the next owner takes its place, who may
 * be ourselves; since all agree on the order, nobody has to be elected.
 */
export class Refresh {
  readonly #lookups = new Map<Digest, Promise<'pending' | 'unknown'>>()
  readonly #fetches = new Set<Digest>()
  readonly #waiting: Array<() => void> = []
  readonly #absences = new Map<string, Millis>()
  readonly #failures = new Map<Digest, { error: AppError, until: Millis }>()
  #running = 0

  constructor (readonly options: RefreshOptions) {}

  /** True while the blob is on its way. */
  isFetching (digest: Digest): boolean { return this.#fetches.has(digest) }

  /**
   * Makes sure that a blob which is not here is on its way.
   * @throws the error of the last fetch if that was a moment ago; UNAVAILABLE if nobody could be asked, or if too many
   *   fetches are under way
   */
  async begin (namespace: string, digest: Digest, { isLeased = false }: BeginOptions = {}): Promise<'pending' | 'unknown'> {
    const failure = this.#failures.get(digest)
    if (failure !== undefined && failure.until > this.options.clock.now()) throw failure.error
    this.#failures.delete(digest)
    if (this.#fetches.has(digest)) return 'pending'
    const asked = this.#lookups.get(digest)
    if (asked !== undefined) return await asked
    const lookup = this.#lookUp(namespace, digest, isLeased).finally(() => { this.#lookups.delete(digest) })
    this.#lookups.set(digest, lookup)
    return await lookup
  }

  async #lookUp (namespace: string, digest: Digest, isLeased: boolean): Promise<'pending' | 'unknown'> {
    const sources = await this.#sourcesOf(namespace, digest, isLeased)
    if (sources.length === 0) return 'unknown'
    if (this.#fetches.size >= RUNNING_MAX + WAITING_MAX) {
      throw new AppError('UNAVAILABLE', `${this.#fetches.size} blobs are being fetched already: ask again later`)
    }
    this.#fetches.add(digest)
    this.options.tasks.run('fetch', async signal => { await this.#fetch(digest, sources, signal) })
    if (this.options.tasks.signal.aborted) this.#fetches.delete(digest)
    return 'pending'
  }

  /** Who says to have the blob: owners best first, then other members, then the backend. */
  async #sourcesOf (namespace: string, digest: Digest, isLeased: boolean): Promise<Source[]> {
    const { placement, copiesMin } = this.options
    // Also those that seem to be away: they may be back, and may be the only ones that have it.
    const members = [...new Set([...placement.locations(digest), ...placement.ranking(digest)])].filter(member => member !== placement.self)
    const { holders, failedCount } = await this.#holdersAmong(members, namespace, digest)
    const sources = holders.map(member => this.#fromReplica(member, namespace, digest))
    if (sources.length === 0) sources.push(...await this.#backendSources(namespace, digest, isLeased))
    // What was acknowledged is on so many members that one of them would have answered.
    const isAbsent = failedCount < Math.min(copiesMin, members.length)
    if (sources.length === 0 && members.length > 0 && !isAbsent) {
      throw new AppError('UNAVAILABLE', `${digest} is not here and ${failedCount} of the other origins (${members.join(', ')}) could not be asked for it`)
    }
    return sources
  }

  /** Asks all at once, and waits no longer than a moment for the others when one has it. */
  async #holdersAmong (members: readonly string[], namespace: string, digest: Digest): Promise<{ holders: string[], failedCount: number }> {
    const { replica, sleep } = this.options
    const signal = AbortSignal.timeout(LOOKUP_MS)
    const holding = new Set<string>()
    let failedCount = 0
    let found: () => void = () => {}
    const isFound = new Promise<void>(resolve => { found = resolve })
    const asking = Promise.all(members.map(async member => {
      try {
        if (await replica(member).statLocal(namespace, digest, { signal }) === undefined) return
        holding.add(member)
        found()
      } catch {
        failedCount++
      }
    }))
    const over = new AbortController()
    await Promise.race([asking, isFound.then(async () => { await sleep(BETTER_HOLDER_MS, over.signal).catch(() => {}) })])
    over.abort()
    return { holders: members.filter(member => holding.has(member)), failedCount }
  }

  /** Who may read the backend, in the order in which they do; none if it has no such blob. */
  async #backendSources (namespace: string, digest: Digest, isLeased: boolean): Promise<Source[]> {
    const { backend, placement, backendBytesMax } = this.options
    if (backend === undefined || this.#isAbsent(namespace, digest)) return []
    const found = await backend.stat(namespace, digest, { signal: AbortSignal.timeout(LOOKUP_MS) })
    if (found === undefined) {
      this.#rememberAbsence(namespace, digest)
      return []
    }
    if (backendBytesMax !== undefined && (found.sizeBytes ?? 0) > backendBytesMax) {
      throw new AppError('INTERNAL', `${digest} has ${found.sizeBytes} bytes and at most ${backendBytesMax} are fetched: see blobrefresh.size_limit`)
    }
    const own: Source = { name: 'backend', open: async signal => await backend.open(namespace, digest, { signal }), bytesMax: backendBytesMax }
    const owners = placement.locations(digest)
    const ownRank = owners.indexOf(placement.self)
    const before = isLeased ? [] : owners.slice(0, ownRank < 0 ? owners.length : ownRank)
    return [...before.map(owner => this.#throughOwner(owner, namespace, digest)), own]
  }

  /** Waits until the owner has fetched the blob from the backend, and copies it. @throws AppError when it cannot, or dies */
  #throughOwner (owner: string, namespace: string, digest: Digest): Source {
    const { replica, sleep, placement } = this.options
    const ready = async (signal: AbortSignal): Promise<void> => {
      for (let pauseMs = LEASE_PAUSE_MIN_MS; ; pauseMs = Math.min(2 * pauseMs, LEASE_PAUSE_MAX_MS)) {
        const state = await replica(owner).fetchFromBackend(namespace, digest, { signal })
        if (state === 'present') return
        if (state === 'unknown') throw new AppError('BLOB_UNKNOWN', `${owner} does not find ${digest} in the backend`)
        await sleep(pauseMs, signal)
        if (!placement.healthy.includes(owner)) throw new AppError('NETWORK', `${owner} is no longer healthy`)
      }
    }
    return { ...this.#fromReplica(owner, namespace, digest), ready }
  }

  #isAbsent (namespace: string, digest: Digest): boolean {
    const until = this.#absences.get(`${digest} ${namespace}`)
    return until !== undefined && until > this.options.clock.now()
  }

  #rememberAbsence (namespace: string, digest: Digest): void {
    if (this.#absences.size >= ABSENCES_MAX) this.#absences.clear()
    this.#absences.set(`${digest} ${namespace}`, after(this.options.clock.now(), ABSENCE_TTL_MS))
  }

  #fromReplica (address: string, namespace: string, digest: Digest): Source {
    return { name: address, open: async signal => await this.options.replica(address).download(namespace, digest, { signal }) }
  }

  async #fetch (digest: Digest, sources: readonly Source[], signal: AbortSignal): Promise<void> {
    const { onLanded, log, clock } = this.options
    try {
      const source = await this.#storeFromFirst(digest, sources, signal)
      log.info({ digest, source }, 'missing blob fetched')
      onLanded(digest)
    } catch (error) {
      if (signal.aborted) return
      log.warn({ digest, error: messageOf(error) }, 'missing blob could not be fetched')
      const remembered = isAppError(error) ? error : new AppError('INTERNAL', messageOf(error), { cause: error })
      this.#failures.set(digest, { error: remembered, until: after(clock.now(), FAILURE_TTL_MS) })
      const oldest = this.#failures.keys().next()
      if (this.#failures.size > FAILURES_MAX && oldest.done !== true) this.#failures.delete(oldest.value)
    } finally {
      this.#fetches.delete(digest)
    }
  }

  /** Tries one source after the other. @throws the last one's error */
  async #storeFromFirst (digest: Digest, sources: readonly Source[], signal: AbortSignal): Promise<string> {
    let failure: unknown
    for (const source of sources) {
      if (signal.aborted) break
      try {
        await source.ready?.(signal)
        await this.#storeFrom(digest, source, signal)
        return source.name
      } catch (error) {
        failure = error
        this.options.log.warn({ digest, source: source.name, error: messageOf(error) }, 'blob could not be fetched from here')
      }
    }
    throw failure ?? new AppError('CANCELLED', `the fetch of ${digest} was cancelled`)
  }

  async #storeFrom (digest: Digest, { name, open, bytesMax }: Source, signal: AbortSignal): Promise<void> {
    await this.#takeTurn()
    try {
      const stream = await open(signal)
      if (stream === undefined) throw new AppError('BLOB_UNKNOWN', `${name} has ${digest} no more`)
      await this.options.store(digest, stream, bytesMax)
    } finally {
      this.#giveTurn()
    }
  }

  async #takeTurn (): Promise<void> {
    if (this.#running < RUNNING_MAX) this.#running++
    else await new Promise<void>(resolve => this.#waiting.push(resolve))
  }

  #giveTurn (): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#running--
    else next()
  }
}
