import { type BlobContent } from '../../net/client/clients.js'
import { type Sleep } from '../../net/client/upstream.js'
import { type TaskGroup } from '../cluster/task-group.js'
import { type Digest } from '../core/digest.js'
import { messageOf } from '../core/errors.js'
import { type Prng, shuffle } from '../core/prng.js'
import { type Logger } from '../observe/log.js'
import { type Placement, type Replica } from './ports.js'

/** How long a commit still waits for slower replicas once a second copy of the blob exists. */
const STRAGGLER_MS = 10_000
/** How often a commit tries to get a second copy before it leaves that to the repair. */
const ROUNDS_MAX = 2

export interface ReplicationOptions {
  readonly placement: Placement
  readonly replica: (address: string) => Replica
  /** The bytes of a blob that is in our cache. @throws AppError BLOB_UNKNOWN */
  readonly content: (digest: Digest) => Promise<BlobContent>
  /** Distance between the write-backs of two replicas (`duplicate_write_back_stagger`). */
  readonly staggerMs: number
  /** Takes the blobs of which an owner could not be given a copy. */
  readonly leaveToRepair: (digest: Digest) => void
  readonly tasks: TaskGroup
  readonly sleep: Sleep
  readonly prng: Prng
  readonly log: Logger
}

/**
 * Copies a freshly committed blob to its other healthy owners before the commit is answered (cluster specification 6.3). A
 * commit waits until all of them have it, or for a while only once one of them has. It never fails for want of replicas:
 * what could not be copied is left to the repair. An owner that is not healthy gets its blobs when it is back.
 */
export class Replication {
  readonly #running = new Map<Digest, Promise<void>>()

  constructor (readonly options: ReplicationOptions) {}

  /** Resolves when the blob has as many copies as can be had now. Commits of one blob at the same time share the work. */
  async replicate (namespace: string, digest: Digest): Promise<void> {
    const running = this.#running.get(digest)
    if (running !== undefined) return await running
    const work = this.#replicate(namespace, digest).finally(() => { this.#running.delete(digest) })
    this.#running.set(digest, work)
    await work
  }

  /** Resolves when no copying of this blob is under way any more. */
  async settled (digest: Digest): Promise<void> { await this.#running.get(digest) }

  async #replicate (namespace: string, digest: Digest): Promise<void> {
    const { prng, leaveToRepair, log } = this.options
    try {
      for (let round = 1; round <= ROUNDS_MAX; round++) {
        const owners = shuffle(this.#others(digest), prng)
        if (owners.length === 0 || await this.#copyToAll(namespace, digest, owners)) return
      }
      log.warn({ digest }, 'blob has no second copy yet')
    } catch (error) {
      leaveToRepair(digest)
      log.warn({ digest, error: messageOf(error) }, 'blob could not be replicated')
    }
  }

  #others (digest: Digest): string[] {
    const { placement } = this.options
    return placement.locations(digest).filter(owner => owner !== placement.self)
  }

  /** True once at least one copy was made; the slower ones go on in the background. */
  async #copyToAll (namespace: string, digest: Digest, owners: readonly string[]): Promise<boolean> {
    const content = await this.options.content(digest)
    const done = new AbortController()
    const copies = owners.map((owner, i) => this.#copyTo(owner, namespace, digest, content, (i + 1) * this.options.staggerMs))
    const all = Promise.all(copies).then(made => made.includes(true))
    try {
      return await Promise.race([all, ...copies.map(copy => this.#patience(copy, done.signal))])
    } finally {
      done.abort()
    }
  }

  /** Resolves a while after `copy` was made, and never if it was not. */
  async #patience (copy: Promise<boolean>, signal: AbortSignal): Promise<true> {
    if (await copy) await this.options.sleep(STRAGGLER_MS, signal).catch(() => {})
    else await new Promise<never>(() => {})
    return true
  }

  /** Whether the copy was made; one that was not is left to the repair. */
  async #copyTo (owner: string, namespace: string, digest: Digest, content: BlobContent, delayMs: number): Promise<boolean> {
    const { replica, tasks, leaveToRepair, log } = this.options
    return await new Promise(resolve => {
      tasks.run('replicate', async signal => {
        try {
          await replica(owner).uploadDuplicate(namespace, digest, content, delayMs, { signal })
          resolve(true)
        } catch (error) {
          leaveToRepair(digest)
          log.warn({ digest, owner, error: messageOf(error) }, 'replica could not be made')
          resolve(false)
        }
      })
      if (tasks.signal.aborted) resolve(false)
    })
  }
}
