import { type FileHandle } from 'node:fs/promises'
import { AppError } from '../runtime/core/errors.js'

/** Two of these for each reader: one goes out while the next is read. */
const READ_BYTES = 512 * 1024

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

/** Told where each reading begins, so that those pieces are fetched first, and when the blob is closed. */
export interface OpenBlobOwner {
  reading (offset: number): void
  closed (): Promise<void>
}

export function openBlob (file: FileHandle, sizeBytes: number, progress: Progress, owner: OpenBlobOwner): OpenBlob {
  const reader = { isClosed: false }
  return {
    sizeBytes,
    chunks: (offset = 0, lengthBytes = sizeBytes - offset) => {
      if (!progress.isEnded) owner.reading(offset)
      return readVerified(file, progress, reader, offset, offset + lengthBytes)
    },
    close: async () => {
      if (reader.isClosed) return
      reader.isClosed = true
      progress.wake()
      await file.close()
      await owner.closed()
    }
  }
}

/** Which parts of a blob can be read by now: of one download, shared by its readers, or all of a blob in the cache. */
export class Progress {
  readers = 0
  /** Resolves when the download is over, whatever its outcome. */
  readonly ended: Promise<void>
  /** Told before the blob was opened, pieces are only counted. */
  readonly #verified = new Set<number>()
  #pieceBytes = 1
  #isEnded = false
  #markEnded: () => void = () => {}
  #failure: AppError | undefined
  #waiting: Array<() => void> = []

  constructor () { this.ended = new Promise(resolve => { this.#markEnded = resolve }) }

  static complete (): Progress {
    const progress = new Progress()
    progress.end(undefined)
    return progress
  }

  get isEnded (): boolean { return this.#isEnded }

  /** Where the download stands when a reader comes. */
  begin (pieceBytes: number, pieces: readonly number[]): void {
    this.#pieceBytes = pieceBytes
    for (const piece of pieces) this.#verified.add(piece)
    this.wake()
  }

  verified (piece: number): void {
    this.#verified.add(piece)
    this.wake()
  }

  end (failure: AppError | undefined): void {
    this.#isEnded = true
    this.#failure = failure
    this.#markEnded()
    this.wake()
  }

  /**
   * Resolves once bytes at `from` can be read, with the end of those that can be read in one go, at most `until`.
   * @throws AppError if they never will
   */
  async beyond (from: number, until: number, reader: { readonly isClosed: boolean }): Promise<number> {
    for (;;) {
      const end = this.#verifiedUntil(from, until)
      if (end > from) return end
      if (this.#failure !== undefined) throw this.#failure
      if (reader.isClosed) throw new AppError('CANCELLED', 'the reader was closed')
      await new Promise<void>(resolve => this.#waiting.push(resolve))
    }
  }

  /** Makes those who wait look again. */
  wake (): void { for (const resolve of this.#waiting.splice(0)) resolve() }

  #verifiedUntil (from: number, until: number): number {
    if (this.#isEnded && this.#failure === undefined) return until
    let end = from
    while (end < until && this.#verified.has(Math.floor(end / this.#pieceBytes))) end = (Math.floor(end / this.#pieceBytes) + 1) * this.#pieceBytes
    return Math.min(end, until)
  }
}

/** One block goes to the caller while the next is read, if it is there already. */
async function * readVerified (
  file: FileHandle, progress: Progress, reader: { readonly isClosed: boolean }, offset: number, end: number
): AsyncGenerator<Uint8Array> {
  if (end <= offset) return
  const bufferBytes = Math.min(READ_BYTES, end - offset)
  /** Of the block that the caller is done with. */
  let idle: Uint8Array<ArrayBuffer> | undefined
  const read = async (at: number, into: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> => {
    const until = await progress.beyond(at, Math.min(at + bufferBytes, end), reader)
    const { bytesRead } = await file.read(into, 0, until - at, at)
    if (bytesRead === 0) throw new AppError('CORRUPT', `a blob file ends at byte ${at} of ${end}`)
    return into.subarray(0, bytesRead)
  }
  let ahead = read(offset, new Uint8Array(bufferBytes))
  for (let at = offset; at < end;) {
    const block = await ahead
    at += block.length
    if (at < end) ahead = read(at, idle ?? new Uint8Array(bufferBytes))
    // It is awaited in the next turn, if there is one; a reader that leaves does not wait for it.
    ahead.catch(() => {})
    yield block
    idle = new Uint8Array(block.buffer)
  }
}
