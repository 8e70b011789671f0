import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { type MessagePort } from 'node:worker_threads'
import { type Clock, systemClock } from '../runtime/core/clock.js'
import { type Digest } from '../runtime/core/digest.js'
import { AppError, isAppError } from '../runtime/core/errors.js'
import { Slab } from '../runtime/core/slab.js'
import { makeDir, removeEntry, statIfPresent, storageError } from '../runtime/store/files.js'
import { KeyedLock } from '../runtime/store/keyed-lock.js'
import { dataIn, isDoomed, isUploadEntry, isUploadId, uploadDir } from '../runtime/store/paths.js'
import { pieceBytesFor } from '../runtime/store/piece-length.js'
import { type Handlers, serveCalls } from './channel.js'
import { type UploadCalls, type UploadOptions } from './jobs.js'
import { type Kernels, loadKernels } from './sums.js'
import { HashQueue } from './upload/hash-queue.js'
import { publish } from './upload/publish.js'
import { unknownUpload, type UploadContent, type UploadContext, UploadFile, wrongDigest } from './upload/upload-file.js'

/** Uploads at a time; clients that go away leave theirs until the sweep. */
const UPLOADS_MAX = 100_000
/** Descriptors held by uploads that are idle at the moment. */
const OPEN_MAX = 256
const SWEEP_INTERVAL_MAX_MS = 10 * 60_000

/** The upload service: puts chunks together, sums them as they come, and moves complete blobs into the cache. */
export async function runUpload (port: MessagePort, options: UploadOptions): Promise<void> {
  const service = await UploadService.create(options, systemClock)
  const sweepMs = Math.min(SWEEP_INTERVAL_MAX_MS, Math.max(1000, options.uploadTtlMs / 4))
  const sweeper = setInterval(() => { void service.sweep().catch(() => { /* the next one tries again */ }) }, sweepMs)
  serveCalls<UploadCalls, object>(port, service.handlers, async () => {
    clearInterval(sweeper)
    await service.close()
  })
}

/** The service without its thread. */
export class UploadService {
  /** Started here, or found on disk. */
  readonly #uploads = new Map<string, UploadFile>()
  readonly #loading = new Map<string, Promise<UploadFile | undefined>>()
  /** Uploads that may have a descriptor, the one that was used last at the end. */
  readonly #open = new Set<UploadFile>()
  readonly #context: UploadContext
  readonly #publishing = new KeyedLock<Digest>()
  /** What clients have said that they will send, by upload. */
  readonly #announced = new Map<string, number>()
  /** How many there are on disk: exact after each sweep. */
  #count = 0

  private constructor (readonly options: UploadOptions, readonly clock: Clock, kernels: Kernels) {
    const slab = new Slab(options.slab, { poison: options.isPoisoned })
    this.#context = { slab, kernels, hashing: new HashQueue(), isDurable: options.isDurable }
  }

  /** Takes over what an earlier process left. @throws AppError CONFIG_INVALID, STORAGE */
  static async create (options: UploadOptions, clock: Clock): Promise<UploadService> {
    await makeDir(options.uploadDir)
    await makeDir(options.cacheDir)
    const [uploads, cache] = await Promise.all([stat(options.uploadDir), stat(options.cacheDir)])
    if (uploads.dev !== cache.dev) {
      throw new AppError('CONFIG_INVALID', `upload_dir ${options.uploadDir} and cache_dir ${options.cacheDir} must be on one file system: blobs are moved from one to the other`)
    }
    const service = new UploadService(options, clock, await loadKernels(options.hashEngine))
    await service.sweep()
    return service
  }

