import { readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { rootCertificates } from 'node:tls'
import { Agent, type Dispatcher } from 'undici'
import { AppError, messageOf, systemCodeOf } from '../core/errors.js'

/** Connections to one server; further requests wait for one. */
const CONNECTIONS_MAX = 64
const CONNECT_MS = 10_000
const IDLE_MS = 60_000
const TEXT_BYTES_MAX = 8 * 1024 * 1024
const DISCARD_BYTES_MAX = 64 * 1024
const REDIRECTS_MAX = 5

export interface WebTls {
  /** Name that the certificate must have, if not the host's. */
  readonly name?: string | undefined
  /** PEM files of authorities that are trusted besides the known ones. */
  readonly authorities?: readonly string[]
  readonly certFile?: string | undefined
  readonly keyFile?: string | undefined
  readonly passphraseFile?: string | undefined
}

export interface WebOptions {
  /** How long a server may be silent; default 60 s. Whole transfers have no limit. */
  readonly idleMs?: number
  readonly tls?: WebTls | undefined
}

export interface WebRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE'
  /** Absolute, escaped. */
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | WebBody | undefined
  readonly signal?: AbortSignal | undefined
}

/** A body that is not in memory. */
export interface WebBody { readonly lengthBytes: number, readonly chunks: AsyncIterable<Uint8Array> }

/** HTTP and HTTPS towards servers that are not ours. @throws AppError NETWORK, TIMED_OUT, CANCELLED */
export class Web {
  readonly #agent: Agent
  readonly #idleMs: number

  /** @throws AppError CONFIG_INVALID for a PEM file that cannot be read */
  constructor ({ idleMs = IDLE_MS, tls }: WebOptions = {}) {
    this.#idleMs = idleMs
    this.#agent = new Agent({ connections: CONNECTIONS_MAX, connect: { timeout: CONNECT_MS, ...tls === undefined ? {} : readTls(tls) } })
  }

  /** One request; the answer is read with `chunks` or `text`, or let go of with `discard`. Redirects are the caller's business. */
  async open ({ method, url, headers, body, signal }: WebRequest): Promise<WebAnswer> {
    const { origin, pathname } = new URL(url)
    const what = `${method} ${origin}${pathname}`
    const isStreamed = typeof body === 'object'
    try {
      const response = await this.#agent.request({
        origin,
        path: pathAndQuery(url),
        method,
        headers: { ...headers, ...isStreamed ? { 'Content-Length': String(body.lengthBytes) } : {} },
        body: isStreamed ? Readable.from(copies(body.chunks), { objectMode: false }) : body ?? null,
        signal: signal ?? null,
        headersTimeout: this.#idleMs,
        bodyTimeout: this.#idleMs
      })
      return new WebAnswer(response, what, signal)
    } catch (error) {
      throw failureOf(error, what, signal)
    }
  }

  /** The same, following redirects. Headers that name us go to the first server only. */
  async follow (request: WebRequest): Promise<WebAnswer> {
    let { url, headers = {} } = request
    for (let hops = 0; ; hops++) {
      const answer = await this.open({ ...request, url, headers })
      const location = answer.header('location')
      if (!isRedirect(answer.status) || location === undefined) return answer
      answer.discard()
      const from = new URL(url)
      const to = URL.canParse(location, url) ? new URL(location, url) : undefined
      if (to === undefined || !/^https?:$/.test(to.protocol) || (from.protocol === 'https:' && to.protocol === 'http:') || hops === REDIRECTS_MAX) {
        throw new AppError('NETWORK', `${answer.what}: its redirect is not followed`)
      }
      if (to.origin !== from.origin) headers = Object.fromEntries(Object.entries(headers).filter(([name]) => !/^(?:authorization|cookie)$/i.test(name)))
      url = to.href
    }
  }

  /** Ends all connections. May be called twice. */
  async close (): Promise<void> { if (!this.#agent.destroyed) await this.#agent.destroy() }
}

export class WebAnswer {
  readonly status: number
  /** The Content-Length, if there is one. */
  readonly lengthBytes: number | undefined
  readonly #response: Dispatcher.ResponseData

  constructor (response: Dispatcher.ResponseData, readonly what: string, readonly signal: AbortSignal | undefined) {
    this.#response = response
    this.status = response.statusCode
    const length = this.header('content-length')
    this.lengthBytes = length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined
    // A body that fails while nobody reads it is told of when somebody does.
    response.body.on('error', () => {})
  }

  /** By lower-case name; several values joined by commas. */
  header (name: string): string | undefined {
    const value = this.#response.headers[name]
    return Array.isArray(value) ? value.join(', ') : value
  }

  /** Leaving the loop early cuts the connection. */
  async * chunks (): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of this.#response.body) if (chunk instanceof Uint8Array) yield chunk
    } catch (error) {
      throw failureOf(error, this.what, this.signal)
    }
  }

  async text (bytesMax = TEXT_BYTES_MAX): Promise<string> { return (await this.bytes(bytesMax)).toString() }

  async bytes (bytesMax: number): Promise<Buffer> {
    const parts: Uint8Array[] = []
    let totalBytes = 0
    for await (const chunk of this.chunks()) {
      totalBytes += chunk.length
      if (totalBytes > bytesMax) throw new AppError('NETWORK', `${this.what}: the answer is larger than ${bytesMax} bytes`)
      parts.push(chunk)
    }
    return Buffer.concat(parts)
  }

  /** Lets go of the body; a short one is read, which keeps the connection. */
  discard (): void {
    const isShort = this.lengthBytes !== undefined && this.lengthBytes <= DISCARD_BYTES_MAX
    if (isShort) this.#response.body.dump({ limit: DISCARD_BYTES_MAX }).catch(() => {})
    else this.#response.body.destroy()
  }

  /** What to say about an answer that was not hoped for; lets go of its body. */
  unexpected (): AppError {
    this.discard()
    return new AppError('NETWORK', `${this.what}: answered ${this.status}`)
  }
}

