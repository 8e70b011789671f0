import { createHash } from 'node:crypto'
import { type Digest, digestFromSum, type Sha512Digest, sha512FromSum } from '../../runtime/core/digest.js'
import { AppError } from '../../runtime/core/errors.js'
import { type Sealed, type Slab } from '../../runtime/core/slab.js'
import { removeEntry, storageError } from '../../runtime/store/files.js'
import { dataIn } from '../../runtime/store/paths.js'
import { type Kernels, RunningSums, type Sums } from '../sums.js'
import { DataFile } from './data-file.js'
import { type HashQueue } from './hash-queue.js'

const REREAD_BYTES = 1 << 20

/** What all uploads of a service share. */
export interface UploadContext {
  readonly slab: Slab
  readonly kernels: Kernels
  readonly hashing: HashQueue
  readonly isDurable: boolean
}

/** What a commit works with: an upload that nobody else can touch any more. */
export interface UploadContent {
  readonly path: string
  readonly sizeBytes: number
  sums (pieceBytes: number | undefined): Promise<Sums>
  sync (): Promise<void>
}

/**
 * One upload. Chunks that continue each other are written and hashed as they come, several at a time; everything else
 * (a chunk elsewhere, cutting back, the end) waits for what came before and makes later calls wait.
 *
 *   running sums --- append at the end -----------> running sums
 *        |  append elsewhere, cut back, failed write, restart
 *        v
 *   no sums: the end reads the file once more
 */
export class UploadFile {
  readonly #data: DataFile
  #sums: RunningSums | undefined
  /** Where the next chunk must begin to continue the last one. */
  #end: number
  #isGone = false
  /** The last of the calls that run alone, until it is done. */
  #gate: Promise<void> | undefined
  /** The last of the appends that run together: it ends after the ones before it. */
  #lastAppend: Promise<unknown> = Promise.resolve()
  #users = 0

  /** @param pieceBytes - the likely piece length; undefined if sums of pieces are not wanted */
  constructor (
    readonly context: UploadContext, readonly name: string, readonly dir: string, sizeBytes: number, readonly pieceBytes: number | undefined
  ) {
    this.#data = new DataFile(dataIn(dir), sizeBytes, context.isDurable)
    this.#end = sizeBytes
    if (sizeBytes === 0) this.#sums = new RunningSums(context.kernels, pieceBytes)
  }

