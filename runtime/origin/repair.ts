import { type BlobContent } from '../../net/client/clients.js'
import { type Sleep } from '../../net/client/upstream.js'
import { type TaskGroup } from '../cluster/task-group.js'
import { after, type Clock, type Millis } from '../core/clock.js'
import { type Digest } from '../core/digest.js'
import { isAppError, messageOf } from '../core/errors.js'
import { type Logger } from '../observe/log.js'
import { type Placement, type Replica } from './ports.js'

/** Blobs remembered one by one, unless set otherwise; beyond this a later comparison finds them. */
const REMEMBERED_MAX = 10_000
/** Blobs that are looked after at the same time. */
const WORKERS = 2
/** Pause of a worker after a blob that a scan brought up, so that scanning stays in the background. */
const SCAN_PAUSE_MS = 5
/** Counts as an attempt at which nothing is left to others. */
const LATE = 1
const RETRY_MIN_MS = 5_000
const RETRY_MAX_MS = 300_000
/** Any namespace does for a question about local blobs; this one has no backend anywhere. */
const NO_NAMESPACE = '__noop__'

export interface RepairOptions {
  readonly placement: Placement
  readonly replica: (address: string) => Replica
  /** The bytes of a blob that is in our cache. @throws AppError BLOB_UNKNOWN */
  readonly content: (digest: Digest) => Promise<BlobContent>
  /** All blobs in our cache, read while it goes on. */
  readonly listLocal: () => AsyncIterable<Digest>
  readonly tasks: TaskGroup
  readonly clock: Clock
  readonly sleep: Sleep
  readonly log: Logger
  readonly rememberedMax?: number
}

interface Remembered { attempts: number, dueAt: Millis }

/**
 * Brings blobs to owners that lack them. It is told about single blobs (a replica that could not be made), and after
 * every change of members or health, and at the start, it compares all local blobs with their owners. A blob that cannot
 * be brought is tried again with growing pauses.
 *
 *     remember -----> due ---> owners asked ---> all have it: forgotten
 *        ^             ^            |
 *     scan found       +--- pause --+--- one lacks it: copied, or a better holder is given the time to do so
 */
export class Repair {
  readonly #remembered = new Map<Digest, Remembered>()
  #scan: AsyncIterator<Digest> | undefined
  #scanDueAt: Millis | undefined
  /** Aborted to wake the workers that have nothing to do, and for good when the group closes. */
  #idle = new AbortController()

  constructor (readonly options: RepairOptions) {}

