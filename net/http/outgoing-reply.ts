import { STATUS_CODES } from 'node:http'
import { type BodySource, type Reply } from './engine.js'
import { textError } from './errors.js'

/** What a reply is written to, as uWebSockets.js has it. After `end`, a full `tryEnd` or `close` it must not be touched. */
export interface ReplySocket {
  cork (write: () => void): unknown
  writeStatus (status: string): unknown
  writeHeader (name: string, value: string): unknown
  end (): unknown
  /** Its argument, a length to report, is left alone: the library would wait for that many bytes before the next request. */
  endWithoutBody (): unknown
  /** Returns whether all was taken, and whether the reply is complete. */
  tryEnd (part: Uint8Array, totalBytes: number): [boolean, boolean]
  /** How many bytes of the body were taken. */
  getWriteOffset (): number
  onWritable (handler: () => boolean): unknown
  close (): unknown
}

export interface OutgoingOptions {
  readonly isHead: boolean
  /** Called once, when the socket must not be touched any more. */
  readonly onOver: () => void
  /** Told of failures that no reply can tell of. */
  readonly onFailure: (error: unknown, event: string) => void
}

/**
 * One reply on its way out. A body that turns out wrong midway never ends like a right one: the connection is cut, and the
 * client misses bytes of the Content-Length that it was promised.
 */
export class OutgoingReply {
  readonly #socket: ReplySocket
  readonly #options: OutgoingOptions
  /** What the socket has to take before more is read. */
  #stalled: { readonly part: Uint8Array, readonly startsAt: number, readonly totalBytes: number, readonly wake: () => void } | undefined
  #source: AsyncIterator<Uint8Array> | undefined
  #sentBytes = 0
  #hasHead = false
  #isOver = false

  constructor (socket: ReplySocket, options: OutgoingOptions) {
    this.#socket = socket
    this.#options = options
  }