  readonly handlers: Handlers<UploadCalls> = {
    start: async ({ sizeBytesHint }) => await this.#start(sizeBytesHint),
    status: async ({ upload }) => await this.#with(upload, async file => ({ sizeBytes: file.sizeBytes }), () => undefined),
    append: async input => await this.#append(input),
    truncate: async ({ upload, sizeBytes }) => {
      requireSize(sizeBytes)
      return await this.#with(upload, async file => await file.truncate(sizeBytes))
    },
    commit: async ({ upload, digest }) => await this.#with(upload, async file => await this.#commit(file, digest)),
    cancel: async ({ upload }) => ({ existed: await this.#cancel(upload) }),
    digests: async ({ upload }) => await this.#with(upload, async file => await file.digests())
  }

  /** Removes uploads that nobody has written to for `uploadTtlMs`, and what half deleted ones left. */
  async sweep (): Promise<void> {
    const oldestMs = this.clock.wall() - this.options.uploadTtlMs
    let count = 0
    for (const name of await readdir(this.options.uploadDir)) {
      const dir = join(this.options.uploadDir, name)
      if (isDoomed(name)) await rm(dir, { recursive: true, force: true })
      if (!isUploadEntry(name)) continue
      const found = await statIfPresent(dataIn(dir)) ?? await statIfPresent(dir)
      if (found === undefined) continue
      if (found.mtimeMs >= oldestMs) count++
      else if (!isUploadId(name) || !await this.#cancel(name)) await removeEntry(dir)
    }
    this.#count = count
  }

  /** Waits for what runs and lets go of all files; the uploads stay on disk. */
  async close (): Promise<void> {
    await Promise.all(this.#loading.values())
    await Promise.all([...this.#uploads.values()].map(async file => await file.rest()))
  }

  async #start (sizeBytesHint: number | undefined): Promise<{ upload: string }> {
    if (this.#count >= UPLOADS_MAX) throw new AppError('TOO_MANY_REQUESTS', `there are ${this.#count} unfinished uploads: finish or cancel some`)
    await this.#requireSpace(sizeBytesHint ?? 0)
    const upload = randomUUID()
    const dir = uploadDir(this.options.uploadDir, upload)
    try {
      await mkdir(dir)
      await (await open(dataIn(dir), 'wx')).close()
    } catch (error) {
      throw storageError(error, 'start an upload in', dir)
    }
    this.#count++
    const file = new UploadFile(this.#context, upload, dir, 0, this.#pieceBytesFor(sizeBytesHint ?? 0))
    this.#uploads.set(upload, file)
    if (sizeBytesHint !== undefined) this.#announced.set(upload, sizeBytesHint)
    return { upload }
  }

  async #append ({ upload, slot, generation, lengthBytes, offset }: UploadCalls['append']['input']): Promise<{ sizeBytes: number }> {
    const view = { state: 'sealed', slot, generation, bytes: this.#context.slab.bytesOf(slot, lengthBytes) } as const
    const refuse = (error: AppError): never => {
      this.#context.slab.release(view)
      throw error
    }
    if (!isSize(offset) || !isSize(offset + lengthBytes)) return refuse(noSize(offset))
    return await this.#with(upload, async file => {
      try {
        return await file.append(view, offset)
      } catch (error) {
        // What is there takes room that somebody else needs now, and nobody can go on with it.
        if (isAppError(error, 'STORAGE_FULL')) await this.#cancel(upload).catch(() => { /* the first failure is the one to tell */ })
        throw error
      }
    }, () => refuse(unknownUpload(upload)))
  }

  async #commit (file: UploadFile, digest: Digest): Promise<{ sizeBytes: number }> {
    const { cacheDir, isDurable } = this.options
    return await this.#finish(file, async content => {
      const pieceBytes = this.#pieceBytesFor(content.sizeBytes)
      const sums = await content.sums(pieceBytes)
      if (sums.digest !== digest) throw wrongDigest(sums.digest, digest)
      const synced = async (): Promise<void> => { await content.sync().catch((error: unknown) => { throw storageError(error, 'sync', content.path) }) }
      let syncing: Promise<void> | undefined
      const sync = async (): Promise<void> => { await (syncing ??= synced()) }
      // Two commits of one blob must not fill its directory at the same time.
      await this.#publishing.run(digest, async () => {
        await publish({ cacheDir, digest, path: content.path, sums, pieceBytes, nowMs: this.clock.wall(), isDurable, sync })
      })
      return { sizeBytes: sums.sizeBytes }
    })
  }

