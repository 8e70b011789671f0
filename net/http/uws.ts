import { createServer } from 'node:net'
import type uWebSockets from 'uWebSockets.js'
import { AppError, messageOf, systemCodeOf } from '../../runtime/core/errors.js'
import { type Handler, type HttpRequest, type HttpServer, type Listen, type ListenOptions, type Reply } from './engine.js'
import { listenSecurely } from './https.js'
import { IncomingBody } from './incoming-body.js'
import { OutgoingReply } from './outgoing-reply.js'
import { text } from './reply.js'

/*
 * The HTTP server, made of uWebSockets.js, the only file that names it; with TLS it is `https.ts`. What it decides by itself: HTTP/1.0 and absolute
 * targets get 505, a request without Host is dropped, `Expect: 100-continue` is answered, a connection without a request is
 * closed after 10 s. It also drops a connection whose next request arrives in the same packet while the answer to the one
 * before waits for a disk or for another host; answers that are ready at once may be pipelined.
 */

/** How long `close` waits for running requests unless it is told otherwise. */
const DRAIN_MS = 10_000
/** A client that neither sends nor takes a byte for this long is cut off; nginx waits as long by default. */
const STALL_TICKS_MAX = 15
/** uWebSockets.js gives a connection 10 s at a time; ticks renew that while a request is being worked on. */
const TICK_MS = 4_000
/**
 * The library closes a connection as soon as it has answered a request that says `Connection: close`, and a connection that
 * is closed with bytes unread takes the answer with it. So that answer is held back until the whole body has come; but not
 * for longer than this, nor from one tick to the next without a byte.
 */
const LINGER_TICKS_MAX = 8
/** Unread bodies up to this size are thrown away in passing; beyond, the client is told to stop. */
const UNREAD_BYTES_MAX = 256 * 1024

export const listen: Listen = async (handler, options) => {
  if (options.tls !== undefined) return await listenSecurely(handler, options, options.tls)
  const uws = await load()
  const app = uws.App()
  const open = new Set<Exchange>()
  const server = new Server(uws, app, open)
  app.any('/*', (response, request) => {
    const exchange = new Exchange(response, request, options, () => {
      open.delete(exchange)
      server.noticeIdle()
    })
    open.add(exchange)
    exchange.run(handler, () => server.isClosing)
  })
  await server.listen(options)
  return server
}

/** `LIBUS_LISTEN_EXCLUSIVE_PORT`: without it several processes could share one port, each getting some of the connections. */
const EXCLUSIVE_PORT = 1

type Uws = typeof uWebSockets

let loaded: Promise<Uws> | undefined

/** Loads the native library when the first server starts, so that tools which serve nothing run anywhere. */
async function load (): Promise<Uws> {
  loaded ??= import('uWebSockets.js').then(module => {
    hush(module.default)
    return module.default
  })
  try {
    return await loaded
  } catch (cause) {
    throw new AppError('CONFIG_INVALID', `The HTTP server uWebSockets.js does not run on this machine (${process.platform} ${process.arch}, ` +
      `Node.js ${process.version}): ${messageOf(cause).split('\n').pop() ?? ''}. On Linux it needs glibc 2.27 with Node.js 20 and ` +
      'glibc 2.38 with Node.js 22 and newer: use Node.js 20 here, or a newer system.', { cause })
  }
}

/** Leaves out the header in which every reply would name the library. The switch is not documented, so it may be missing. */
function hush (uws: Uws): void {
  const configure: unknown = Reflect.get(uws, '_cfg')
  if (typeof configure === 'function') Reflect.apply(configure, uws, ['silent'])
}

class Server implements HttpServer {
  readonly #uws: Uws
  readonly #app: uWebSockets.TemplatedApp
  readonly #open: ReadonlySet<Exchange>
  readonly #ticker: NodeJS.Timeout
  #socket: uWebSockets.us_listen_socket | undefined
  #port = 0
  #closed: Promise<void> | undefined
  #onIdle: (() => void) | undefined

  constructor (uws: Uws, app: uWebSockets.TemplatedApp, open: ReadonlySet<Exchange>) {
    this.#uws = uws
    this.#app = app
    this.#open = open
    this.#ticker = setInterval(() => { for (const exchange of [...open]) exchange.tick() }, TICK_MS)
    this.#ticker.unref()
  }

