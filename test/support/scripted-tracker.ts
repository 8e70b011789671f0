import http from 'node:http'
import { type PeerInfo, peerInfoToJson } from '../../runtime/core/peer.js'

/** A tracker that knows one blob and always hands out the same peers; it writes down what is announced. */
export class ScriptedTracker {
  readonly announces: Array<{ readonly path: string, readonly body: string }> = []
  peers: PeerInfo[] = []
  #waiting: Array<{ readonly pattern: RegExp, readonly resolve: () => void }> = []
  readonly #server: http.Server

  private constructor (readonly metaInfoText: string | undefined) {
    this.#server = http.createServer((request, response) => {
      const parts: Buffer[] = []
      request.on('data', (part: Buffer) => parts.push(part))
      request.on('end', () => this.#answer(request.method ?? '', request.url ?? '', Buffer.concat(parts).toString(), response))
    })
  }

  /** `metaInfoText` undefined: every blob is unknown. */
  static async start (metaInfoText: string | undefined): Promise<ScriptedTracker> {
    const tracker = new ScriptedTracker(metaInfoText)
    await new Promise<void>(resolve => tracker.#server.listen(0, '127.0.0.1', resolve))
    return tracker
  }

  get address (): string {
    const address = this.#server.address()
    return `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  }

  /** Resolves once an announce whose body matches has come. */
  async announced (pattern: RegExp): Promise<void> {
    if (this.announces.some(({ body }) => pattern.test(body))) return
    await new Promise<void>(resolve => this.#waiting.push({ pattern, resolve }))
  }

  async close (): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
  }

  #answer (method: string, path: string, body: string, response: http.ServerResponse): void {
    if (path === '/health' || path === '/readiness') {
      response.end('OK\n')
    } else if (method === 'POST' && path.startsWith('/announce/')) {
      this.announces.push({ path, body })
      for (const { pattern, resolve } of this.#waiting) if (pattern.test(body)) resolve()
      const isComplete = body.includes('"complete":true')
      response.end(`${JSON.stringify({ peers: isComplete ? null : this.peers.map(peerInfoToJson), interval: 200_000_000 })}\n`)
    } else if (method === 'GET' && path.endsWith('/metainfo') && this.metaInfoText !== undefined) {
      response.end(this.metaInfoText)
    } else {
      response.statusCode = 404
      response.end('origin: ')
    }
  }
}