  async #cancel (upload: string): Promise<boolean> {
    return await this.#with(upload, async file => await this.#finish(file, async () => true), () => false)
  }

  /** Ends an upload with `work` and forgets it. */
  async #finish<T> (file: UploadFile, work: (content: UploadContent) => Promise<T>): Promise<T> {
    try {
      return await file.finish(work)
    } finally {
      this.#open.delete(file)
      this.#announced.delete(file.name)
      if (this.#uploads.get(file.name) === file) {
        this.#uploads.delete(file.name)
        this.#count--
      }
    }
  }

  /**
   * Runs `work` on an upload, or `otherwise` if there is none. One that is known gets it at once, before anything else can
   * happen: calls must reach an upload in the order in which they came.
   */
  async #with<T> (
    upload: string, work: (file: UploadFile) => Promise<T>, otherwise: () => T = () => { throw unknownUpload(upload) }
  ): Promise<T> {
    const file = this.#uploads.get(upload) ?? await this.#load(upload)
    if (file === undefined) return otherwise()
    this.#noteUse(file)
    return await work(file)
  }

  /** Refuses what would not fit beside all that others have announced, instead of failing in the middle of it (B18, B30). */
  async #requireSpace (sizeBytes: number): Promise<void> {
    const { uploadDir, reserveBytes } = this.options
    const disk = await statfs(uploadDir).catch((error: unknown) => { throw storageError(error, 'look at the disk of', uploadDir) })
    // Some network file systems do not know and report no blocks at all.
    if (disk.blocks === 0) return
    const freeBytes = disk.bavail * disk.bsize
    let expectedBytes = 0
    for (const [upload, announcedBytes] of this.#announced) {
      expectedBytes += Math.max(0, announcedBytes - (this.#uploads.get(upload)?.sizeBytes ?? announcedBytes))
    }
    if (freeBytes - expectedBytes - reserveBytes >= sizeBytes) return
    throw new AppError('STORAGE_FULL', `an upload of ${sizeBytes} bytes does not fit: the disk of ${uploadDir} has ${freeBytes} bytes free, ` +
      `${expectedBytes} are expected by other uploads and ${reserveBytes} are kept in reserve; free some space`)
  }

  async #load (upload: string): Promise<UploadFile | undefined> {
    if (!isUploadId(upload)) return undefined
    let loading = this.#loading.get(upload)
    if (loading === undefined) {
      loading = this.#loadFromDisk(upload).finally(() => this.#loading.delete(upload))
      this.#loading.set(upload, loading)
    }
    return await loading
  }

  /** An upload of an earlier process; its sums are made at the end, from the file. */
  async #loadFromDisk (upload: string): Promise<UploadFile | undefined> {
    const dir = uploadDir(this.options.uploadDir, upload)
    const found = await statIfPresent(dataIn(dir))
    if (found === undefined) return undefined
    const file = new UploadFile(this.#context, upload, dir, found.size, this.#pieceBytesFor(found.size))
    this.#uploads.set(upload, file)
    return file
  }

  /** Keeps the number of descriptors below its limit by closing those that have been idle for longest. */
  #noteUse (upload: UploadFile): void {
    this.#open.delete(upload)
    this.#open.add(upload)
    if (this.#open.size <= OPEN_MAX) return
    for (const candidate of this.#open) {
      if (!candidate.isIdle || candidate === upload) continue
      this.#open.delete(candidate)
      // A descriptor that cannot be closed properly shows at the next use of the upload.
      candidate.rest().catch(() => {})
      return
    }
  }

  #pieceBytesFor (sizeBytes: number): number | undefined {
    return this.options.pieceLengths === undefined ? undefined : pieceBytesFor(this.options.pieceLengths, sizeBytes)
  }
}

function isSize (bytes: number): boolean { return Number.isSafeInteger(bytes) && bytes >= 0 }
function noSize (bytes: number): AppError { return new AppError('SIZE_INVALID', `${bytes} is no size in bytes`) }
function requireSize (bytes: number): void { if (!isSize(bytes)) throw noSize(bytes) }
