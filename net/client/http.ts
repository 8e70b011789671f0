import { type Readable } from 'node:stream'
import { setMaxListeners } from 'node:events'
import { rootCertificates } from 'node:tls'
import { Agent, type Dispatcher } from 'undici'
import { AppError, messageOf, systemCodeOf } from '../../runtime/core/errors.js'
import { systemClock } from '../../runtime/core/clock.js'
import { type Method } from '../api/route.js'
import { Liveness, type WatchedRequest } from './liveness.js'

/** Idle connections are given up before our servers close them, which is after 8 s, so that no request meets a closing one. */
const KEEP_ALIVE_MS = 4_000
const CONNECT_MS = 5_000
/** Connections to one host; further requests wait for one. */
const CONNECTIONS_MAX = 128
/** How long an answer may stand still. Totals would cut off a large blob on a slow link. */
const IDLE_MS = 60_000
/** Of answers that are read as a whole, unless the call says otherwise. */
const TEXT_BYTES_MAX = 1024 * 1024
const DISCARD_BYTES_MAX = 64 * 1024
/** How long a host may take to say that it is well, before a request that stands still is given up. */
const PROBE_MS = 900

export interface HttpRequest {
  readonly method: Method
  /** `host:port`. */
  readonly address: string
  /** Sent as it is: escapes, double slashes and all. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  /** A GET may have one too. */
  readonly body?: string | Outgoing
  readonly signal?: AbortSignal
  /** How long the host may take for the next byte of its answer; default 60 s. */
  readonly idleMs?: number
  /**
   * Somebody else can be asked: if the request stands still and the host does not answer `/health` either, it fails with
   * TIMED_OUT within about 2 s.
   */
  readonly isReplaceable?: boolean
}

/** A body that is not in memory. */
export interface Outgoing {
  readonly lengthBytes: number
  /** Views that are valid until the next one is asked for. */
  readonly chunks: AsyncIterable<Uint8Array>
}

export interface HttpCall extends HttpRequest {
  /** For connecting, waiting and reading the whole answer. None: only `idleMs` counts, as for a large body. */
  readonly timeoutMs?: number
  /** A larger answer is an error; default 1 MiB. */
  readonly answerBytesMax?: number
}

export interface HttpHead {
  readonly status: number
  /** By lower-case name; several values joined by commas. */
  header (name: string): string | undefined
}

export interface HttpAnswer extends HttpHead { readonly bytes: Buffer, readonly text: string }

/** An answer whose body is still to come. Either read `chunks()` to its end or leave it early, or call `discard`. */
export interface HttpStream extends HttpHead {
  /** The Content-Length, if there is one; a body that ends before it fails. */
  readonly lengthBytes: number | undefined
  /** The bytes as they come; leaving the loop early cuts the connection. */
  chunks (): AsyncIterable<Uint8Array>
  /** The whole body. */
  bytes (bytesMax?: number): Promise<Buffer>
  /** The same as text. */
  text (bytesMax?: number): Promise<string>
  /** Lets go of the body. */
  discard (): void
}

/**
 * HTTP towards other components, over connections that are kept. Everything that goes wrong is an AppError: NETWORK (no
 * answer), TIMED_OUT, CANCELLED (the signal), UNAVAILABLE (an answer that is too large).
 */
export interface Http {
  /** One request whose answer is small. */
  call (call: HttpCall): Promise<HttpAnswer>
  /** One request whose answer is streamed; resolves with its head. */
  open (request: HttpRequest): Promise<HttpStream>
  /** `GET /health`: true for 200, false for all else, silence included. */
  isHealthy (address: string, options?: { readonly signal?: AbortSignal, readonly timeoutMs?: number }): Promise<boolean>
  /** True while a host takes connections and says nothing, as far as requests to it have shown. */
  isSilent (address: string): boolean
  /** True while a host refuses connections or says nothing, as far as requests to it have shown. */
  isGone (address: string): boolean
  /** Calls `listener` when a host that did not answer does again; the function returned ends that. */
  onReturn (listener: (address: string) => void): () => void
  /** The same hosts, those last that did not answer a moment ago. */
  wellFirst (addresses: readonly string[]): string[]
  /** Those that answered a moment ago, as far as anybody asked; all, if none did. */
  wellOnes (addresses: readonly string[]): string[]
  /** Ends all connections; running requests fail. May be called twice. */
  close (): Promise<void>
}

/** HTTPS towards all hosts. PEM texts, so that they can be handed to another thread. */
export interface ClientTls {
  /** Trusted besides the known ones. */
  readonly authorities: readonly string[]
  /** That every host's certificate has; undefined: the host's own name. */
  readonly serverName: string | undefined
  readonly cert?: string
  readonly key?: string
  readonly passphrase?: string
}

/** @param tls - undefined for plain HTTP */
export function createHttp (tls?: ClientTls): Http { return new UndiciHttp(tls) }