  /** Blobs known to lack a copy at one of their owners. */
  get backlog (): number { return this.#remembered.size }

  /** Begins with a comparison of everything. The work ends with the task group. */
  start (): void {
    const { placement, tasks } = this.options
    this.compareAll()
    const stopListening = placement.onChange(() => { this.compareAll() })
    tasks.signal.addEventListener('abort', () => {
      stopListening()
      this.#idle.abort()
    }, { once: true })
    for (let i = 0; i < WORKERS; i++) tasks.run('repair', async signal => { await this.#work(signal) })
  }

  /** The blob may lack a copy at one of its owners: look after it soon. */
  remember (digest: Digest): void { this.#remember(digest, 0, RETRY_MIN_MS) }

  /** Sees to it now that every other owner has the blob. @throws AppError of an owner that cannot be brought to */
  async bringNow (digest: Digest, signal: AbortSignal): Promise<void> { await this.#bringToOwners(digest, LATE, signal) }

  /** Compare all local blobs with what their owners have; a comparison that is under way starts over when it ends. */
  compareAll (): void {
    this.#scanDueAt = this.options.clock.now()
    this.#wake()
  }

  async #work (signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const due = this.#takeDue()
      if (due !== undefined) {
        await this.#lookAfter(due.digest, due.attempts, signal)
        continue
      }
      const found = await this.#nextOfScan()
      if (found === undefined) {
        await this.options.sleep(this.#idleMs(), this.#idle.signal).catch(() => {})
      } else {
        await this.#lookAfter(found, 0, signal)
        await this.options.sleep(SCAN_PAUSE_MS, signal).catch(() => {})
      }
    }
  }

  async #lookAfter (digest: Digest, attempts: number, signal: AbortSignal): Promise<void> {
    try {
      if (await this.#bringToOwners(digest, attempts, signal) === 'later') this.#retry(digest, attempts)
    } catch (error) {
      if (signal.aborted || isAppError(error, 'BLOB_UNKNOWN')) return
      this.options.log.warn({ digest, attempts, error: messageOf(error) }, 'blob could not be repaired')
      this.#retry(digest, attempts)
    }
  }

  /**
   * Asks every other owner and copies the blob to those that lack it. If an owner before us in the ring has the blob, the
   * first attempt leaves the copying to it, so that not all holders send the same bytes.
   * @throws AppError of the last owner that failed, when all were tried
   */
  async #bringToOwners (digest: Digest, attempts: number, signal: AbortSignal): Promise<'done' | 'later'> {
    const { placement, replica, content, log } = this.options
    const owners = placement.locations(digest)
    const ownRank = owners.indexOf(placement.self)
    const lacking: string[] = []
    let isBetterHeld = false
    let failure: unknown
    for (const [rank, owner] of owners.entries()) {
      if (rank === ownRank) continue
      try {
        const held = await replica(owner).statLocal(NO_NAMESPACE, digest, { signal })
        if (held === undefined) lacking.push(owner)
        else if (ownRank === -1 || rank < ownRank) isBetterHeld = true
      } catch (error) {
        failure = error
      }
    }
    if (lacking.length > 0 && isBetterHeld && attempts === 0) return 'later'
    for (const owner of lacking) {
      try {
        await replica(owner).transfer(digest, await content(digest), { signal })
        log.info({ digest, owner }, 'missing replica made')
      } catch (error) {
        failure = error
      }
    }
    if (failure !== undefined) throw failure
    return 'done'
  }

  #retry (digest: Digest, attempts: number): void {
    this.#remember(digest, attempts + 1, Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** attempts))
  }

  #remember (digest: Digest, attempts: number, inMs: number): void {
    const dueAt = after(this.options.clock.now(), inMs)
    if (this.#remembered.size >= (this.options.rememberedMax ?? REMEMBERED_MAX) && !this.#remembered.has(digest)) {
      this.#scanDueAt ??= after(this.options.clock.now(), RETRY_MAX_MS)
    } else {
      this.#remembered.set(digest, { attempts, dueAt })
    }
    this.#wake()
  }

  #takeDue (): { digest: Digest, attempts: number } | undefined {
    const now = this.options.clock.now()
    for (const [digest, { attempts, dueAt }] of this.#remembered) {
      if (dueAt > now) continue
      this.#remembered.delete(digest)
      return { digest, attempts }
    }
    return undefined
  }

  /** The next blob of the comparison under way, or of one that is due; undefined if there is none. */
  async #nextOfScan (): Promise<Digest | undefined> {
    const { clock, placement, listLocal } = this.options
    if (this.#scan === undefined) {
      if (this.#scanDueAt === undefined || this.#scanDueAt > clock.now()) return undefined
      this.#scanDueAt = undefined
      if (placement.healthy.every(member => member === placement.self)) return undefined
      this.#scan = listLocal()[Symbol.asyncIterator]()
    }
    const scan = this.#scan
    const step = await scan.next()
    if (step.done !== true) return step.value
    if (this.#scan === scan) this.#scan = undefined
    return undefined
  }

  #idleMs (): number {
    const now = this.options.clock.now()
    const dues = [...this.#remembered.values()].map(entry => entry.dueAt)
    if (this.#scanDueAt !== undefined) dues.push(this.#scanDueAt)
    return Math.max(1, dues.reduce((soonest, dueAt) => Math.min(soonest, dueAt - now), RETRY_MAX_MS))
  }

  #wake (): void {
    if (this.options.tasks.signal.aborted) return
    this.#idle.abort()
    this.#idle = new AbortController()
  }
}
