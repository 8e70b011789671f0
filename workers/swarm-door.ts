import fs, { type FileHandle } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { type Digest } from '../runtime/core/digest.js'
import { AppError, systemCodeOf } from '../runtime/core/errors.js'
import { type PeerId } from '../runtime/core/peer-id.js'
import { type SwarmCalls, type SwarmEvents, type SwarmOptions, type SwarmStats } from './jobs.js'
import { openBlob, type OpenBlob, Progress } from './open-blob.js'
import { type ServiceDoor, startService } from './pool.js'

interface CallOptions { readonly signal?: AbortSignal }

const OPEN_ATTEMPTS = 3

/** The main thread's side of the swarm service: downloads and seeding happen in a thread of their own. */
export class Swarm {
  readonly #progress = new Map<Digest, Progress>()

  private constructor (
    readonly door: ServiceDoor<SwarmCalls, SwarmEvents>,
    /** How other peers know us. */
    readonly peerId: PeerId,
    /** The peer port that is really listened on. */
    readonly port: number
  ) {
    // Without its swarm thread the process can do nothing useful: end it, so that whoever supervises it starts it anew.
    void door.failed.then(error => setImmediate(() => { throw error }))
    door.on('verified', event => this.#progress.get(event.digest)?.verified(event.piece))
    door.on('ended', event => {
      const progress = this.#progress.get(event.digest)
      this.#progress.delete(event.digest)
      progress?.end(event.error === undefined ? undefined : new AppError(event.error.code, event.error.message))
    })
  }

  /** Starts the thread and listens on the peer port. @throws AppError UNAVAILABLE if the port is taken */
  static async start (options: Omit<SwarmOptions, 'hashThreads'> & { hashThreads?: number }): Promise<Swarm> {
    const hashThreads = options.hashThreads ?? Math.min(4, Math.max(2, availableParallelism() - 1))
    const door = await startService<SwarmCalls, SwarmEvents, SwarmOptions>('swarm', { ...options, hashThreads })
    try {
      const self = await door.call('self', {})
      return new Swarm(door, self.peerId, self.port)
    } catch (error) {
      await door.close()
      throw error
    }
  }

  /** Downloads the blob, or joins a download that is under way, and answers when it is verified and in the cache. */
  async download (namespace: string, digest: Digest, options: CallOptions = {}): Promise<{ sizeBytes: number }> {
    return await this.door.call('download', { namespace, digest }, options)
  }

  /** Starts or joins the download and answers as soon as the size is known. @throws AppError BLOB_UNKNOWN and others */
  async open (namespace: string, digest: Digest, options: CallOptions = {}): Promise<OpenBlob> {
    for (let attempt = 1; attempt <= OPEN_ATTEMPTS; attempt++) {
      const blob = await this.#tryOpen(namespace, digest, options)
      if (blob !== undefined) return blob
    }
    throw new AppError('UNAVAILABLE', `${digest} was moved or deleted each time it was opened; ask again`)
  }

  /** Drops the blob from the swarm and the disk; downloads that wait for it fail. True if there was anything. */
  async remove (digest: Digest): Promise<boolean> { return (await this.door.call('remove', { digest })).existed }

  /** Resolves if the swarm's event loop is alive. */
  async probe (options: CallOptions = {}): Promise<void> { await this.door.call('probe', {}, options) }

  async blacklist (): Promise<SwarmCalls['blacklist']['output']> { return await this.door.call('blacklist', {}) }

  async stats (): Promise<SwarmStats> { return await this.door.call('stats', {}) }

  async close (): Promise<void> {
    await this.door.close()
    for (const progress of this.#progress.values()) progress.end(new AppError('CANCELLED', 'the swarm is shutting down'))
    this.#progress.clear()
  }

  /** Undefined if the download ends meanwhile: its file moves to the cache or is deleted, and another one may begin. */
  async #tryOpen (namespace: string, digest: Digest, options: CallOptions): Promise<OpenBlob | undefined> {
    const progress = this.#watch(digest)
    const { isComplete, sizeBytes, path, reader, pieceBytes, verified } = await this.door.call('open', { namespace, digest }, options).catch((error: unknown) => {
      this.#unwatch(digest, progress)
      throw error
    })
    if (isComplete) {
      this.#unwatch(digest, progress)
      const file = await openIfPresent(path)
      return file === undefined ? undefined : openBlob(file, sizeBytes, Progress.complete(), { reading: () => {}, closed: async () => {} })
    }
    progress.begin(pieceBytes, verified)
    const leave = async (): Promise<void> => {
      this.#unwatch(digest, progress)
      await this.#tell(progress, 'release', { digest, reader })
    }
    const reading = (offset: number): void => { void this.#tell(progress, 'read', { digest, reader, offset }) }
    try {
      const file = await openIfPresent(path)
      if (file === undefined) await progress.ended
      else if (!progress.isEnded) return openBlob(file, sizeBytes, progress, { reading, closed: leave })
      // What ended may have been an earlier download, and this the file of a new one, still without content.
      else await file.close()
    } catch (error) {
      await leave()
      throw error
    }
    await leave()
    return undefined
  }

  #watch (digest: Digest): Progress {
    const watched = this.#progress.get(digest) ?? new Progress()
    watched.readers++
    this.#progress.set(digest, watched)
    return watched
  }

  #unwatch (digest: Digest, progress: Progress): void {
    progress.readers--
    if (progress.readers === 0 && this.#progress.get(digest) === progress) this.#progress.delete(digest)
  }

  /** Not after the end of the download: it would be taken for news of one that has begun since. */
  async #tell<C extends 'read' | 'release'> (progress: Progress, call: C, input: SwarmCalls[C]['input']): Promise<void> {
    if (progress.isEnded) return
    // Fails only when the service is being stopped, and then nobody need know.
    await this.door.call(call, input).catch(() => {})
  }
}

/** @throws AppError STORAGE for any failure but that there is no such file */
async function openIfPresent (path: string): Promise<FileHandle | undefined> {
  try {
    return await fs.open(path)
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined
    throw new AppError('STORAGE', `cannot open ${path}: ${String(error)}`, { cause: error })
  }
}