/** At least the high-water mark of a socket in every version of Node.js. */
const QUEUED_BYTES_MAX = 64 * 1024

class UndiciHttp implements Http {
  readonly #agent: Agent
  readonly #scheme: 'http' | 'https'

  readonly #returnListeners = new Set<(address: string) => void>()
  readonly #liveness = new Liveness({
    probe: async address => await this.isHealthy(address, { timeoutMs: PROBE_MS }),
    probeMs: PROBE_MS,
    clock: systemClock,
    onReturn: address => { for (const listener of this.#returnListeners) listener(address) }
  })

  #isClosed = false

  constructor (tls: ClientTls | undefined) {
    this.#scheme = tls === undefined ? 'http' : 'https'
    this.#agent = new Agent({
      connections: CONNECTIONS_MAX,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      connect: { timeout: CONNECT_MS, ...tls === undefined ? {} : connectOptionsOf(tls) }
    })
  }

  async call (call: HttpCall): Promise<HttpAnswer> {
    const deadline = new Deadline(call.signal, call.timeoutMs, call.isReplaceable === true)
    try {
      const stream = await this.#send(call, deadline)
      const bytes = await stream.bytes(call.answerBytesMax)
      this.#liveness.answered(call.address)
      return { status: stream.status, header: stream.header, bytes, get text () { return bytes.toString('utf8') } }
    } finally {
      deadline.clear()
    }
  }

  async open (request: HttpRequest): Promise<HttpStream> {
    return await this.#send(request, new Deadline(request.signal, undefined, request.isReplaceable === true))
  }

  async isHealthy (address: string, { signal, timeoutMs = 3_000 }: { signal?: AbortSignal, timeoutMs?: number } = {}): Promise<boolean> {
    try {
      return (await this.call({ method: 'GET', address, path: '/health', signal, timeoutMs })).status === 200
    } catch {
      return false
    }
  }

  isGone (address: string): boolean { return this.#liveness.isGone(address) }

  isSilent (address: string): boolean { return this.#liveness.isSilent(address) }

  onReturn (listener: (address: string) => void): () => void {
    this.#returnListeners.add(listener)
    return () => { this.#returnListeners.delete(listener) }
  }

  wellFirst (addresses: readonly string[]): string[] {
    const isGone = (address: string): boolean => this.#liveness.isGone(address)
    return [...addresses.filter(address => !isGone(address)), ...addresses.filter(isGone)]
  }

  wellOnes (addresses: readonly string[]): string[] {
    const well = addresses.filter(address => !this.#liveness.isGone(address))
    return well.length > 0 ? well : [...addresses]
  }

  async close (): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#returnListeners.clear()
    this.#liveness.close()
    await this.#agent.destroy()
  }

  async #send (request: HttpRequest, deadline: Deadline): Promise<HttpStream> {
    const { method, address, path, headers, body, idleMs = IDLE_MS } = request
    const what = `${method} ${this.#scheme}://${address}${path}`
    if (!ADDRESS.test(address)) throw new AppError('NETWORK', `${what}: "${address.slice(0, 256)}" is no address: expected host:port`)
    const isStreamed = typeof body === 'object'
    const watch = new Watch(request, deadline, this.#liveness)
    try {
      const response = await this.#agent.request({
        origin: `${this.#scheme}://${address}`,
        path,
        method,
        headers: { ...headers, ...(isStreamed ? { 'Content-Length': String(body.lengthBytes) } : {}) },
        body: isStreamed ? kept(body.chunks, watch) : body,
        signal: deadline.signal,
        headersTimeout: idleMs,
        bodyTimeout: idleMs
      })
      watch.moved()
      return new UndiciStream(response, what, deadline, watch)
    } catch (error) {
      watch.end()
      const failure = failureOf(error, what, deadline)
      if (failure.code === 'NETWORK' && !this.#isClosed) this.#liveness.failed(address)
      throw failure
    }
  }
}

class UndiciStream implements HttpStream {
  readonly status: number
  readonly lengthBytes: number | undefined
  readonly #headers: Dispatcher.ResponseData['headers']
  readonly #body: Dispatcher.ResponseData['body']

  constructor (response: Dispatcher.ResponseData, readonly what: string, readonly deadline: Deadline, readonly watch: Watch) {
    this.status = response.statusCode
    this.#headers = response.headers
    this.#body = response.body
    const length = this.header('content-length')
    this.lengthBytes = length !== undefined && /^\d+$/.test(length) ? Number(length) : undefined
    // A body that fails while nobody reads it is told of when somebody does.
    this.#body.on('error', () => {})
    this.#body.once('close', () => { watch.end() })
  }

  readonly header = (name: string): string | undefined => {
    const value = this.#headers[name]
    return Array.isArray(value) ? value.join(', ') : value
  }

  async * chunks (): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of this.#body) {
        this.watch.moved()
        if (chunk instanceof Uint8Array) yield chunk
        this.watch.moved()
      }
    } catch (error) {
      throw failureOf(error, this.what, this.deadline)
    }
  }

  async text (bytesMax?: number): Promise<string> { return (await this.bytes(bytesMax)).toString('utf8') }

  async bytes (bytesMax = TEXT_BYTES_MAX): Promise<Buffer> {
    const parts: Uint8Array[] = []
    let totalBytes = 0
    for await (const chunk of this.chunks()) {
      totalBytes += chunk.length
      if (totalBytes > bytesMax) throw new AppError('UNAVAILABLE', `${this.what}: the answer is larger than ${bytesMax} bytes`)
      parts.push(chunk)
    }
    return Buffer.concat(parts)
  }

  discard (): void {
    const isShort = this.lengthBytes !== undefined && this.lengthBytes <= DISCARD_BYTES_MAX
    // A short body is read, which keeps the connection; neither can fail in a way that matters to anybody.
    if (isShort) this.#body.dump({ limit: DISCARD_BYTES_MAX }).catch(() => {})
    else this.#body.destroy()
  }
}

