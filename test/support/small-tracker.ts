import http from 'node:http'
import { INLINE_HEADER, joinInlined } from '../../net/api/inline.js'
import { type Digest } from '../../runtime/core/digest.js'
import { type MetaInfo } from '../../runtime/core/metainfo.js'
import { type PeerInfo, peerInfoFromJson, peerInfoToJson } from '../../runtime/core/peer.js'
import { type RingConfig, type UpstreamConfig } from '../../runtime/config/types.js'

/** What the tracker knows of one blob. */
export interface TrackedBlob {
  readonly metaInfo: MetaInfo
  /** Said instead of its metainfo. */
  reply: { readonly status: number, readonly text: string } | undefined
  /** Sent along to those who welcome it, whatever it is. */
  inlined: Uint8Array | undefined
  /** Handed out first, whoever asks. */
  readonly peers: PeerInfo[]
  /** Those that have announced themselves, by id; handed out to the others. */
  readonly announced: Map<string, PeerInfo>
  /** Called when somebody wants the metainfo. */
  onAsked: () => void
}

const INTERVAL_NS = 100_000_000

/** A tracker in memory for the blobs that a test tells it of. */
export class SmallTracker {
  readonly #blobs = new Map<string, TrackedBlob>()
  readonly #server = http.createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => { response.end(this.#answer(request, Buffer.concat(parts).toString(), response)) })
  })

  static async start (): Promise<SmallTracker> {
    const tracker = new SmallTracker()
    await new Promise<void>(resolve => tracker.#server.listen(0, '127.0.0.1', resolve))
    return tracker
  }

  /** How nodes are told of it. */
  get upstream (): UpstreamConfig & { readonly ring: RingConfig } {
    const address = this.#server.address()
    return {
      hosts: { static: [`127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`], dns: undefined, ttlMs: 5_000 },
      health: { failsMax: 3, passesMin: 2, timeoutMs: 3_000, intervalMs: 10_000 },
      ring: { replicasMax: 3, refreshIntervalMs: 10_000 }
    }
  }

  /** What it knows of this blob, from now on. */
  know (metaInfo: MetaInfo): TrackedBlob {
    const known = this.#blobs.get(metaInfo.digest) ?? {
      metaInfo, reply: undefined, inlined: undefined, peers: [], announced: new Map(), onAsked: () => {}
    }
    this.#blobs.set(metaInfo.digest, known)
    return known
  }

  forget (digest: Digest): void { this.#blobs.delete(digest) }

  async close (): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
  }

  #answer (request: http.IncomingMessage, body: string, response: http.ServerResponse): string | Uint8Array {
    const { method, url = '', headers } = request
    if (method === 'GET' && url === '/health') return 'OK\n'
    const asked = this.#blobs.get(decodeURIComponent(/\/blobs\/([^/]+)\/metainfo$/.exec(url)?.[1] ?? ''))
    if (method === 'GET' && asked !== undefined) {
      response.statusCode = asked.reply?.status ?? 200
      asked.onAsked()
      if (asked.inlined !== undefined && headers[INLINE_HEADER] !== undefined) {
        const answer = joinInlined(asked.metaInfo.serializeWithDigests(), asked.inlined)
        response.setHeaders(new Map(Object.entries(answer.headers)))
        return answer.body
      }
      return asked.reply?.text ?? asked.metaInfo.serializeWithDigests()
    }
    const infoHash = /^\/announce\/([0-9a-f]{40})$/.exec(url)?.[1]
    const announced = [...this.#blobs.values()].find(({ metaInfo }) => metaInfo.infoHash === infoHash)
    if (method === 'POST' && announced !== undefined) return this.#announce(announced, body)
    response.statusCode = 404
    return 'origin: '
  }

  #announce (blob: TrackedBlob, body: string): string {
    const { peer }: { peer: unknown } = JSON.parse(body)
    const self = peerInfoFromJson(peer)
    const others = [...blob.announced.values()].filter(({ id }) => id !== self.id)
    blob.announced.set(self.id, self)
    return JSON.stringify({ peers: self.isComplete ? null : [...blob.peers, ...others].map(peerInfoToJson), interval: INTERVAL_NS })
  }
}
