import fs, { type FileHandle } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { type Digest } from '../runtime/core/digest.js'
import { AppError, systemCodeOf } from '../runtime/core/errors.js'
import { type PeerId } from '../runtime/core/peer-id.js'
import { type SwarmCalls, type SwarmEvents, type SwarmOptions, type SwarmStats } from './jobs.js'
import { type ServiceDoor, startService } from './pool.js'

interface CallOptions { readonly signal?: AbortSignal }

const READ_BYTES = 256 * 1024
const OPEN_ATTEMPTS = 3

/**
 * A blob that is being read, complete or not. Its bytes are verified before they are handed out; a read beyond what has
 * arrived waits for it.
 */
export interface OpenBlob {
  readonly sizeBytes: number
  /**
   * The bytes from `offset` on; a view may be reused once the next one is asked for.
   * @throws AppError if the download fails, CANCELLED once the blob is closed: that is how a reader that waits is freed
   */
  chunks (offset?: number, lengthBytes?: number): AsyncIterable<Uint8Array>
  close (): Promise<void>
}

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
    door.on('leading', event => this.#progress.get(event.digest)?.advance(event.leadingBytes))
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
    const { isComplete, sizeBytes, path, leadingBytes } = await this.door.call('open', { namespace, digest }, options).catch((error: unknown) => {
      this.#unwatch(digest, progress)
      throw error
    })
    if (isComplete) {
      this.#unwatch(digest, progress)
      const file = await openIfPresent(path)
      return file === undefined ? undefined : openBlob(file, sizeBytes, Progress.complete(), async () => {})
    }
    progress.advance(leadingBytes)
    const leave = async (): Promise<void> => {
      this.#unwatch(digest, progress)
      await this.#release(digest, progress)
    }
    try {
      const file = await openIfPresent(path)
      if (file === undefined) await progress.ended
      else if (!progress.isEnded) return openBlob(file, sizeBytes, progress, leave)
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

  /** Not after the end of the download: it would be taken for the release of one that has begun since. */
  async #release (digest: Digest, progress: Progress): Promise<void> {
    if (progress.isEnded) return
    // Fails only when the service is being stopped, and then there is nothing left to release.
    await this.door.call('release', { digest }).catch(() => {})
  }
}

function openBlob (file: FileHandle, sizeBytes: number, progress: Progress, leave: () => Promise<void>): OpenBlob {
  const reader = { isClosed: false }
  return {
    sizeBytes,
    chunks: (offset = 0, lengthBytes = sizeBytes - offset) => readVerified(file, progress, reader, offset, lengthBytes),
    close: async () => {
      if (reader.isClosed) return
      reader.isClosed = true
      progress.wake()
      await file.close()
      await leave()
    }
  }
}

/** How much of a blob can be read by now: of one download, shared by its readers, or all of a blob in the cache. */
class Progress {
  readers = 0
  leadingBytes = 0
  isEnded = false
  /** Resolves when the download is over, whatever its outcome. */
  readonly ended: Promise<void>
  #markEnded: () => void = () => {}
  #failure: AppError | undefined
  #waiting: Array<() => void> = []

  constructor () { this.ended = new Promise(resolve => { this.#markEnded = resolve }) }

  static complete (): Progress {
    const progress = new Progress()
    progress.end(undefined)
    return progress
  }

  advance (leadingBytes: number): void {
    this.leadingBytes = Math.max(this.leadingBytes, leadingBytes)
    this.wake()
  }

  end (failure: AppError | undefined): void {
    this.isEnded = true
    this.#markEnded()
    if (failure === undefined) this.advance(Number.MAX_SAFE_INTEGER)
    else this.#failure = failure
    this.wake()
  }

  /** Resolves once more than `offset` bytes can be read. @throws AppError if they never will */
  async beyond (offset: number, reader: { readonly isClosed: boolean }): Promise<number> {
    while (this.leadingBytes <= offset) {
      if (this.#failure !== undefined) throw this.#failure
      if (reader.isClosed) throw new AppError('CANCELLED', 'the reader was closed')
      await new Promise<void>(resolve => this.#waiting.push(resolve))
    }
    return this.leadingBytes
  }

  /** Makes those who wait look again. */
  wake (): void { for (const resolve of this.#waiting.splice(0)) resolve() }
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

async function * readVerified (
  file: FileHandle, progress: Progress, reader: { readonly isClosed: boolean }, offset: number, lengthBytes: number
): AsyncGenerator<Uint8Array> {
  const end = offset + lengthBytes
  const buffer = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, Math.max(1, lengthBytes)))
  for (let at = offset; at < end;) {
    const available = Math.min(await progress.beyond(at, reader), end)
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, available - at), at)
    if (bytesRead === 0) throw new AppError('CORRUPT', `a blob file ends at byte ${at} of ${end}`)
    at += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}
