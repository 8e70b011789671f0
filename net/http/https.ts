import { type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https'
import { createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { TLSSocket } from 'node:tls'
import { AppError, messageOf } from '../../runtime/core/errors.js'
import { type BodySource, type Handler, type HttpRequest, type HttpServer, type ListenOptions, type Reply, type ServerTls } from './engine.js'
import { IncomingBody } from './incoming-body.js'
import { text } from './reply.js'

/*
 * The same server over TLS, made of node:https. It does what the reference's front does with certificates (http-api
 * specification 2.2):
 *
 *   a certificate that is not from our authorities      400
 *   none, and neither GET nor HEAD, nor from this host  403
 *   plain HTTP                                          400
 */

/** How long `close` waits for running requests unless it is told otherwise. */
const DRAIN_MS = 10_000
/** For the first byte of a connection, for its handshake, and for the head of a request, each. */
const BEGIN_MS = 10_000
/** A connection on which nothing moves is closed. */
const IDLE_MS = 65_000
/** The answer to the last request of a connection waits for the rest of its body, but no longer than this. */
const LINGER_MS = 30_000
/** The type of the first record of every TLS connection. */
const HANDSHAKE_RECORD = 0x16
const PLAIN_TEXT = 'this port speaks HTTPS: ask it by that\n'
const PLAIN_REFUSAL = 'HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n' +
  `Content-Length: ${PLAIN_TEXT.length}\r\nConnection: close\r\n\r\n${PLAIN_TEXT}`

/** @throws AppError CONFIG_INVALID if certificate and key do not fit, UNAVAILABLE if the address cannot be listened on */
export async function listenSecurely (handler: Handler, options: ListenOptions, tls: ServerTls): Promise<HttpServer> {
  const sockets = new Set<Socket>()
  const exchanges = new Set<Promise<void>>()
  const secure = createSecure(tls)
  const front = createServer(socket => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    // A socket that fails is closed; whatever was going on over it fails by itself.
    socket.on('error', () => {})
    admit(socket, secure)
  })
  secure.on('request', (request, response) => {
    const exchange = new Exchange(request, response, options, () => front.listening).run(handler).finally(() => { exchanges.delete(exchange) })
    exchanges.add(exchange)
  })
  const port = await bind(front, options)
  const drain = async (drainMs: number): Promise<void> => {
    front.close()
    secure.closeIdleConnections()
    await Promise.race([Promise.all(exchanges), sleep(drainMs, undefined, { ref: false })])
    for (const socket of sockets) socket.destroy()
    await Promise.all(exchanges)
  }
  let closed: Promise<void> | undefined
  return { port, close: async (drainMs = DRAIN_MS) => { await (closed ??= drain(drainMs)) } }
}

function createSecure ({ cert, key, passphrase, authorities }: ServerTls): SecureServer {
  try {
    return createSecureServer({
      cert,
      key,
      ca: [...authorities],
      minVersion: 'TLSv1.2',
      requestCert: true,
      // Told with a status, for each request.
      rejectUnauthorized: false,
      handshakeTimeout: BEGIN_MS,
      headersTimeout: BEGIN_MS,
      requestTimeout: 0,
      keepAliveTimeout: IDLE_MS,
      ...passphrase === undefined ? {} : { passphrase }
    }).setTimeout(IDLE_MS)
  } catch (cause) {
    throw new AppError('CONFIG_INVALID', `tls.server: the certificate and its key cannot be used: ${messageOf(cause)}`, { cause })
  }
}

/** Looks at the first byte, since a client that speaks plain HTTP should be told so. */
function admit (socket: Socket, secure: SecureServer): void {
  socket.setTimeout(BEGIN_MS, () => { socket.destroy() })
  socket.once('readable', () => {
    const first: Buffer | null = socket.read(1)
    if (first === null) return socket.destroy()
    if (first[0] !== HANDSHAKE_RECORD) {
      socket.end(PLAIN_REFUSAL)
      return
    }
    socket.setTimeout(0)
    socket.removeAllListeners('timeout')
    socket.unshift(first)
    secure.emit('connection', socket)
  })
}

async function bind (front: Server, { host = '0.0.0.0', port }: ListenOptions): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    front.once('error', cause => { reject(new AppError('UNAVAILABLE', `cannot listen on port ${port} on ${host}: ${cause.message}`, { cause })) })
    front.listen({ host, port, exclusive: true }, resolve)
  })
  const address = front.address()
  return address === null || typeof address === 'string' ? port : address.port
}

/** One request and its reply. */
class Exchange {
  readonly #body: IncomingBody
  readonly #abort = new AbortController()
  readonly #ended: Promise<void>

  constructor (
    readonly incoming: IncomingMessage, readonly response: ServerResponse, readonly options: ListenOptions, readonly isListening: () => boolean
  ) {
    const throttle = { pause: () => { incoming.pause() }, resume: () => { incoming.resume() } }
    this.#body = new IncomingBody(throttle, options.bodyBytesMax, declaredBytes(incoming))
    this.#ended = new Promise(resolve => {
      incoming.on('data', (chunk: Buffer) => { this.#body.push(chunk, false) })
      incoming.once('end', () => {
        this.#body.push(new Uint8Array(0), true)
        resolve()
      })
      response.once('close', () => {
        if (!response.writableFinished) this.#abort.abort()
        this.#body.fail(new AppError('CANCELLED', 'the client went away before its request was complete'))
        resolve()
      })
    })
    incoming.on('error', () => {})
    response.on('error', () => {})
  }

