import { type IncomingHttpHeaders, type IncomingMessage, request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** What is not answered by then hangs, and the case that asked fails. */
const ANSWER_LIMIT_MS = 60_000
/** No answer of the suite's own content is larger. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024

export interface CallOptions {
  readonly headers?: Readonly<Record<string, string>>
  /** Bytes go out with a Content-Length, a stream in chunks of which no length is stated. */
  readonly body?: Uint8Array | string | Readable
}

export interface Answer {
  /** What was asked, for messages. */
  readonly call: string
  /** The URL that was asked, which a relative `Location` is relative to. */
  readonly url: URL
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** One address at which a registry answers. Every call has a connection of its own. */
export class Endpoint {
  readonly base: URL

  /** @param url - such as `http://127.0.0.1:5000`, with credentials if the registry wants them (basic authentication) */
  constructor (url: string) { this.base = new URL(url) }

  /** @param target - a path with its query, sent as it is, or the whole URL of a `Location` */
  async call (method: string, target: string | URL, options: CallOptions = {}): Promise<Answer> {
    const url = typeof target === 'string' ? new URL(this.base.origin + target) : target
    const path = typeof target === 'string' ? target : url.pathname + url.search
    const response = await this.#send(method, url, path, options)
    const parts: Buffer[] = []
    let sizeBytes = 0
    for await (const chunk of response) {
      const part: Buffer = chunk
      sizeBytes += part.length
      if (sizeBytes > ANSWER_BYTES_MAX) throw new Error(`${method} ${path}: the answer has more than ${ANSWER_BYTES_MAX} bytes`)
      parts.push(part)
    }
    return { call: `${method} ${path}`, url, status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) }
  }

  async #send (method: string, url: URL, path: string, { headers = {}, body }: CallOptions): Promise<IncomingMessage> {
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest
    const lengthBytes = body instanceof Readable ? undefined : Buffer.byteLength(body ?? '')
    const length = lengthBytes === undefined || (body === undefined && !method.startsWith('P')) ? {} : { 'Content-Length': String(lengthBytes) }
    const auth = this.base.username === '' ? undefined : `${decodeURIComponent(this.base.username)}:${decodeURIComponent(this.base.password)}`
    return await new Promise((resolve, reject) => {
      const signal = AbortSignal.timeout(ANSWER_LIMIT_MS)
      const outgoing = send({
        protocol: url.protocol, host: url.hostname, port: url.port, method, path, auth, agent: false, signal, headers: { ...length, ...headers }
      }, resolve)
      outgoing.on('error', cause => { reject(new Error(`${method} ${path}: ${cause.message}`, { cause })) })
      // A server may answer and hang up before it has read everything; the answer is what counts.
      if (body instanceof Readable) pipeline(body, outgoing).catch(() => {})
      else outgoing.end(body)
    })
  }
}
