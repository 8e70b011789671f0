import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { must } from '../must.js'

/**
 * The only build-index of a cluster, on loopback and in memory: just enough of its HTTP API (http-api specification 7.1) to
 * push and pull by tag, written without our server and our route tables.
 */
export class SmallBuildIndex {
  readonly tags = new Map<string, string>()
  /** Answers 503 to everything, if set. */
  isDown = false

  private constructor (readonly server: Server, readonly port: number) {}

  static async start (): Promise<SmallBuildIndex> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = must(server.address())
    const index = new SmallBuildIndex(server, typeof address === 'string' ? 0 : address.port)
    server.on('request', (request: IncomingMessage, response: ServerResponse) => { index.#serve(request, response) })
    return index
  }

  get address (): string { return `127.0.0.1:${this.port}` }

  async stop (): Promise<void> {
    this.server.closeAllConnections()
    this.server.close()
    await once(this.server, 'close')
  }

  #serve (request: IncomingMessage, response: ServerResponse): void {
    const { status = 200, body = '' } = this.isDown ? { status: 503 } : this.#answer(request)
    response.writeHead(status).end(body)
  }

  #answer ({ method, url = '' }: IncomingMessage): { status?: number, body?: string } {
    const [path = ''] = url.split('?')
    const [, root, name = '', , digest] = path.split('/').map(decodeURIComponent)
    switch (root) {
      case 'health':
      case 'readiness': return { body: 'OK\n' }
      case 'repositories': return list(path, this.#tagsOf(decodeURIComponent(name)))
      case 'list': return list(path, [...this.tags.keys()])
      case 'tags': break
      default: return { status: 404 }
    }
    if (method === 'PUT') this.tags.set(name, must(digest))
    const found = this.tags.get(name)
    return method === 'PUT' ? {} : found === undefined ? { status: 404 } : { body: found }
  }

  #tagsOf (repository: string): string[] {
    return [...this.tags.keys()].filter(tag => tag.startsWith(`${repository}:`)).map(tag => tag.slice(repository.length + 1))
  }
}

function list (path: string, result: string[]): { body: string } {
  return { body: JSON.stringify({ Links: { next: '', self: path }, size: result.length, result: result.length === 0 ? null : result }) }
}