  /** True while the client has to take bytes before anything goes on. */
  get isStalled (): boolean { return this.#stalled !== undefined }

  /** Writes the reply, and `extra` headers behind its own. A reply that cannot be written becomes a 500. Never throws. */
  send (reply: Reply, extra: Readonly<Record<string, string>>): void {
    if (this.#isOver) return this.#drop(reply.body)
    try {
      this.#write(reply, { ...reply.headers, ...extra })
    } catch (error) {
      this.#drop(reply.body)
      this.#cut(error, extra)
    }
  }

  /** The socket is gone. */
  abort (): void {
    if (this.#isOver) return
    this.#over()
    this.#stalled?.wake()
    this.#stalled = undefined
    this.#return(this.#source)
  }

  /** Ends the connection at once, for clients that take nothing. */
  close (): void {
    if (this.#isOver) return
    const socket = this.#socket
    this.abort()
    socket.close()
  }

  #write (reply: Reply, headers: Readonly<Record<string, string>>): void {
    const { name = '', values = [] } = reply.repeated ?? {}
    const lines: Array<readonly [string, string]> = [...Object.entries(headers), ...values.map(value => [name, value] as const)]
    const head = (): void => this.#writeHead(reply.status, lines)
    checkHeaders(lines)
    if (this.#options.isHead || hasNoBody(reply.status)) {
      const reportedBytes = hasNoBody(reply.status) ? undefined : reply.headLengthBytes ?? reportedBytesOf(reply.body)
      this.#finish(() => {
        head()
        if (reportedBytes !== undefined) this.#socket.writeHeader('Content-Length', String(reportedBytes))
        this.#socket.endWithoutBody()
      })
      return this.#drop(reply.body)
    }
    const bytes = isSource(reply.body) ? undefined : bytesOf(reply.body)
    if (isSource(reply.body) && reply.body.lengthBytes > 0) {
      void this.#stream(reply.body, head, headers)
    } else if (bytes !== undefined && bytes.length > 0) {
      void this.#push(bytes, bytes.length, head)
    } else {
      this.#finish(() => {
        head()
        this.#socket.end()
      })
      this.#drop(reply.body)
    }
  }

  #writeHead (status: number, headers: ReadonlyArray<readonly [string, string]>): void {
    this.#hasHead = true
    this.#socket.writeStatus(`${status} ${STATUS_CODES[status] ?? 'Unknown'}`)
    for (const [name, value] of headers) this.#socket.writeHeader(name, value)
  }

  /** Writes in one go what ends the reply. */
  #finish (write: () => void): void {
    this.#socket.cork(write)
    this.#over()
  }

  async #stream (body: BodySource, head: () => void, headers: Readonly<Record<string, string>>): Promise<void> {
    try {
      const source = body.chunks()[Symbol.asyncIterator]()
      this.#source = source
      while (!this.#isOver) {
        const { done, value } = await source.next()
        if (this.#isOver) break
        if (done === true) throw new Error(`the body ended after ${this.#sentBytes} of ${body.lengthBytes} bytes`)
        if (this.#sentBytes + value.length > body.lengthBytes) throw new Error(`the body is longer than ${body.lengthBytes} bytes`)
        if (value.length === 0) continue
        const isStalled = this.#push(value, body.lengthBytes, this.#hasHead ? undefined : head)
        if (isStalled !== undefined) await isStalled
      }
    } catch (error) {
      this.#cut(error, connectionOf(headers))
    }
    this.#return(this.#source)
  }

  /** Hands a part of the body to the socket. @returns undefined if it was taken, else a promise of that */
  #push (part: Uint8Array, totalBytes: number, head: (() => void) | undefined): Promise<void> | undefined {
    const startsAt = this.#sentBytes
    if (this.#attempt(part, startsAt, totalBytes, head)) return undefined
    return new Promise(resolve => {
      this.#stalled = { part, startsAt, totalBytes, wake: resolve }
      this.#socket.onWritable(() => this.#continue())
    })
  }

  /** The client took bytes: goes on with the part that did not fit. */
  #continue (): boolean {
    const stalled = this.#stalled
    if (stalled === undefined || this.#isOver) return true
    if (!this.#attempt(stalled.part, stalled.startsAt, stalled.totalBytes, undefined)) return false
    this.#stalled = undefined
    stalled.wake()
    return true
  }

  /** @returns true if all of the part was taken */
  #attempt (part: Uint8Array, startsAt: number, totalBytes: number, head: (() => void) | undefined): boolean {
    let isTaken = false
    this.#socket.cork(() => {
      head?.()
      const [hasAll, isComplete] = this.#socket.tryEnd(part.subarray(this.#sentBytes - startsAt), totalBytes)
      isTaken = hasAll || isComplete
      if (isComplete) this.#over()
      else this.#sentBytes = hasAll ? startsAt + part.length : this.#socket.getWriteOffset()
    })
    return isTaken
  }

  /** Answers 500 if nothing was written yet, and cuts the connection otherwise. */
  #cut (error: unknown, headers: Readonly<Record<string, string>>): void {
    if (this.#isOver) return
    this.#options.onFailure(error, this.#hasHead ? 'reply cut off' : 'reply failed')
    if (this.#hasHead) this.close()
    else this.#write(textError(error), headers)
  }

  #over (): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#options.onOver()
  }

  /** Lets go of a body that is not sent. */
  #drop (body: Reply['body']): void {
    if (isSource(body)) this.#return(body.chunks()[Symbol.asyncIterator]())
  }

  #return (source: AsyncIterator<Uint8Array> | undefined): void {
    source?.return?.()?.catch((error: unknown) => this.#options.onFailure(error, 'reply body not released'))
  }
}

function isSource (body: Reply['body']): body is BodySource {
  return typeof body === 'object' && !(body instanceof Uint8Array)
}

function bytesOf (body: Reply['body']): Uint8Array {
  if (typeof body === 'string') return Buffer.from(body)
  return body instanceof Uint8Array ? body : new Uint8Array(0)
}

/** An empty answer to HEAD states no length (http-api specification 1.6). */
function reportedBytesOf (body: Reply['body']): number | undefined {
  if (isSource(body)) return body.lengthBytes
  const length = typeof body === 'string' ? Buffer.byteLength(body) : body?.length ?? 0
  return length === 0 ? undefined : length
}

function hasNoBody (status: number): boolean { return status === 204 || status === 304 }

/** Refuses what would smuggle lines into the reply: names and values often come from requests. */
function checkHeaders (headers: ReadonlyArray<readonly [string, string]>): void {
  for (const [name, value] of headers) {
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) throw new Error(`invalid header name ${JSON.stringify(name)}`)
    // eslint-disable-next-line no-control-regex
    if (/[\x00-\x08\x0a-\x1f\x7f]/.test(value)) throw new Error(`invalid characters in header ${name}`)
  }
}

function connectionOf (headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return headers.Connection === undefined ? {} : { Connection: headers.Connection }
}
