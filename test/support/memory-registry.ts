import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { digestOf } from '../../runtime/core/digest.js'

type Send = (status: number, headers?: Record<string, string>, content?: Buffer) => void

/** A registry that keeps everything in memory: the smallest thing that a client can push to and pull from. */
export class MemoryRegistry {
  readonly blobs = new Map<string, Buffer>()
  /** By `repository@reference`. */
  readonly manifests = new Map<string, { type: string, bytes: Buffer }>()
  readonly #uploads = new Map<string, Buffer>()
  readonly #server: Server = createServer((request, response) => {
    this.#answer(request, response).catch(error => { response.destroy(error instanceof Error ? error : undefined) })
  })

  /** Listens on a free port and returns its URL. */
  async start (): Promise<string> {
    await new Promise<void>(resolve => { this.#server.listen(0, '127.0.0.1', () => { resolve() }) })
    const address = this.#server.address()
    return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  }

  async stop (): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise<void>(resolve => { this.#server.close(() => { resolve() }) })
  }

  async #answer (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://registry')
    const body = await buffer(request)
    const [, repository = '', kind = '', rest = ''] = /^\/v2\/(.+)\/(blobs|manifests)\/(.+)$/.exec(url.pathname) ?? []
    const send: Send = (status, headers = {}, content) => { response.writeHead(status, headers).end(content) }
    if (kind === 'manifests') return this.#manifest(request, `${repository}@${rest}`, repository, body, send)
    if (request.method === 'POST' && rest === 'uploads/') {
      const id = String(this.#uploads.size)
      this.#uploads.set(id, Buffer.alloc(0))
      return send(202, { location: `/v2/${repository}/blobs/uploads/${id}?state=x` })
    }
    const id = rest.replace('uploads/', '')
    const upload = this.#uploads.get(id)
    if (upload !== undefined) {
      const joined = Buffer.concat([upload, body])
      this.#uploads.set(id, joined)
      if (request.method === 'PATCH') return send(202, { location: request.url ?? '' })
      if (url.searchParams.get('digest') !== digestOf(joined)) return send(400, {}, Buffer.from('digest mismatch'))
      this.blobs.set(digestOf(joined), joined)
      return send(201)
    }
    const blob = this.blobs.get(rest)
    return blob === undefined ? send(404) : send(200, { 'content-length': String(blob.length) }, request.method === 'HEAD' ? undefined : blob)
  }

  #manifest (request: IncomingMessage, key: string, repository: string, body: Buffer, send: Send): void {
    if (request.method === 'PUT') {
      const entry = { type: request.headers['content-type'] ?? '', bytes: body }
      this.manifests.set(key, entry)
      this.manifests.set(`${repository}@${digestOf(body)}`, entry)
      return send(201)
    }
    const entry = this.manifests.get(key)
    return entry === undefined ? send(404) : send(200, { 'content-type': entry.type }, entry.bytes)
  }
}