function connectOptionsOf ({ authorities, serverName, ...certificate }: ClientTls): object {
  return { ...certificate, minVersion: 'TLSv1.2', ca: [...rootCertificates, ...authorities], ...serverName === undefined ? {} : { servername: serverName } }
}

/** A host name, an IPv4 address or a bracketed IPv6 one, with or without a port. */
const ADDRESS = /^(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/

/** The caller's signal together with a time limit. (`AbortSignal.any` keeps what it made alive as long as the caller's signal.) */
class Deadline {
  readonly #controller = new AbortController()
  readonly #timer: NodeJS.Timeout | undefined
  readonly #onAbort = (): void => { this.#controller.abort(this.caller?.reason) }
  isOver = false

  /** @param canEnd - whether it may be ended before its time, too */
  constructor (readonly caller: AbortSignal | undefined, timeoutMs: number | undefined, readonly canEnd: boolean) {
    if (caller?.aborted === true) this.#onAbort()
    if (timeoutMs === undefined && !canEnd) return
    // One request of a client may be behind many of ours at a time; whoever makes those limits their number.
    if (caller !== undefined) setMaxListeners(0, caller)
    caller?.addEventListener('abort', this.#onAbort, { once: true })
    if (timeoutMs !== undefined) this.#timer = setTimeout(() => { this.end() }, timeoutMs)
  }

  /** It is over, now. */
  end (): void {
    this.isOver = true
    this.#controller.abort()
  }

  /** Without a time limit it is the caller's own, which then needs no clearing. */
  get signal (): AbortSignal | undefined { return this.#timer === undefined && !this.canEnd ? this.caller : this.#controller.signal }

  clear (): void {
    clearTimeout(this.#timer)
    this.caller?.removeEventListener('abort', this.#onAbort)
  }
}

/** Keeps an eye on a request whose host can be replaced; one that cannot is waited for in any case. */
class Watch implements WatchedRequest {
  readonly address: string
  readonly #end: () => void
  movedAt = systemClock.now()

  constructor ({ address, isReplaceable }: HttpRequest, readonly deadline: Deadline, liveness: Liveness) {
    this.address = address
    this.#end = isReplaceable === true ? liveness.watch(this) : () => {}
  }

  moved (): void { this.movedAt = systemClock.now() }

  giveUp (): void { this.deadline.end() }

  end (): void {
    this.#end()
    this.deadline.clear()
  }
}

/**
 * Chunks are borrowed until the next one is asked for. After a large one, the client library asks when the socket has none
 * of it left; smaller ones may still be in the socket's queue then, so they are copied.
 */
function kept (chunks: AsyncIterable<Uint8Array>, watch: Watch): Readable {
  const each = async function * (): AsyncGenerator<Uint8Array> {
    for await (const chunkView of chunks) {
      watch.moved()
      yield chunkView.length < QUEUED_BYTES_MAX ? chunkView.slice() : chunkView
    }
  }
  // The library documents any iterable as a body; its types do not. A real Readable would ask for chunks ahead of the socket.
  return each() as unknown as Readable
}

function failureOf (error: unknown, what: string, deadline: Deadline): AppError {
  if (error instanceof AppError) return error
  if (deadline.caller?.aborted === true) return new AppError('CANCELLED', `${what}: cancelled`, { cause: error })
  const code = systemCodeOf(error) ?? ''
  if (deadline.isOver || /^UND_ERR_\w+_TIMEOUT$/.test(code)) return new AppError('TIMED_OUT', `${what}: no answer in time`, { cause: error })
  if (code === 'UND_ERR_INVALID_ARG') return new AppError('INTERNAL', `${what}: ${messageOf(error)}`, { cause: error })
  return new AppError('NETWORK', `${what}: ${messageOf(error) === '' ? code : messageOf(error)}`, { cause: error })
}
