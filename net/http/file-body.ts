import { open, type FileHandle } from 'node:fs/promises'
import { AppError } from '../../runtime/core/errors.js'
import { type BodySource } from './engine.js'

const BLOCK_BYTES = 512 * 1024

/**
 * Part of a file as the body of a reply. While the client takes one block the next is read, so that a body needs two
 * blocks of memory.
 * @param source - a path, opened when the first byte is asked for, or a handle, which belongs to the body from now on: it is
 * closed at the end, on an error and when the client goes away
 */
export function fileBody (source: string | FileHandle, offset: number, lengthBytes: number): BodySource {
  return {
    lengthBytes,
    chunks: () => ({ [Symbol.asyncIterator]: () => new FileReader(source, offset, lengthBytes) })
  }
}

/**
 *   next() waits for   | block 0 | block 1 | block 2 | ...
 *   and then starts    | block 1 | block 2 | block 3 | ...   in the buffer of the block that the caller is done with
 */
class FileReader implements AsyncIterator<Uint8Array> {
  #file: FileHandle | undefined
  readonly #path: string | undefined
  #position: number
  readonly #end: number
  /** What the caller has. */
  #lent: Uint8Array | undefined
  /** What is being read. */
  #ahead: Promise<Uint8Array> | undefined
  #isClosed = false

  constructor (source: string | FileHandle, offset: number, lengthBytes: number) {
    if (typeof source === 'string') this.#path = source
    else this.#file = source
    this.#position = offset
    this.#end = offset + lengthBytes
  }

  async next (): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#isClosed) return { done: true, value: undefined }
    try {
      const ahead = this.#ahead ?? this.#readBlock(undefined)
      this.#ahead = ahead
      const block = await ahead
      if (block.length === 0 || this.#isClosed) return await this.return()
      this.#ahead = this.#readBlock(this.#lent)
      // It is awaited by the next call, if there is one.
      this.#ahead.catch(() => {})
      this.#lent = block
      return { done: false, value: block }
    } catch (error) {
      await this.return()
      throw error
    }
  }

  async return (): Promise<{ done: true, value: undefined }> {
    if (!this.#isClosed) {
      this.#isClosed = true
      await this.#ahead?.catch(() => {})
      await this.#file?.close()
    }
    return { done: true, value: undefined }
  }

  /** Reads the next block into `buffer`, if it was lent long enough to fit; an empty one is the end. */
  async #readBlock (buffer: Uint8Array | undefined): Promise<Uint8Array> {
    const lengthBytes = Math.min(BLOCK_BYTES, this.#end - this.#position)
    const start = this.#position
    this.#position += lengthBytes
    if (lengthBytes === 0) return new Uint8Array(0)
    const file = await this.#opened()
    const block = new Uint8Array(buffer?.buffer ?? new ArrayBuffer(lengthBytes), 0, lengthBytes)
    for (let at = 0; at < lengthBytes;) {
      const { bytesRead } = await file.read(block, at, lengthBytes - at, start + at)
      if (bytesRead === 0) throw new AppError('CORRUPT', `the file ends at ${start + at}, before byte ${this.#end} that was promised`)
      at += bytesRead
    }
    return block
  }

  async #opened (): Promise<FileHandle> {
    if (this.#file !== undefined) return this.#file
    if (this.#path === undefined) throw new AppError('INTERNAL', 'a file body without a file')
    try {
      this.#file = await open(this.#path, 'r')
      return this.#file
    } catch (cause) {
      throw new AppError('STORAGE', 'the content cannot be read', { cause })
    }
  }
}
