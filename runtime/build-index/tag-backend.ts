import { pause, type Sleep } from '../../net/client/upstream.js'
import { readObject } from '../backend/backend.js'
import { type BackendManager } from '../backend/manager.js'
import { type RetryConfig } from '../config/types.js'
import { type Digest, parseDigest } from '../core/digest.js'
import { AppError, isAppError, messageOf } from '../core/errors.js'
import { field } from '../core/json.js'
import { type Logger } from '../observe/log.js'
import { type TaskKind } from '../retry/task.js'
import { type TaskQueue } from '../retry/task-queue.js'
import { DELETED } from '../store/tag-version.js'

/** A tag's object holds `sha256:` and 64 characters. */
const OBJECT_BYTES_MAX = 4096
/** A list of more names than this is not put together. */
const NAMES_MAX = 2_000_000
const READ_MS = 10_000

/** What is written is looked up when it is written, so that a tag that moves meanwhile is written once, as it is then. */
interface TagTask { readonly tag: string }

const WRITE_BACK: TaskKind<TagTask> = {
  name: 'tag-write-back',
  parse: stored => {
    const tag = field(stored, 'tag')
    if (typeof tag !== 'string') throw new AppError('CORRUPT', 'expected tag')
    return { tag }
  }
}

export interface TagBackendOptions {
  readonly backends: BackendManager
  readonly queue: TaskQueue
  readonly policy: RetryConfig
  /** Write before the put is answered, and fail it if that fails (`tag_store.write_through`). */
  readonly isWriteThrough: boolean
  /** Where a tag points by our own records. */
  readonly own: (tag: string) => Promise<Digest | undefined>
  readonly sleep: Sleep
  readonly log: Logger
}

/**
 * The tags in the backends, each an object that holds its digest as text (cluster specification 7.1). A deleted tag's object
 * holds the digest that nothing has, so that it does not come back if all build-indexes lose their disks.
 */
export class TagBackend {
  constructor (readonly options: TagBackendOptions) {}

  /** Begins to write what is on record, also by an earlier process. */
  start (): void {
    const { queue, policy } = this.options
    queue.handle(WRITE_BACK, policy, async ({ payload: { tag } }, signal) => { await this.#write(tag, signal) })
  }

  /** Says whether the tag may be put at all. @throws AppError INTERNAL if it could not be kept */
  check (tag: string): void {
    if (this.options.backends.storability(tag) === 'no') {
      throw new AppError('INTERNAL', `storage: tag ${tag} has no backend that stores: add one to backends, or an item with cache_only: true`)
    }
  }

  /**
   * Sees to it that the tag gets to its backend: at once, or on record for later when this resolves.
   * @throws AppError UNAVAILABLE if it was to be at once and did not work; it is on record nevertheless
   */
  async save (tag: string, delayMs: number): Promise<void> {
    const { backends, isWriteThrough } = this.options
    if (backends.storability(tag) !== 'yes') return
    if (!isWriteThrough || delayMs > 0) return await this.#enqueue(tag, delayMs)
    try {
      await this.#writeNow(tag)
    } catch (error) {
      await this.#enqueue(tag, 0)
      throw error
    }
  }

  /**
   * Where the tag points by its backend. A backend that fails counts as one that does not have it: pushes ask first, and
   * are not to be stopped by it (http-api specification 7.3).
   * @throws AppError CONFIG_INVALID if no backend is for the tag, CORRUPT if its object is no digest
   */
  async find (tag: string, signal: AbortSignal): Promise<Digest | undefined> {
    const { backends, log } = this.options
    if (!backends.isConfigured) return undefined
    const client = backends.clientFor(tag)
    try {
      const limited = AbortSignal.any([signal, AbortSignal.timeout(READ_MS)])
      const object = await client.download(tag, tag, { signal: limited })
      const digest = object === undefined ? undefined : digestIn(tag, await readObject(object, OBJECT_BYTES_MAX))
      return digest === DELETED ? undefined : digest
    } catch (error) {
      if (isAppError(error, 'CORRUPT')) throw error
      if (!isAppError(error, 'NAME_INVALID')) log.warn({ tag, backend: client.kind, reason: messageOf(error) }, 'tag not read from the backend')
      return undefined
    }
  }

  /** All names at or below a path prefix in the backends that can list. @throws AppError INTERNAL with the reason of one that fails */
  async list (prefix: string): Promise<string[]> {
    const names: string[] = []
    const clients = new Set(this.options.backends.clients.filter(({ canList }) => canList))
    for (const client of clients) {
      let token: string | undefined
      do {
        try {
          const page = await client.list(prefix, { token })
          // One by one: an argument list has a limit.
          for (const name of page.names) names.push(name)
          token = page.next
        } catch (error) {
          throw new AppError('INTERNAL', `error listing from backend: ${messageOf(error)}`, { cause: error })
        }
        if (names.length > NAMES_MAX) throw new AppError('INTERNAL', `error listing from backend: there are more than ${NAMES_MAX} names below ${JSON.stringify(prefix)}`)
      } while (token !== undefined)
    }
    return names
  }

  async #enqueue (tag: string, delayMs: number): Promise<void> {
    await this.options.queue.add(WRITE_BACK, { key: tag, payload: { tag }, delayMs, pin: tag, ifPresent: delayMs === 0 ? 'replace' : 'keep' })
  }

  async #writeNow (tag: string): Promise<void> {
    const { policy: { sync }, sleep } = this.options
    for (let retries = 0; ; retries++) {
      try {
        return await this.#write(tag)
      } catch (error) {
        if (retries >= sync.retriesMax) throw error
        await pause(sleep, Math.min(sync.pauseMaxMs, sync.pauseMinMs * 2 ** retries))
      }
    }
  }

  /** Writes where the tag points now, unless the backend says the same. */
  async #write (tag: string, signal?: AbortSignal): Promise<void> {
    const { backends, own, log } = this.options
    const digest = await own(tag)
    if (digest === undefined || backends.storability(tag) === 'local') return
    const client = backends.clientFor(tag)
    const options = signal === undefined ? {} : { signal }
    const stored = await client.download(tag, tag, options)
    if (stored !== undefined && (await readObject(stored, OBJECT_BYTES_MAX).catch(() => Buffer.alloc(0))).toString() === digest) return
    const bytes = Buffer.from(digest)
    await client.upload(tag, tag, {
      sizeBytes: bytes.length,
      read: async function * (offset, lengthBytes) { yield bytes.subarray(offset, offset + lengthBytes) }
    }, options)
    log.info({ tag, digest, backend: client.kind }, 'tag written back')
  }
}

/** @throws AppError CORRUPT */
function digestIn (tag: string, bytes: Buffer): Digest {
  try {
    return parseDigest(bytes.toString().trim())
  } catch (cause) {
    throw new AppError('CORRUPT', `the object of tag ${tag} in the backend holds no digest`, { cause })
  }
}
