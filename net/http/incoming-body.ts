import { AppError } from '../../runtime/core/errors.js'
import { type BodySink, type RequestBody } from './engine.js'

/** How an incoming body slows its client down. */
export interface Throttle {
  pause (): void
  resume (): void
}

/**
 * The body of one request, between the socket that pushes chunks and the handler that asks for them.
 *
 *   waiting ---- pipe() ----> piping ---- last chunk taken ----> done
 *      |                        |
 *      +---- discard() ---------+---- the sink threw, too large ----> discarding
 *
 * While nobody takes chunks the client is paused, so that what is kept here is what one read of the socket brought along.
 */
export class IncomingBody implements RequestBody {
  readonly #throttle: Throttle
  readonly #bytesMax: number
  readonly #declaredBytes: number | undefined
  #state: 'waiting' | 'piping' | 'discarding' | 'done' = 'waiting'
  /** Copies of chunks that came while nobody could take them. */
  #kept: Uint8Array[] = []
  #pipe: Pipe | undefined
  #hasLast = false
  #failure: AppError | undefined

  /** @param declaredBytes - the Content-Length, or undefined for a chunked body */
  constructor (throttle: Throttle, bytesMax: number, declaredBytes: number | undefined) {
    this.#throttle = throttle
    this.#bytesMax = bytesMax
    this.#declaredBytes = declaredBytes
  }

  /** True once the last byte of the body was received. */
  get hasEnded (): boolean { return this.#hasLast }

  async bytes (bytesMax: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = []
    await this.pipe({ write: chunkView => { parts.push(chunkView.slice()) } }, bytesMax)
    const [only] = parts
    return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts)
  }

  pipe (sink: BodySink, bytesMax = this.#bytesMax): Promise<number> {
    if (this.#state !== 'waiting') return Promise.reject(new AppError('INTERNAL', 'a request body can be read only once'))
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const limit = Math.min(bytesMax, this.#bytesMax)
    if (this.#declaredBytes !== undefined && this.#declaredBytes > limit) {
      this.discard()
      return Promise.reject(tooLarge(limit))
    }
    this.#state = 'piping'
    return new Promise((resolve, reject) => {
      this.#pipe = { sink, limit, totalBytes: 0, isBusy: false, resolve, reject }
      this.#drain(this.#pipe)
    })
  }

  /** Takes a chunk off the socket. The view is borrowed: it is handed on within this call or copied. */
  push (chunkView: Uint8Array, isLast: boolean): void {
    this.#hasLast ||= isLast
    if (this.#state === 'discarding' || this.#state === 'done') return
    const pipe = this.#pipe
    if (pipe === undefined || pipe.isBusy || this.#kept.length > 0) {
      if (chunkView.length > 0) this.#kept.push(chunkView.slice())
      if (!isLast) this.#throttle.pause()
      return
    }
    if (chunkView.length > 0) this.#give(pipe, chunkView)
    this.#drain(pipe)
  }

  /** The client is gone. What the sink still works on is waited for, so that nobody frees what it uses. */
  fail (failure: AppError): void {
    if (this.#hasLast) return
    this.#failure = failure
    this.#kept = []
    if (this.#pipe !== undefined && !this.#pipe.isBusy) this.#end(this.#pipe, failure)
  }

  /** Throws away what is still to come, so that the reply can be sent and the next request be read. */
  discard (): void {
    if (this.#state === 'waiting' || this.#state === 'piping') this.#state = 'discarding'
    this.#kept = []
    this.#throttle.resume()
  }

  /** Gives away what was kept, as far as the sink takes it, and ends the pipe or lets the client go on. */
  #drain (pipe: Pipe): void {
    while (!pipe.isBusy && this.#state === 'piping') {
      const chunk = this.#kept.shift()
      if (chunk !== undefined) {
        this.#give(pipe, chunk)
      } else if (this.#failure !== undefined || this.#hasLast) {
        return this.#end(pipe, this.#failure)
      } else {
        return this.#throttle.resume()
      }
    }
  }

  #give (pipe: Pipe, chunkView: Uint8Array): void {
    pipe.totalBytes += chunkView.length
    if (pipe.totalBytes > pipe.limit) return this.#end(pipe, tooLarge(pipe.limit))
    let taken: void | Promise<void>
    try {
      taken = pipe.sink.write(chunkView)
    } catch (error) {
      return this.#end(pipe, error)
    }
    if (taken === undefined) return
    pipe.isBusy = true
    if (!this.#hasLast) this.#throttle.pause()
    taken.then(
      () => {
        pipe.isBusy = false
        this.#drain(pipe)
      },
      (error: unknown) => {
        pipe.isBusy = false
        this.#end(pipe, error)
      }
    )
  }

  #end (pipe: Pipe, error: unknown): void {
    if (this.#state !== 'piping') return
    if (error === undefined) {
      this.#state = 'done'
      pipe.resolve(pipe.totalBytes)
    } else {
      this.discard()
      pipe.reject(error)
    }
  }
}

interface Pipe {
  readonly sink: BodySink
  readonly limit: number
  totalBytes: number
  /** The sink has not finished with the last chunk yet. */
  isBusy: boolean
  readonly resolve: (totalBytes: number) => void
  readonly reject: (error: unknown) => void
}

function tooLarge (limit: number): AppError {
  return new AppError('BODY_TOO_LARGE', `the request body is larger than the ${limit} bytes that are allowed here`)
}