  /** Never rejects. */
  async run (handler: Handler): Promise<void> {
    const reply = this.#refusal() ?? await this.#ask(handler)
    this.#body.discard()
    if (this.incoming.headers.connection?.toLowerCase() === 'close') await Promise.race([this.#ended, sleep(LINGER_MS, undefined, { ref: false })])
    try {
      await this.#write(reply)
    } catch (error) {
      if (!this.#abort.signal.aborted) this.options.onFailure?.(error, 'reply cut off')
      this.response.destroy()
    }
  }

  async #ask (handler: Handler): Promise<Reply> {
    try {
      return await handler(new Request(this.incoming, this.#body, this.#abort.signal))
    } catch (error) {
      this.options.onFailure?.(error, 'handler crashed')
      return text('internal error', 500)
    }
  }

  #refusal (): Reply | undefined {
    const { incoming, options: { bodyBytesMax } } = this
    if (!(incoming.url ?? '').startsWith('/')) return text('400 Bad Request: expected a path', 400)
    const declared = declaredBytes(incoming)
    if (declared !== undefined && !(declared <= bodyBytesMax)) {
      return text(`the request body is larger than the ${bodyBytesMax} bytes that are allowed here`, 413)
    }
    const { socket, method = '' } = incoming
    if (!(socket instanceof TLSSocket)) return undefined
    const hasCertificate = Object.keys(socket.getPeerCertificate()).length > 0
    if (hasCertificate && !socket.authorized) return text('the certificate of the client is not from an authority of this cluster', 400)
    const isFree = method === 'GET' || method === 'HEAD' || addressOf(socket) === '127.0.0.1'
    return hasCertificate || isFree ? undefined : text('a certificate of the client is required for what changes something', 403)
  }

  async #write ({ status, headers = {}, repeated, body, headLengthBytes }: Reply): Promise<void> {
    const { response } = this
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    if (repeated !== undefined) response.setHeader(repeated.name, [...repeated.values])
    if (!this.isListening()) response.setHeader('Connection', 'close')
    response.statusCode = status
    const hasNoBody = status === 204 || status === 304
    if (isSource(body)) {
      if (!hasNoBody) response.setHeader('Content-Length', body.lengthBytes)
      if (this.incoming.method === 'HEAD' || hasNoBody) await body.chunks()[Symbol.asyncIterator]().return?.()
      else return await this.#stream(body)
    } else {
      const bytes = Buffer.from(body ?? '')
      const isHead = this.incoming.method === 'HEAD'
      const lengthBytes = isHead ? headLengthBytes ?? (bytes.length === 0 ? undefined : bytes.length) : bytes.length
      if (!hasNoBody && lengthBytes !== undefined) response.setHeader('Content-Length', lengthBytes)
      if (!isHead && !hasNoBody) response.write(bytes)
    }
    await this.#end()
  }

  /** @throws Error if the body does not have the length that it was said to have, and what it fails with */
  async #stream (body: BodySource): Promise<void> {
    let sentBytes = 0
    for await (const chunkView of body.chunks()) {
      sentBytes += chunkView.length
      if (sentBytes > body.lengthBytes) throw new Error(`the body is longer than ${body.lengthBytes} bytes`)
      // A view may be reused once the next one is asked for.
      await new Promise<void>((resolve, reject) => this.response.write(chunkView, error => { error == null ? resolve() : reject(error) }))
    }
    if (sentBytes < body.lengthBytes) throw new Error(`the body ended after ${sentBytes} of ${body.lengthBytes} bytes`)
    await this.#end()
  }

  /** Resolves when all is sent, or the client gone. */
  async #end (): Promise<void> {
    const { response } = this
    await new Promise<void>(resolve => {
      response.once('close', resolve)
      response.end(resolve)
      if (response.destroyed) resolve()
    })
  }
}

class Request implements HttpRequest {
  readonly method: string
  readonly rawPath: string
  readonly rawQuery: string
  readonly remoteAddress: string

  constructor (readonly incoming: IncomingMessage, readonly body: IncomingBody, readonly signal: AbortSignal) {
    const { url = '/', method = 'GET' } = incoming
    const at = url.indexOf('?')
    this.method = method
    this.rawPath = at < 0 ? url : url.slice(0, at)
    this.rawQuery = at < 0 ? '' : url.slice(at + 1)
    this.remoteAddress = addressOf(incoming.socket)
  }

  header (name: string): string | undefined {
    const value = this.incoming.headersDistinct[name]
    return value?.join(', ')
  }
}

function addressOf (socket: Socket): string { return (socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/, '') }

/** Undefined for a body that comes in chunks. */
function declaredBytes ({ headers }: IncomingMessage): number | undefined {
  return headers['transfer-encoding'] === undefined ? Number(headers['content-length'] ?? 0) : undefined
}

function isSource (body: Reply['body']): body is BodySource { return typeof body === 'object' && !(body instanceof Uint8Array) }
