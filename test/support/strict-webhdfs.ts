import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { posix } from 'node:path'
import { must } from './must.js'

const ROOT = '/webhdfs/v1'

/**
 * A small WebHDFS on loopback and in memory: a name node that redirects for bytes and a data node on another port. It has
 * folders, refuses a rename onto what is there and wants every operation with its own method.
 */
export class StrictWebHdfs {
  /** Path -> content, or undefined for a folder. */
  readonly entries = new Map<string, Buffer | undefined>([['/', undefined]])
  readonly operations: string[] = []
  isOnStandby = false

  private constructor (readonly nameNode: Server, readonly dataNode: Server) {}

  static async start (): Promise<StrictWebHdfs> {
    const servers = [createServer(), createServer()] as const
    for (const server of servers) {
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
    }
    const hdfs = new StrictWebHdfs(...servers)
    for (const [server, isDataNode] of [[servers[0], false], [servers[1], true]] as const) {
      server.on('request', (request: IncomingMessage, response: ServerResponse) => {
        hdfs.#serve(request, response, isDataNode).catch(() => { response.destroy() })
      })
    }
    return hdfs
  }

  get address (): string { return addressOf(this.nameNode) }

  async stop (): Promise<void> {
    for (const server of [this.nameNode, this.dataNode]) {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    }
  }

  async #serve (request: IncomingMessage, response: ServerResponse, isDataNode: boolean): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://node')
    const operation = `${request.method} ${url.searchParams.get('op')}`
    const path = decodeURIComponent(url.pathname.slice(ROOT.length))
    this.operations.push(`${operation} ${path}`)
    if (!url.pathname.startsWith(`${ROOT}/`) || url.searchParams.get('user.name') !== 'kraken') return refuse(response, 400, 'IllegalArgumentException')
    if (this.isOnStandby) return refuse(response, 403, 'StandbyException')
    if (isDataNode) return operation === 'PUT CREATE' ? await this.#create(request, path, response) : this.#open(path, url, response)
    switch (operation) {
      case 'PUT CREATE': case 'GET OPEN':
        if (operation === 'GET OPEN' && this.entries.get(path) === undefined) return refuse(response, 404, 'FileNotFoundException')
        response.writeHead(307, { Location: `http://${addressOf(this.dataNode)}${request.url}`, 'Content-Length': 0 }).end()
        return
      case 'GET GETFILESTATUS':
        if (!this.entries.has(path)) return refuse(response, 404, 'FileNotFoundException')
        return answer(response, { FileStatus: this.#statusOf(path, '') })
      case 'GET LISTSTATUS': {
        if (!this.entries.has(path)) return refuse(response, 404, 'FileNotFoundException')
        const children = [...this.entries.keys()].filter(entry => entry !== '/' && posix.dirname(entry) === path).sort()
        return answer(response, { FileStatuses: { FileStatus: children.map(child => this.#statusOf(child, posix.basename(child))) } })
      }
      case 'PUT MKDIRS':
        return answer(response, { boolean: this.#makeFolders(path) })
      case 'PUT RENAME': {
        const target = url.searchParams.get('destination') ?? ''
        const content = this.entries.get(path)
        const isPossible = content !== undefined && !this.entries.has(target) && this.entries.has(posix.dirname(target))
        if (isPossible) {
          this.entries.delete(path)
          this.entries.set(target, content)
        }
        return answer(response, { boolean: isPossible })
      }
      case 'DELETE DELETE': return answer(response, { boolean: this.entries.delete(path) })
      default: refuse(response, 400, 'UnsupportedOperationException')
    }
  }

  async #create (request: IncomingMessage, path: string, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part)
    this.#makeFolders(posix.dirname(path))
    this.entries.set(path, Buffer.concat(parts))
    response.writeHead(201, { 'Content-Length': 0 }).end()
  }

  #open (path: string, url: URL, response: ServerResponse): void {
    const content = must(this.entries.get(path), path)
    const body = content.subarray(Number(url.searchParams.get('offset') ?? 0))
    response.writeHead(200, { 'Content-Length': body.length, 'Content-Type': 'application/octet-stream' }).end(body)
  }

  #makeFolders (path: string): boolean {
    if (path !== '/' && !this.#makeFolders(posix.dirname(path))) return false
    if (this.entries.get(path) !== undefined) return false
    this.entries.set(path, undefined)
    return true
  }

  #statusOf (path: string, pathSuffix: string): object {
    const content = this.entries.get(path)
    return { pathSuffix, type: content === undefined ? 'DIRECTORY' : 'FILE', length: content?.length ?? 0, permission: '755' }
  }
}

function addressOf (server: Server): string {
  const address = must(server.address())
  return `127.0.0.1:${typeof address === 'string' ? 0 : address.port}`
}

function answer (response: ServerResponse, body: object): void { response.setHeader('Content-Type', 'application/json').end(JSON.stringify(body)) }

function refuse (response: ServerResponse, status: number, exception: string): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify({ RemoteException: { exception, message: exception } }))
}
