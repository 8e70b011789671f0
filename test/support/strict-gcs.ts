import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { must } from './must.js'

const CHUNK_UNIT = 256 * 1024

interface Stored { readonly bytes: Buffer, readonly generation: number }
interface Session { readonly name: string, readonly parts: Buffer[], receivedBytes: number }

/**
 * A small Google Cloud Storage on loopback and in memory: metadata, media with ranges and generations, simple and resumable
 * uploads whose chunks have to fit together, lists in pages.
 */
export class StrictGcs {
  readonly objects = new Map<string, Stored>()
  readonly requests: string[] = []
  /** Says what happens to a request, by `METHOD path`: a status to fail with. */
  interfere: (request: string) => number | undefined = () => undefined
  /** What is stored of what was sent, as a faulty server might. */
  damage: (bytes: Buffer) => Buffer = bytes => bytes
  readonly #sessions = new Map<string, Session>()
  #count = 0

  private constructor (readonly server: Server, readonly port: number, readonly bucket: string) {}

  static async start (bucket: string): Promise<StrictGcs> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = must(server.address())
    const gcs = new StrictGcs(server, typeof address === 'string' ? 0 : address.port, bucket)
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      gcs.#serve(request, response).catch(() => { response.destroy() })
    })
    return gcs
  }

  get endpoint (): string { return `http://127.0.0.1:${this.port}` }

  async stop (): Promise<void> {
    this.server.closeAllConnections()
    this.server.close()
    await once(this.server, 'close')
  }

  async #serve (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.endpoint)
    const { method = '' } = request
    this.requests.push(`${method} ${url.pathname}`)
    const failure = this.interfere(`${method} ${url.pathname}`)
    if (failure !== undefined) return refuse(response, failure)
    const upload = `/upload/storage/v1/b/${this.bucket}/o`
    const objects = `/storage/v1/b/${this.bucket}/o`
    if (url.pathname === upload && method === 'POST') return await this.#begin(request, url, response)
    if (url.pathname === upload && method === 'PUT') return await this.#proceed(request, url, response)
    if (url.pathname === objects && method === 'GET') return this.#list(url, response)
    if (!url.pathname.startsWith(`${objects}/`)) return refuse(response, 404)
    const name = decodeURIComponent(url.pathname.slice(objects.length + 1))
    const stored = this.objects.get(name)
    const generation = url.searchParams.get('generation')
    if (stored === undefined || (generation !== null && generation !== String(stored.generation))) return refuse(response, 404)
    if (method === 'DELETE') {
      this.objects.delete(name)
      response.writeHead(204).end()
    } else if (method !== 'GET') {
      refuse(response, 405)
    } else if (url.searchParams.get('alt') === 'media') {
      this.#media(request, stored, response)
    } else {
      answer(response, this.#resource(name, stored))
    }
  }

  #media (request: IncomingMessage, { bytes, generation }: Stored, response: ServerResponse): void {
    const [, first] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? []
    const start = Number(first ?? 0)
    if (start >= bytes.length && bytes.length > 0) return refuse(response, 416)
    const body = bytes.subarray(start)
    response.writeHead(start === 0 ? 200 : 206, {
      'Content-Length': body.length,
      'Content-Type': 'application/octet-stream',
      'x-goog-generation': generation,
      'x-goog-hash': `crc32c=${crc32c(bytes)}`,
      ...start === 0 ? {} : { 'Content-Range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` }
    }).end(body)
  }

  async #begin (request: IncomingMessage, url: URL, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request)
    const kind = url.searchParams.get('uploadType')
    const name = url.searchParams.get('name') ?? ''
    if (name === '') return refuse(response, 400)
    if (kind === 'multipart') {
      const [, boundary] = /boundary=["']?([^"';]+)/.exec(request.headers['content-type'] ?? '') ?? []
      if (boundary === undefined) return refuse(response, 400)
      // --b CRLF headers CRLF CRLF json CRLF --b CRLF headers CRLF CRLF bytes CRLF --b--
      const second = body.indexOf(`--${boundary}`, boundary.length + 2)
      const start = body.indexOf('\r\n\r\n', second) + 4
      const end = body.lastIndexOf(`--${boundary}--`) - 2
      return answer(response, this.#keep(name, body.subarray(start, end)))
    }
    if (kind !== 'resumable') return refuse(response, 400)
    const id = `session-${++this.#count}`
    this.#sessions.set(id, { name, parts: [], receivedBytes: 0 })
    response.writeHead(200, { Location: `${this.endpoint}/upload/storage/v1/b/${this.bucket}/o?uploadType=resumable&name=${encodeURIComponent(name)}&upload_id=${id}`, 'Content-Length': 0 }).end()
  }

  async #proceed (request: IncomingMessage, url: URL, response: ServerResponse): Promise<void> {
    const session = this.#sessions.get(url.searchParams.get('upload_id') ?? '')
    const body = await bodyOf(request)
    if (session === undefined) return refuse(response, 404)
    const [, first, last, total] = /^bytes (?:(\d+)-(\d+|\*)|\*)\/(\d+|\*)$/.exec(request.headers['content-range'] ?? '') ?? []
    if (total === undefined || (first !== undefined && Number(first) !== session.receivedBytes)) return refuse(response, 400)
    if (last !== undefined && last !== '*' && Number(last) - Number(first) + 1 !== body.length) return refuse(response, 400)
    const isLast = total !== '*' && session.receivedBytes + body.length === Number(total)
    if (!isLast && body.length % CHUNK_UNIT !== 0) return refuse(response, 400)
    session.parts.push(body)
    session.receivedBytes += body.length
    if (isLast) return answer(response, this.#keep(session.name, Buffer.concat(session.parts)))
    response.writeHead(308, { Range: `bytes=0-${session.receivedBytes - 1}`, 'Content-Length': 0 }).end()
  }

  #keep (name: string, bytes: Buffer): object {
    const stored = { bytes: this.damage(Buffer.from(bytes)), generation: ++this.#count }
    this.objects.set(name, stored)
    return this.#resource(name, stored)
  }

  #list (url: URL, response: ServerResponse): void {
    const max = Number(url.searchParams.get('maxResults') ?? 1000)
    const after = Buffer.from(url.searchParams.get('pageToken') ?? '', 'base64').toString()
    const names = [...this.objects.keys()].filter(name => name.startsWith(url.searchParams.get('prefix') ?? '') && name > after).sort()
    const page = names.slice(0, max)
    const next = names.length > page.length ? { nextPageToken: Buffer.from(page.at(-1) ?? '').toString('base64') } : {}
    answer(response, { kind: 'storage#objects', ...next, items: page.map(name => this.#resource(name, must(this.objects.get(name)))) })
  }

  #resource (name: string, { bytes, generation }: Stored): object {
    return { kind: 'storage#object', bucket: this.bucket, name, size: String(bytes.length), generation: String(generation), crc32c: crc32c(bytes) }
  }
}

function crc32c (bytes: Buffer): string {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE((crc ^ 0xffffffff) >>> 0)
  return sum.toString('base64')
}

async function bodyOf (request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part)
  return Buffer.concat(parts)
}

function answer (response: ServerResponse, body: object): void { response.setHeader('Content-Type', 'application/json').end(JSON.stringify(body)) }

function refuse (response: ServerResponse, status: number): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify({ error: { code: status, message: `status ${status}` } }))
}
