import { type BlobContent } from '../../net/client/clients.js'
import { type Digest, hexOf, parseDigest } from '../core/digest.js'
import { AppError, isAppError } from '../core/errors.js'
import { field } from '../core/json.js'
import { type Logger } from '../observe/log.js'
import { type DueTask, type RetryPolicy, type TaskKind, type TaskOutcome } from '../retry/task.js'
import { type TaskQueue } from '../retry/task-queue.js'
import { type Placement, type Replica } from './ports.js'

/** An owner that is away is asked again after so long; it is also noticed when it is back. */
const AWAY_MS = 5_000
/** A copy that is on its way already is looked at again after so long. */
const ON_ITS_WAY_MS = 1_000
const POLICY: RetryPolicy = { workers: 4, spacingMs: 0, pauseMinMs: 500, pauseMaxMs: 30_000, failuresMax: Infinity }
/** Any namespace does for a question about local blobs; this one has no backend anywhere. */
const NO_NAMESPACE = '__noop__'

/** An owner that has to get its copy of a blob. */
export interface OwedCopy {
  readonly owner: string
  readonly namespace: string
  readonly digest: Digest
  /** How much later than we the owner writes the blob back. */
  readonly delayMs: number
}

const OWED_COPY: TaskKind<OwedCopy> = {
  name: 'copy',
  parse: stored => {
    const [owner, namespace, digest, delayMs] = ['owner', 'namespace', 'digest', 'delayMs'].map(name => field(stored, name))
    if (typeof owner !== 'string' || typeof namespace !== 'string' || typeof digest !== 'string' || typeof delayMs !== 'number') {
      throw new AppError('CORRUPT', 'expected owner, namespace, digest and delayMs')
    }
    return { owner, namespace, digest: parseDigest(digest), delayMs }
  }
}

export interface OwedCopiesOptions {
  readonly queue: TaskQueue
  readonly placement: Placement
  readonly replica: (address: string) => Replica
  /** The bytes of a blob that is in our cache. @throws AppError BLOB_UNKNOWN */
  readonly content: (digest: Digest) => Promise<BlobContent>
  /** Whether a copy is on its way anyhow. */
  readonly isCopying: (owner: string, digest: Digest) => boolean
  readonly log: Logger
}

/**
 * The copies that owners of acknowledged blobs could not be given yet. They are on record before the push is acknowledged,
 * keep the blob from being deleted here, and are made as soon as their owners are there (hinted hand-over).
 */
export class OwedCopies {
  constructor (readonly options: OwedCopiesOptions) {}

  /** Begins to give what is owed, also by an earlier process. @param signal - ends the watch for owners that come back */
  start (signal: AbortSignal): void {
    const { queue, placement } = this.options
    queue.handle(OWED_COPY, POLICY, async (task, signal) => await this.#give(task, signal))
    const stopListening = placement.onChange(() => { queue.wake(OWED_COPY, key => placement.healthy.includes(ownerIn(key))) })
    signal.addEventListener('abort', stopListening, { once: true })
  }

  /** An owner answers again: what it is owed is due. */
  hurry (owner: string): void { this.options.queue.wake(OWED_COPY, key => ownerIn(key) === owner) }

  /** How many copies are owed. */
  get count (): number {
    const stats = this.options.queue.stats()[OWED_COPY.name]
    return stats === undefined ? 0 : stats.waiting + stats.running + stats.parked
  }

  /** Puts copies on record; on the disk when this resolves. @throws AppError UNAVAILABLE, STORAGE, STORAGE_FULL */
  async owe (copies: readonly OwedCopy[]): Promise<void> {
    await this.options.queue.addAll(OWED_COPY, copies.map(copy => ({ key: `${copy.owner} ${copy.digest}`, payload: copy, pin: hexOf(copy.digest) })))
  }

  async #give ({ payload }: DueTask<OwedCopy>, signal: AbortSignal): Promise<TaskOutcome> {
    const { placement, replica, content, isCopying, log } = this.options
    const { owner, namespace, digest, delayMs } = payload
    // After a change of members the comparison of all blobs with their owners sees to it (`Repair`).
    if (!placement.owners(digest).includes(owner)) return undefined
    if (!placement.healthy.includes(owner)) return { againInMs: AWAY_MS }
    if (isCopying(owner, digest)) return { againInMs: ON_ITS_WAY_MS }
    if (await replica(owner).statLocal(NO_NAMESPACE, digest, { signal }) !== undefined) return undefined
    let bytes: BlobContent
    try {
      bytes = await content(digest)
    } catch (error) {
      if (!isAppError(error, 'BLOB_UNKNOWN')) throw error
      return await this.#lost(payload, signal)
    }
    await replica(owner).uploadDuplicate(namespace, digest, bytes, delayMs, { signal })
    log.info({ digest, owner }, 'owed copy made')
    return undefined
  }

  /** Our own copy is gone: whoever else has one brings it to the owner. */
  async #lost ({ owner, digest }: OwedCopy, signal: AbortSignal): Promise<TaskOutcome> {
    const { placement, replica } = this.options
    const others = placement.ranking(digest).filter(member => member !== placement.self && member !== owner)
    const answers = await Promise.allSettled(others.map(async member => await replica(member).statLocal(NO_NAMESPACE, digest, { signal })))
    if (answers.some(answer => answer.status === 'fulfilled' && answer.value !== undefined)) return undefined
    if (answers.some(answer => answer.status === 'rejected')) throw new AppError('UNAVAILABLE', 'our copy is gone and not all others could be asked')
    return { park: 'no origin has the blob any more' }
  }
}

function ownerIn (key: string): string { return key.slice(0, key.lastIndexOf(' ')) }
