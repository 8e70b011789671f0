import { createHash } from 'node:crypto'
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Digest, digestFromSum } from '../../runtime/core/digest.js'

/** What is not answered by then hangs, and a test should say so rather than hang too. */
const ANSWER_LIMIT_MS = 50_000

export interface CallOptions {
  readonly headers?: Readonly<Record<string, string>>
  /** Bytes go out with a Content-Length; a stream, of which no length is known, goes out in chunks. */
  readonly body?: Uint8Array | string | Readable
  readonly signal?: AbortSignal
  /** Told of the body's bytes as they come, with their sum so far. */
  readonly onBytes?: (receivedBytes: number) => void
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** An answer of which only the digest is kept, since it may be large. */
export interface Received {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly digest: Digest
  readonly sizeBytes: number
}

/**
 * One request to 127.0.0.1 over a connection of its own, by the platform's client, which shares nothing with ours. The
 * target goes out as it is. Rejects if the connection breaks off before the answer is complete.
 */
export async function call (port: number, method: string, target: string, options: CallOptions = {}): Promise<Answer> {
  const response = await send(port, method, target, options)
  const parts: Buffer[] = []
  await consume(response, options, part => { parts.push(part) })
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) }
}

/** A GET whose body is only hashed. */
export async function receive (port: number, target: string, options: CallOptions = {}): Promise<Received> {
  const response = await send(port, 'GET', target, options)
  const hash = createHash('sha256')
  const sizeBytes = await consume(response, options, part => { hash.update(part) })
  return { status: response.statusCode ?? 0, headers: response.headers, digest: digestFromSum(hash.digest()), sizeBytes }
}

async function send (port: number, method: string, target: string, { headers, body, signal }: CallOptions): Promise<IncomingMessage> {
  const limit = AbortSignal.timeout(ANSWER_LIMIT_MS)
  const either = signal === undefined ? limit : AbortSignal.any([signal, limit])
  return await new Promise((resolve, reject) => {
    const length = body instanceof Readable ? {} : lengthHeader(method, body)
    const outgoing = request({ host: '127.0.0.1', port, method, path: target, agent: false, headers: { ...length, ...headers }, signal: either }, resolve)
    outgoing.on('error', cause => { reject(new Error(`${method} ${target} on port ${port}: ${cause.message}`, { cause })) })
    // A server may answer and hang up before it has read everything; the answer is what counts.
    if (body instanceof Readable) pipeline(body, outgoing).catch(() => {})
    else outgoing.end(body)
  })
}

async function consume (response: IncomingMessage, { onBytes }: CallOptions, take: (part: Buffer) => void): Promise<number> {
  let receivedBytes = 0
  for await (const chunk of response) {
    const part: Buffer = chunk
    take(part)
    receivedBytes += part.length
    onBytes?.(receivedBytes)
  }
  return receivedBytes
}

function lengthHeader (method: string, body: Uint8Array | string | undefined): Record<string, string> {
  return body !== undefined || method.startsWith('P') ? { 'Content-Length': String(Buffer.byteLength(body ?? '')) } : {}
}
