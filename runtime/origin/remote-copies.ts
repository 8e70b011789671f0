import { type BlobClient, type BlobContent } from '../../net/client/clients.js'
import { type Sleep } from '../../net/client/upstream.js'
import { Turns } from '../../workers/turns.js'
import { type TaskGroup } from '../cluster/task-group.js'
import { after, type Clock, type Millis } from '../core/clock.js'
import { type Digest } from '../core/digest.js'
import { AppError, isAppError, messageOf } from '../core/errors.js'
import { type Logger } from '../observe/log.js'

/** Copies on their way at the same time, and further ones that may wait for their turn. */
const RUNNING_MAX = 8
const WAITING_MAX = 1_000
/** How long a caller is kept before it is told to ask again; clients of the reference give up after 60 s. */
const ANSWER_MS = 20_000
/** How long the reason of a copy that failed while nobody waited is kept for who asks next. */
const FAILURE_TTL_MS = 60_000
const FAILURES_MAX = 1_000

/** The origins of another cluster, as far as copying goes. */
export type RemoteOrigins = Pick<BlobClient, 'upload'> & { close (): Promise<void> }

export interface RemoteCopiesOptions {
  /** The bytes of a blob that is in our cache. @throws AppError BLOB_UNKNOWN */
  readonly content: (digest: Digest) => Promise<BlobContent>
  /** @throws AppError PARAMETER_INVALID if it is no address */
  readonly connect: (remote: string) => RemoteOrigins
  readonly tasks: TaskGroup
  readonly clock: Clock
  readonly sleep: Sleep
  readonly log: Logger
}

interface Copy { readonly ended: Promise<void>, waiters: number }

/**
 * Copies of our blobs to the origins of other clusters (http-api specification 5.5). A copy goes on whoever waits for it, for
 * as long as it makes progress; callers are told `pending` after a while and ask again, and never start it twice.
 */
export class RemoteCopies {
  readonly #copies = new Map<string, Copy>()
  readonly #failures = new Map<string, { readonly error: AppError, readonly until: Millis }>()
  readonly #turns = new Turns(RUNNING_MAX)

  constructor (readonly options: RemoteCopiesOptions) {}

  /**
   * Sees to it that the origins at `remote` get the blob, which must be here.
   * @throws AppError INTERNAL with the reason if they did not, UNAVAILABLE if too many copies wait
   */
  async copy (namespace: string, digest: Digest, remote: string, signal: AbortSignal): Promise<'done' | 'pending'> {
    const key = [remote, digest, namespace].join('\n')
    this.#throwFailure(key)
    const copy = this.#copies.get(key) ?? this.#begin(key, namespace, digest, remote)
    const limit = new AbortController()
    const onAbort = (): void => { limit.abort() }
    signal.addEventListener('abort', onAbort, { once: true })
    copy.waiters++
    try {
      return await Promise.race([
        copy.ended.then(() => 'done' as const),
        this.options.sleep(ANSWER_MS, limit.signal).then(() => 'pending' as const, () => 'pending' as const)
      ])
    } finally {
      copy.waiters--
      limit.abort()
      signal.removeEventListener('abort', onAbort)
    }
  }

  #throwFailure (key: string): void {
    const failure = this.#failures.get(key)
    if (failure === undefined) return
    this.#failures.delete(key)
    if (failure.until > this.options.clock.now()) throw failure.error
  }

  #begin (key: string, namespace: string, digest: Digest, remote: string): Copy {
    const { tasks, log } = this.options
    if (tasks.signal.aborted) throw new AppError('UNAVAILABLE', 'this origin is stopping: ask another one')
    if (this.#copies.size >= RUNNING_MAX + WAITING_MAX) {
      throw new AppError('UNAVAILABLE', `${this.#copies.size} blobs are being copied to other clusters already: ask again later`)
    }
    const origins = this.options.connect(remote)
    const ended = new Promise<void>((resolve, reject) => {
      tasks.run('copy to another cluster', async signal => {
        try {
          await this.#send(origins, namespace, digest, signal)
          log.info({ digest, namespace, remote }, 'blob copied to another cluster')
          resolve()
        } catch (error) {
          const failure = failureOf(digest, remote, error)
          log.warn({ digest, namespace, remote, reason: failure.message }, 'blob not copied to another cluster')
          if (copy.waiters === 0) this.#keep(key, failure)
          reject(failure)
        } finally {
          this.#copies.delete(key)
          await origins.close()
        }
      })
    })
    const copy: Copy = { ended, waiters: 0 }
    // Nobody may be waiting when it fails.
    ended.catch(() => {})
    this.#copies.set(key, copy)
    return copy
  }

  async #send (origins: RemoteOrigins, namespace: string, digest: Digest, signal: AbortSignal): Promise<void> {
    await this.#turns.take(signal)
    try {
      await origins.upload(namespace, digest, await this.options.content(digest), { signal })
    } finally {
      this.#turns.give()
    }
  }

  #keep (key: string, error: AppError): void {
    const oldest = this.#failures.keys().next()
    if (this.#failures.size >= FAILURES_MAX && oldest.done !== true) this.#failures.delete(oldest.value)
    this.#failures.set(key, { error, until: after(this.options.clock.now(), FAILURE_TTL_MS) })
  }
}

/** Whatever another cluster answers is no answer about ours: 500 and its text. */
function failureOf (digest: Digest, remote: string, cause: unknown): AppError {
  if (isAppError(cause, 'CANCELLED')) return new AppError('UNAVAILABLE', `the copy of ${digest} to ${remote} was stopped`, { cause })
  return new AppError('INTERNAL', `copy of ${digest} to the origins at ${remote}: ${messageOf(cause)}`, { cause })
}