/** Path parts escaped, slashes kept. */
export function escapePath (path: string): string {
  return path.split('/').map(part => encodeURIComponent(part).replaceAll('%3A', ':')).join('/')
}

/** The socket may still hold a chunk when the next one is asked for, so each is copied. */
export async function * copies (chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  for await (const chunkView of chunks) yield Buffer.from(chunkView)
}

function isRedirect (status: number): boolean { return [301, 302, 303, 307, 308].includes(status) }

/** As it was written: the parser of URLs would take dots and escapes apart. */
function pathAndQuery (url: string): string {
  const at = url.indexOf('/', url.indexOf('://') + 3)
  return at < 0 ? '/' : url.slice(at).replace(/#.*$/, '')
}

function readTls ({ name, authorities = [], certFile, keyFile, passphraseFile }: WebTls): object {
  const read = (path: string): string => {
    try {
      return readFileSync(path, 'utf8')
    } catch (cause) {
      throw new AppError('CONFIG_INVALID', `${path} cannot be read: ${messageOf(cause)}`, { cause })
    }
  }
  return {
    ...name === undefined ? {} : { servername: name },
    ...authorities.length === 0 ? {} : { ca: [...rootCertificates, ...authorities.map(read)] },
    ...certFile === undefined ? {} : { cert: read(certFile) },
    ...keyFile === undefined ? {} : { key: read(keyFile) },
    ...passphraseFile === undefined ? {} : { passphrase: read(passphraseFile).trim() }
  }
}

function failureOf (error: unknown, what: string, signal: AbortSignal | undefined): AppError {
  if (error instanceof AppError) return error
  if (signal?.aborted === true) return new AppError('CANCELLED', `${what}: cancelled`, { cause: error })
  const code = systemCodeOf(error) ?? ''
  if (/^UND_ERR_\w+_TIMEOUT$/.test(code)) return new AppError('TIMED_OUT', `${what}: no answer in time`, { cause: error })
  return new AppError('NETWORK', `${what}: ${messageOf(error) === '' ? code : messageOf(error)}`, { cause: error })
}
