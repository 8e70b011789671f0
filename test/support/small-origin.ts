import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import { type UpstreamConfig } from '../../runtime/config/types.js'
import { type Digest, digestOf, hexOf, isDigest } from '../../runtime/core/digest.js'
import { MetaInfo } from '../../runtime/core/metainfo.js'
import { type PeerContext, peerContextToJson } from '../../runtime/core/peer.js'
import { makePeerId } from '../../runtime/core/peer-id.js'
import { must } from './must.js'

/**
 * The only origin of a cluster, on loopback and in memory: just enough of its HTTP API (http-api specification 5.1) for what
 * reads from origins, written without our server and our route tables.
 */
export class SmallOrigin {
  readonly blobs = new Map<Digest, Buffer>()
  readonly metaInfos = new Map<Digest, MetaInfo>()
  /** Blobs whose metainfo is on its way: 202. */
  readonly fetching = new Set<Digest>()
  /** Requests as `METHOD path`, undecoded. */
  readonly requests: string[] = []
  /** The marks of tags that it keeps; undefined if it is one of Kraken's, which keep none. */
  marks: Map<string, string> | undefined
  /** Answers `status` to everything, if set. */
  failing: number | undefined

  private constructor (readonly server: Server, readonly port: number) {}

  static async start (): Promise<SmallOrigin> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = must(server.address())
    const origin = new SmallOrigin(server, typeof address === 'string' ? 0 : address.port)
    server.on('request', (request: IncomingMessage, response: ServerResponse) => { origin.#serve(request, response) })
    return origin
  }

  get address (): string { return `127.0.0.1:${this.port}` }

  /** The config of a component that has this origin behind it. */
  get upstream (): UpstreamConfig {
    return {
      hosts: { static: [this.address], dns: undefined, ttlMs: 5000 },
      health: { failsMax: 3, passesMin: 2, timeoutMs: 3000, intervalMs: 10_000 }
    }
  }

  get context (): PeerContext {
    return { ip: '127.0.0.1', port: 15101, id: makePeerId('addr_hash', '127.0.0.1', 15101), zone: '', cluster: '', isOrigin: true }
  }

  put (content: string | Uint8Array): Digest {
    const bytes = Buffer.from(content)
    const digest = digestOf(bytes)
    this.blobs.set(digest, bytes)
    return digest
  }

  /** Gives a blob metainfo of one piece. */
  describe (digest: Digest, pieceBytes: number, sum: number, pieceDigest?: Uint8Array): MetaInfo {
    const metaInfo = new MetaInfo(hexOf(digest), must(this.blobs.get(digest)).length, pieceBytes, Uint32Array.of(sum), pieceDigest)
    this.metaInfos.set(digest, metaInfo)
    return metaInfo
  }

  async stop (): Promise<void> {
    this.server.closeAllConnections()
    this.server.close()
    await once(this.server, 'close')
  }

  #serve (request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? ''
    this.requests.push(`${request.method} ${path}`)
    if (!path.startsWith('/internal/tag-marks/')) request.resume()
    const digest = decodeURIComponent(/\/blobs\/([^/?]+)/.exec(path)?.[1] ?? '')
    if (this.failing !== undefined) response.writeHead(this.failing).end()
    else if (path === '/health' || path === '/readiness') response.end('OK\n')
    else if (path.startsWith('/internal/tag-marks/') && this.marks !== undefined) void this.#mark(this.marks, path, request, response)
    else if (path === '/internal/peercontext') response.end(`${JSON.stringify(peerContextToJson(this.context))}\n`)
    else if (path.endsWith('/locations')) response.setHeader('Origin-Locations', this.address).end()
    else if (path.endsWith('/metainfo')) this.#metaInfo(digest, request, response)
    else this.#blob(digest, request, response)
  }

  async #mark (marks: Map<string, string>, path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const tag = decodeURIComponent(path.split('/')[3] ?? '')
    const body = Buffer.concat(await request.toArray()).toString()
    if (request.method === 'PUT') marks.set(tag, body)
    if (request.method === 'DELETE') marks.delete(tag)
    const found = marks.get(tag)
    if (request.method === 'GET' && found === undefined) response.writeHead(204).end()
    else response.end(request.method === 'GET' ? found : undefined)
  }

  #metaInfo (digest: string, request: IncomingMessage, response: ServerResponse): void {
    const metaInfo = isDigest(digest) ? this.metaInfos.get(digest) : undefined
    if (isDigest(digest) && this.fetching.has(digest)) response.writeHead(202).end()
    else if (metaInfo === undefined) response.writeHead(404).end()
    else response.end(request.headers['shoal-piece-digests'] === undefined ? metaInfo.serialize() : metaInfo.serializeWithDigests())
  }

  #blob (digest: string, request: IncomingMessage, response: ServerResponse): void {
    const blob = isDigest(digest) ? this.blobs.get(digest) : undefined
    if (blob === undefined) response.writeHead(404).end()
    else response.writeHead(200, { 'Content-Length': blob.length }).end(request.method === 'HEAD' ? undefined : blob)
  }
}