  /** What is written by now. */
  get sizeBytes (): number { return this.#data.sizeBytes }
  get isGone (): boolean { return this.#isGone }
  get isOpen (): boolean { return this.#data.isOpen }
  get isIdle (): boolean { return this.#users === 0 }

  /** Writes the content of a slot at `offset` and releases it in every case. */
  async append (view: Sealed, offset: number): Promise<{ sizeBytes: number }> {
    this.#users++
    try {
      if (this.#gate === undefined && offset === this.#end) {
        const appended = this.#append(view.bytes, offset)
        this.#lastAppend = appended
        await appended
      } else {
        await this.#alone(async () => await this.#append(view.bytes, offset))
      }
      return { sizeBytes: this.sizeBytes }
    } finally {
      this.#users--
      this.context.slab.release(view)
    }
  }

  /** Cuts the upload back; a size that it does not reach changes nothing. */
  async truncate (sizeBytes: number): Promise<{ sizeBytes: number }> {
    return await this.#alone(async () => {
      this.#requirePresent()
      if (sizeBytes >= this.sizeBytes) return { sizeBytes: this.sizeBytes }
      try {
        await this.#data.truncate(sizeBytes)
      } catch (error) {
        throw storageError(error, 'cut back', this.#data.path)
      }
      this.#end = sizeBytes
      if (sizeBytes === 0) this.#sums = new RunningSums(this.context.kernels, this.pieceBytes)
      else if (this.#sums?.sizeBytes !== sizeBytes) this.#sums = undefined
      return { sizeBytes }
    })
  }

  /** Runs `work` on the whole content, after which the upload is gone, whatever the outcome. */
  async finish<T> (work: (content: UploadContent) => Promise<T>): Promise<T> {
    return await this.#alone(async () => {
      this.#requirePresent()
      this.#isGone = true
      try {
        return await work({
          path: this.#data.path,
          sizeBytes: this.sizeBytes,
          sums: async pieceBytes => await this.#finalSums(pieceBytes),
          sync: async () => await this.#data.sync()
        })
      } finally {
        // What cannot be removed now is left to the sweep: the outcome of the work stands.
        await this.#data.rest().then(async () => await removeEntry(this.dir)).catch(() => {})
      }
    })
  }

  /** Sums of what is written; the upload stays as it is. The thread takes other calls after each block. */
  async digests (): Promise<{ sha256: Digest, sha512: Sha512Digest }> {
    return await this.#alone(async () => {
      this.#requirePresent()
      const [sha256, sha512] = [createHash('sha256'), createHash('sha512')]
      try {
        const handle = await this.#data.open()
        const block = new Uint8Array(REREAD_BYTES)
        for (let at = 0; ;) {
          const { bytesRead } = await handle.read(block, 0, REREAD_BYTES, at)
          if (bytesRead === 0) break
          for (const hash of [sha256, sha512]) hash.update(block.subarray(0, bytesRead))
          at += bytesRead
        }
      } catch (error) {
        throw storageError(error, 'read', this.#data.path)
      }
      return { sha256: digestFromSum(sha256.digest()), sha512: sha512FromSum(sha512.digest()) }
    })
  }

  /** Lets go of the descriptor until the upload goes on. */
  async rest (): Promise<void> { await this.#alone(async () => await this.#data.rest()) }

  async #append (bytes: Uint8Array, offset: number): Promise<void> {
    this.#requirePresent()
    if (offset !== this.#end) this.#sums = undefined
    this.#end = Math.max(this.#end, offset + bytes.length)
    const written = this.#data.write(bytes, offset)
    const hashed = this.#sums === undefined ? undefined : this.context.hashing.update(this.#sums, bytes)
    try {
      await written
    } catch (error) {
      this.#sums = undefined
      this.#end = this.sizeBytes
      throw storageError(error, 'write', this.#data.path)
    } finally {
      // The slot belongs to the hash queue until then, also when the write failed.
      await hashed
    }
  }

  /** Runs `work` after all that came before, and before all that comes later. */
  async #alone<T> (work: () => Promise<T>): Promise<T> {
    this.#users++
    const before = this.#gate ?? this.#lastAppend
    const result = before.catch(() => {}).then(work)
    const gate = result.then(() => {}, () => {}).finally(() => { if (this.#gate === gate) this.#gate = undefined })
    this.#gate = gate
    try {
      return await result
    } finally {
      this.#users--
    }
  }

  async #finalSums (pieceBytes: number | undefined): Promise<Sums> {
    const sums = this.#sums
    if (sums !== undefined && sums.sizeBytes === this.sizeBytes && sums.pieceBytes === pieceBytes) return sums.finish()
    try {
      return await this.#reread(pieceBytes)
    } catch (error) {
      throw storageError(error, 'read', this.#data.path)
    }
  }

  /** Sums of the file from the disk; the next block is read while one is hashed. */
  async #reread (pieceBytes: number | undefined): Promise<Sums> {
    const handle = await this.#data.open()
    const sums = new RunningSums(this.context.kernels, pieceBytes)
    let buffers = [new Uint8Array(REREAD_BYTES), new Uint8Array(REREAD_BYTES)] as const
    let hashed: Promise<void> = Promise.resolve()
    for (let at = 0; ;) {
      const { bytesRead } = await handle.read(buffers[0], 0, REREAD_BYTES, at)
      await hashed
      if (bytesRead === 0) return sums.finish()
      hashed = this.context.hashing.update(sums, buffers[0].subarray(0, bytesRead))
      at += bytesRead
      buffers = [buffers[1], buffers[0]]
    }
  }

  #requirePresent (): void { if (this.#isGone) throw unknownUpload(this.name) }
}

export function unknownUpload (name: string): AppError { return new AppError('UPLOAD_UNKNOWN', `there is no upload ${name.slice(0, 64)}`) }

/** Kraken's text. */
export function wrongDigest (actual: Digest, expected: Digest): AppError {
  return new AppError('DIGEST_MISMATCH', `verify digest: computed digest ${actual} doesn't match expected value ${expected}`)
}
