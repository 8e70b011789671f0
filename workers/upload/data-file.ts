import { type FileHandle, open } from 'node:fs/promises'
import { writeFully } from '../../runtime/store/files.js'

/** What one writev takes at most; the system's own limit is 1024. */
const VIEWS_MAX = 64
/** With a background sync each time this much was written, the sync of the commit has little left to wait for. */
const SYNC_EACH_BYTES = 2 << 20

interface Write { readonly bytes: Uint8Array, readonly offset: number, readonly resolve: () => void, readonly reject: (error: unknown) => void }

/**
 * The data file of one upload: writes in the order of asking, one system call at a time, neighbours together in one.
 * The file is opened by the first use and may be rested in between, so that idle uploads hold no descriptor.
 */
export class DataFile {
  readonly #waiting: Write[] = []
  #handle: FileHandle | undefined
  #isWriting = false
  #unsyncedBytes = 0
  #syncing: Promise<void> | undefined
  #syncFailure: { readonly error: unknown } | undefined

  constructor (
    readonly path: string,
    /** What was written, from the beginning of the file to the furthest byte. */
    public sizeBytes: number,
    readonly isDurable: boolean
  ) {}

  get isOpen (): boolean { return this.#handle !== undefined }

  /** Resolves when `bytes` are written. After a failure all that waits fails too, and the file is cut back to what is sure. */
  async write (bytes: Uint8Array, offset: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ bytes, offset, resolve, reject })
      if (!this.#isWriting) void this.#writeAll()
    })
  }

  /** No write may be under way. */
  async truncate (sizeBytes: number): Promise<void> {
    await (await this.open()).truncate(sizeBytes)
    this.sizeBytes = sizeBytes
  }

  /** Resolves when all that was written is on the disk. @throws what this or an earlier sync in the background met */
  async sync (): Promise<void> {
    await this.#syncing
    // A failed sync must not be repeated: the system forgets what it could not write, and the second one would succeed.
    if (this.#syncFailure !== undefined) throw this.#syncFailure.error
    await (await this.open()).datasync()
  }

  async open (): Promise<FileHandle> {
    this.#handle ??= await open(this.path, 'r+')
    return this.#handle
  }

  /** Closes the descriptor until it is needed again. No write may be under way. */
  async rest (): Promise<void> {
    await this.#syncing
    const handle = this.#handle
    this.#handle = undefined
    await handle?.close()
  }

  async #writeAll (): Promise<void> {
    this.#isWriting = true
    for (let run = this.#takeRun(); run.length > 0; run = this.#takeRun()) {
      try {
        await this.#writeRun(run)
        for (const write of run) write.resolve()
      } catch (error) {
        const failed = [...run, ...this.#waiting.splice(0)]
        await this.#cutBack()
        for (const write of failed) write.reject(error)
      }
    }
    this.#isWriting = false
  }

  /** The longest run of neighbours at the head of the queue. */
  #takeRun (): Write[] {
    let count = 0
    let end = this.#waiting[0]?.offset
    for (const write of this.#waiting) {
      if (write.offset !== end || count === VIEWS_MAX) break
      end += write.bytes.length
      count++
    }
    return this.#waiting.splice(0, count)
  }

  async #writeRun (run: readonly Write[]): Promise<void> {
    const handle = await this.open()
    const start = run[0]?.offset ?? 0
    const writtenBytes = run.reduce((sum, write) => sum + write.bytes.length, 0)
    await writeFully(handle, run.map(write => write.bytes), start)
    this.sizeBytes = Math.max(this.sizeBytes, start + writtenBytes)
    this.#unsyncedBytes += writtenBytes
    if (this.isDurable && this.#unsyncedBytes >= SYNC_EACH_BYTES && this.#syncing === undefined) this.#syncInBackground(handle)
  }

  #syncInBackground (handle: FileHandle): void {
    this.#unsyncedBytes = 0
    this.#syncing = handle.datasync()
      .catch((error: unknown) => { this.#syncFailure ??= { error } })
      .finally(() => { this.#syncing = undefined })
  }

  /** Takes away what a failed write may have left. If that fails too, the failure of the write is still the one to tell. */
  async #cutBack (): Promise<void> {
    await this.#handle?.truncate(this.sizeBytes).catch(() => {})
  }
}