  get port (): number { return this.#port }
  get isClosing (): boolean { return this.#closed !== undefined }

  /** @throws AppError UNAVAILABLE if the address cannot be listened on */
  async listen ({ host = '0.0.0.0', port }: ListenOptions): Promise<void> {
    const isListening = await new Promise<boolean>(resolve => {
      const onSocket = (socket: uWebSockets.us_listen_socket | false): void => {
        if (socket !== false) this.#socket = socket
        resolve(socket !== false)
      }
      // The library takes all four, but its types know no call with both a host and options.
      Reflect.apply(this.#app.listen, this.#app, [host, port, EXCLUSIVE_PORT, onSocket])
    })
    if (isListening && this.#socket !== undefined) {
      this.#port = this.#uws.us_socket_local_port(this.#socket)
      return
    }
    clearInterval(this.#ticker)
    throw await whyNot(host, port)
  }

  noticeIdle (): void { if (this.#open.size === 0) this.#onIdle?.() }

  close (drainMs = DRAIN_MS): Promise<void> {
    this.#closed ??= this.#close(drainMs)
    return this.#closed
  }

  async #close (drainMs: number): Promise<void> {
    if (this.#socket !== undefined) this.#uws.us_listen_socket_close(this.#socket)
    if (this.#open.size > 0) {
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, drainMs)
        this.#onIdle = () => {
          clearTimeout(timer)
          // What ended the last exchange may still be on the stack of the library that is closed next.
          setImmediate(resolve)
        }
      })
    }
    clearInterval(this.#ticker)
    this.#app.close()
  }
}

/** One request and its reply. */
class Exchange {
  readonly #response: uWebSockets.HttpResponse
  readonly #request: Request
  readonly #body: IncomingBody
  readonly #reply: OutgoingReply
  readonly #options: ListenOptions
  readonly #declaredBytes: number | undefined
  /** The library will close the connection behind the answer. */
  readonly #isLastRequest: boolean
  /** Sends the answer that waits for the rest of the body. */
  #held: (() => void) | undefined
  #lingeringTicks = 0
  #isPaused = false
  #isOver = false
  /** Since the last tick. */
  #hasProgressed = false
  #sentBytesAtTick = 0
  #stalledTicks = 0

  constructor (response: uWebSockets.HttpResponse, request: uWebSockets.HttpRequest, options: ListenOptions, onOver: () => void) {
    this.#response = response
    this.#options = options
    const headers = new Map<string, string>()
    request.forEach((name, value) => {
      const earlier = headers.get(name)
      headers.set(name, earlier === undefined ? value : `${earlier}, ${value}`)
    })
    this.#declaredBytes = headers.has('transfer-encoding') ? undefined : Number(headers.get('content-length') ?? 0)
    this.#isLastRequest = /close/i.test(headers.get('connection') ?? '')
    this.#body = new IncomingBody({ pause: () => this.#pause(), resume: () => this.#resume() }, options.bodyBytesMax, this.#declaredBytes)
    this.#request = new Request(response, request, headers, this.#body)
    this.#reply = new OutgoingReply(response, {
      isHead: this.#request.method === 'HEAD',
      onOver: () => {
        this.#isOver = true
        onOver()
      },
      onFailure: (error, event) => options.onFailure?.(error, event)
    })
    response.onAborted(() => {
      this.#isOver = true
      this.#reply.abort()
      this.#body.fail(new AppError('CANCELLED', 'the client went away before its request was complete'))
      this.#release()
      this.#request.abort()
    })
    response.onData((chunk, isLast) => {
      this.#hasProgressed = true
      this.#body.push(new Uint8Array(chunk), isLast)
      if (isLast) this.#release()
    })
  }

  run (handler: Handler, isClosing: () => boolean): void {
    const send = (reply: Reply): void => this.#send(reply, isClosing())
    const crash = (error: unknown): void => {
      this.#options.onFailure?.(error, 'handler crashed')
      send(text('internal error', 500))
    }
    if (this.#declaredBytes !== undefined && !(this.#declaredBytes <= this.#options.bodyBytesMax)) {
      return send(text(`the request body is larger than the ${this.#options.bodyBytesMax} bytes that are allowed here`, 413))
    }
    try {
      const reply = handler(this.#request)
      if (reply instanceof Promise) reply.then(send, crash)
      else send(reply)
    } catch (error) {
      crash(error)
    }
  }

  /** Gives a request that takes its time more of it, and cuts off a client that neither sends nor takes what it should. */
  tick (): void {
    if (this.#isOver) return
    const sentBytes = this.#response.getWriteOffset()
    const isWaiting = this.#reply.isStalled || (!this.#body.hasEnded && !this.#isPaused)
    const hasProgressed = this.#hasProgressed || sentBytes !== this.#sentBytesAtTick
    this.#sentBytesAtTick = sentBytes
    this.#hasProgressed = false
    if (this.#held !== undefined && (!hasProgressed || ++this.#lingeringTicks > LINGER_TICKS_MAX)) return this.#release()
    this.#stalledTicks = isWaiting && !hasProgressed ? this.#stalledTicks + 1 : 0
    if (this.#stalledTicks > STALL_TICKS_MAX) return this.#reply.close()
    this.#response.pause()
    if (!this.#isPaused) this.#response.resume()
  }

  /** The unread rest of the body is thrown away while the reply goes out, and the client told to stop if it is long. */
  #send (reply: Reply, isClosing: boolean): void {
    const isLong = this.#declaredBytes === undefined || this.#declaredBytes > UNREAD_BYTES_MAX
    const isLast = isClosing || (!this.#body.hasEnded && isLong && this.#request.mayHaveBody)
    this.#held = () => this.#reply.send(reply, isLast ? { Connection: 'close' } : {})
    this.#body.discard()
    if (!this.#isLastRequest || this.#body.hasEnded || this.#isOver) this.#release()
  }

  #release (): void {
    const send = this.#held
    this.#held = undefined
    send?.()
  }

  #pause (): void {
    if (this.#isOver) return
    this.#isPaused = true
    this.#response.pause()
  }

  /** Only ever after a pause: resuming what was not paused makes the library deaf for this connection. */
  #resume (): void {
    if (this.#isOver || !this.#isPaused) return
    this.#isPaused = false
    this.#response.resume()
  }
}

class Request implements HttpRequest {
  readonly method: string
  readonly rawPath: string
  readonly rawQuery: string
  readonly remoteAddress: string
  readonly #headers: ReadonlyMap<string, string>
  #controller: AbortController | undefined
  #isAborted = false

  constructor (
    response: uWebSockets.HttpResponse,
    request: uWebSockets.HttpRequest,
    headers: ReadonlyMap<string, string>,
    readonly body: IncomingBody
  ) {
    this.method = request.getCaseSensitiveMethod()
    this.rawPath = request.getUrl()
    this.rawQuery = request.getQuery() ?? ''
    this.remoteAddress = addressOf(Buffer.from(response.getRemoteAddressAsText()).toString())
    this.#headers = headers
  }

  header (name: string): string | undefined { return this.#headers.get(name) }

  /** Made when it is asked for, which most handlers never do. */
  get signal (): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#isAborted) this.#controller.abort()
    return this.#controller.signal
  }

  get mayHaveBody (): boolean { return this.#headers.has('content-length') || this.#headers.has('transfer-encoding') }

  abort (): void {
    this.#isAborted = true
    this.#controller?.abort()
  }
}

/** IPv4 clients of a socket for both families come as `0000:0000:0000:0000:0000:ffff:7f00:0001`. */
function addressOf (text: string): string {
  const mapped = /^(?:0000:){5}ffff:([0-9a-f]{2})([0-9a-f]{2}):([0-9a-f]{2})([0-9a-f]{2})$/.exec(text)
  return mapped === null ? text : mapped.slice(1).map(hex => Number.parseInt(hex, 16)).join('.')
}

/** The library does not say why it cannot listen; Node.js does. */
async function whyNot (host: string, port: number): Promise<AppError> {
  const cause = await new Promise<Error | undefined>(resolve => {
    const probe = createServer()
    probe.once('error', resolve)
    probe.listen(port, host, () => probe.close(() => resolve(undefined)))
  })
  const where = `port ${port} on ${host}`
  switch (systemCodeOf(cause)) {
    case 'EADDRINUSE': return new AppError('UNAVAILABLE',
      `cannot listen on ${where}: it is taken by another process. Stop that process, or choose another port.`, { cause })
    case 'EACCES': return new AppError('UNAVAILABLE',
      `cannot listen on ${where}: not permitted. Choose a port above 1023, or give the process the right to use this one.`, { cause })
    case 'EADDRNOTAVAIL': return new AppError('UNAVAILABLE',
      `cannot listen on ${where}: this machine has no such address. Choose one of its own, or 0.0.0.0 for all.`, { cause })
    default: return new AppError('UNAVAILABLE', `cannot listen on ${where}: ${cause === undefined ? 'try again' : messageOf(cause)}`, { cause })
  }
}
