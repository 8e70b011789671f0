import { type BlobContent } from '../../net/client/clients.js'
import { type BackendClient } from '../backend/backend.js'
import { type BackendManager } from '../backend/manager.js'
import { type Digest, hexOf, parseDigest } from '../core/digest.js'
import { AppError, isAppError } from '../core/errors.js'
import { field } from '../core/json.js'
import { type Logger } from '../observe/log.js'
import { type DueTask, type RetryPolicy, type TaskKind, type TaskOutcome } from '../retry/task.js'
import { type TaskQueue } from '../retry/task-queue.js'

/** How long until it is looked whether a blob that is gone here has come back from another origin. */
const FETCHING_MS = 2_000

interface WriteBackTask { readonly namespace: string, readonly digest: Digest }

const WRITE_BACK: TaskKind<WriteBackTask> = {
  name: 'write-back',
  parse: stored => {
    const [namespace, digest] = [field(stored, 'namespace'), field(stored, 'digest')]
    if (typeof namespace !== 'string' || typeof digest !== 'string') throw new AppError('CORRUPT', 'expected namespace and digest')
    return { namespace, digest: parseDigest(digest) }
  }
}

export interface WriteBackOptions {
  readonly queue: TaskQueue
  readonly policy: RetryPolicy
  readonly backends: BackendManager
  /** The bytes of a blob that is in our cache. @throws AppError BLOB_UNKNOWN */
  readonly content: (digest: Digest) => Promise<BlobContent>
  /** Sees to it that a blob that is gone here comes back, if anybody has it. */
  readonly fetch: (namespace: string, digest: Digest) => Promise<'pending' | 'unknown'>
  readonly log: Logger
}

/**
 * Copies of pushed blobs to the backends of their namespaces (cluster specification 4.4, and B05 of 11.1). A blob is pinned
 * by its task, so it is never cleaned up before the backend demonstrably has it: an object of the right size.
 *
 *     due --> the backend has it, whole -----------------------------> done
 *         --> lacks it, or has another size --> sent, looked at -----> done
 *         --> gone here: fetched from another origin, then again; nobody has it --> parked
 */
export class WriteBack {
  constructor (readonly options: WriteBackOptions) {}

  /** Begins to work, also on what earlier processes left. */
  start (): void {
    const { queue, policy } = this.options
    queue.handle(WRITE_BACK, policy, async (task, signal) => await this.#run(task, signal))
  }

  /**
   * Says whether blobs of the namespace may be pushed at all.
   * @throws AppError INTERNAL if they would be lost with the origins: a client that is told at once can do something about it
   */
  check (namespace: string): void {
    if (this.options.backends.storability(namespace) === 'no') {
      throw new AppError('INTERNAL', `namespace ${JSON.stringify(namespace.slice(0, 256))} has no backend that stores: add one to backends, ` +
        'or an item with cache_only: true')
    }
  }

  /** Puts a blob on record; on the disk when this resolves. @throws AppError UNAVAILABLE, STORAGE, STORAGE_FULL */
  async enqueue (namespace: string, digest: Digest, delayMs: number): Promise<void> {
    const { queue, backends } = this.options
    if (backends.storability(namespace) !== 'yes') return
    await queue.add(WRITE_BACK, {
      key: `${digest} ${namespace}`, payload: { namespace, digest }, delayMs, pin: hexOf(digest), ifPresent: delayMs === 0 ? 'replace' : 'keep'
    })
  }

  async #run ({ payload: { namespace, digest } }: DueTask<WriteBackTask>, signal: AbortSignal): Promise<TaskOutcome> {
    const { backends, log } = this.options
    switch (backends.storability(namespace)) {
      case 'local': return undefined
      case 'no': return { park: `namespace ${namespace} has no backend that stores any more` }
      case 'yes': break
    }
    const client = backends.clientFor(namespace)
    const content = await this.#contentOf(digest)
    const stored = await client.stat(namespace, hexOf(digest), { signal })
    if (stored !== undefined && (content === undefined || stored.sizeBytes === content.sizeBytes)) return undefined
    if (content === undefined) return await this.#lost(namespace, digest)
    if (stored !== undefined) log.warn({ digest, namespace, storedBytes: stored.sizeBytes, sizeBytes: content.sizeBytes }, 'object in the backend replaced')
    await this.#send(client, namespace, digest, content, signal)
    log.info({ digest, namespace, backend: client.kind, sizeBytes: content.sizeBytes }, 'blob written back')
    return undefined
  }

  async #send (client: BackendClient, namespace: string, digest: Digest, content: BlobContent, signal: AbortSignal): Promise<void> {
    await client.upload(namespace, hexOf(digest), content, { signal })
    const stored = await client.stat(namespace, hexOf(digest), { signal })
    if (stored === undefined || (stored.sizeBytes !== undefined && stored.sizeBytes !== content.sizeBytes)) {
      throw new AppError('UNAVAILABLE', `the ${client.kind} backend has ${stored?.sizeBytes ?? 'none'} of ${content.sizeBytes} bytes of ${digest} after the upload`)
    }
  }

  async #contentOf (digest: Digest): Promise<BlobContent | undefined> {
    try {
      return await this.options.content(digest)
    } catch (error) {
      if (isAppError(error, 'BLOB_UNKNOWN')) return undefined
      throw error
    }
  }

  /** Removed by hand, or found damaged: another origin may have it. */
  async #lost (namespace: string, digest: Digest): Promise<TaskOutcome> {
    if (await this.options.fetch(namespace, digest) === 'pending') return { againInMs: FETCHING_MS }
    this.options.log.error({ digest, namespace }, 'blob lost before it was written back')
    return { park: 'neither the backend nor any origin has the blob' }
  }
}
