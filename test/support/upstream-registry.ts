import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { must } from './must.js'

export interface UpstreamOptions {
  /** What it asks of its clients; default nothing. */
  readonly auth?: 'basic' | 'bearer'
}

const USER = 'Basic ' + Buffer.from('reader:secret').toString('base64')

/** Another registry, read-only, on loopback and in memory, strict about who asks for what. */
export class UpstreamRegistry {
  readonly blobs = new Map<string, Buffer>()
  /** `repository:tag` -> digest of a blob that is a manifest. */
  readonly tags = new Map<string, string>()
  /** Requests as `METHOD path`, with ` 401` behind those that were not authorised. */
  readonly requests: string[] = []
  /** Called before the body of a blob is sent; what it resolves to is how many bytes come before the connection is cut. */
  beforeBody: (path: string) => Promise<number | undefined> = async () => undefined
  /** Blobs come from there, after a redirect: from another one of these, where no credentials must arrive. */
  redirectTo: string | undefined
  failing: number | undefined
  tokenLifetimeS = 300
  readonly #tokens = new Set<string>()

  private constructor (readonly server: Server, readonly port: number, readonly options: UpstreamOptions) {}

  static async start (options: UpstreamOptions = {}): Promise<UpstreamRegistry> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = must(server.address())
    const registry = new UpstreamRegistry(server, typeof address === 'string' ? 0 : address.port, options)
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      registry.#serve(request, response).catch(() => { response.destroy() })
    })
    return registry
  }

  get address (): string { return `127.0.0.1:${this.port}` }

  /** How many requests begin like this. */
  count (start: string): number { return this.requests.filter(request => request.startsWith(start)).length }

  put (bytes: Buffer, tag?: string): string {
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
    this.blobs.set(digest, bytes)
    if (tag !== undefined) this.tags.set(tag, digest)
    return digest
  }

  /** No token that was given out is good any more. */
  forgetTokens (): void { this.#tokens.clear() }

  async stop (): Promise<void> {
    this.server.closeAllConnections()
    this.server.close()
    await once(this.server, 'close')
  }

  async #serve (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', `http://${this.address}`)
    const isHead = request.method === 'HEAD'
    if (url.pathname === '/token') return this.#token(request, url, response)
    if (url.pathname.startsWith('/storage/')) {
      this.requests.push(`${request.method} ${url.pathname}`)
      if (request.headers.authorization !== undefined) {
        response.writeHead(400).end('credentials do not belong here')
        return
      }
      return await this.#send(this.blobs.get(url.pathname.slice('/storage/'.length)), 'application/octet-stream', request, response)
    }
    const repository = /^\/v2\/(.+)\/(?:blobs|manifests)\//.exec(url.pathname)?.[1] ?? ''
    const isAllowed = this.#isAllowed(request, repository)
    this.requests.push(`${request.method} ${url.pathname}${isAllowed ? '' : ' 401'}`)
    if (this.failing !== undefined) {
      response.writeHead(this.failing).end()
      return
    }
    if (!isAllowed) {
      const bearer = `Bearer realm="http://${this.address}/token",service="upstream",scope="repository:${repository}:pull"`
      response.writeHead(401, { 'WWW-Authenticate': this.options.auth === 'basic' ? 'Basic realm="upstream"' : bearer }).end()
      return
    }
    if (url.pathname === '/v2/') {
      response.end('{}')
      return
    }
    const [, kind, name = ''] = /\/(blobs|manifests)\/([^/]+)$/.exec(url.pathname) ?? []
    if (kind === 'blobs') {
      const blob = this.blobs.get(name)
      if (blob !== undefined && this.redirectTo !== undefined && !isHead) {
        response.writeHead(307, { Location: `${this.redirectTo}/storage/${name}` }).end()
        return
      }
      return await this.#send([...this.tags.values()].includes(name) ? undefined : blob, 'application/octet-stream', request, response)
    }
    if (!(request.headers.accept ?? '').includes('application/vnd.oci.image.index.v1+json')) {
      response.writeHead(406).end()
      return
    }
    const digest = this.tags.get(`${repository}:${name}`) ?? ([...this.tags.values()].includes(name) ? name : '')
    if (digest !== '') response.setHeader('Docker-Content-Digest', digest)
    await this.#send(this.blobs.get(digest), 'application/vnd.oci.image.manifest.v1+json', request, response)
  }

  #isAllowed (request: IncomingMessage, repository: string): boolean {
    const sent = request.headers.authorization ?? ''
    if (this.options.auth === undefined) return true
    return this.options.auth === 'basic' ? sent === USER : this.#tokens.has(`${sent} ${repository}`)
  }

  #token (request: IncomingMessage, url: URL, response: ServerResponse): void {
    this.requests.push(`${request.method} /token`)
    const [, repository] = /^repository:(.+):pull$/.exec(url.searchParams.get('scope') ?? '') ?? []
    if (request.headers.authorization !== USER || url.searchParams.get('service') !== 'upstream' || repository === undefined) {
      response.writeHead(403).end()
      return
    }
    const token = `t${this.requests.length}`
    this.#tokens.add(`Bearer ${token} ${repository}`)
    response.setHeader('Content-Type', 'application/json').end(JSON.stringify({ token, expires_in: this.tokenLifetimeS }))
  }

  async #send (bytes: Buffer | undefined, type: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (bytes === undefined) {
      response.writeHead(404).end('{"errors":[]}')
      return
    }
    const [, start] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? []
    const body = bytes.subarray(Number(start ?? 0))
    const range = start === undefined ? {} : { 'Content-Range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` }
    response.writeHead(start === undefined ? 200 : 206, { 'Content-Type': type, 'Content-Length': body.length, ...range })
    if (request.method === 'HEAD') {
      response.end()
      return
    }
    response.flushHeaders()
    const cutAt = await this.beforeBody(request.url ?? '')
    if (cutAt === undefined) response.end(body)
    else response.write(body.subarray(0, cutAt), () => { response.destroy() })
  }
}
