import { systemClock } from '../../runtime/core/clock.js'
import { type Digest, parseDigest } from '../../runtime/core/digest.js'
import { type AppError } from '../../runtime/core/errors.js'
import { seededPrng } from '../../runtime/core/prng.js'
import { type Logger } from '../../runtime/observe/log.js'
import { agentApi } from '../api/agent.js'
import { pathOf } from '../api/route.js'
import { must200, refusal, statedSize } from './answers.js'
import { type BlobSource, downloadBlob } from './blob-download.js'
import { type AgentClient, type BlobStream, type CallOptions, type PreloadOptions, type RangeOptions } from './clients.js'
import { type Http, type HttpStream } from './http.js'
import { type Sleep, systemSleep } from './upstream.js'

const LOOKUP_MS = 60_000
const READINESS_MS = 10_000
/** The agent answers when the container runtime has pulled the whole image. */
const PRELOAD_IDLE_MS = 30 * 60_000

export interface AgentClientOptions {
  readonly http: Http
  readonly log: Logger
  readonly sleep?: Sleep
}

/** The agent of a host, over its API (http-api specification 3). The connections are those of `http`. */
export function createAgentClient (address: string, options: AgentClientOptions): AgentClient { return new HttpAgentClient(address, options) }

class HttpAgentClient implements AgentClient, BlobSource {
  constructor (readonly address: string, readonly options: AgentClientOptions) {}

  async getTag (tag: string, { signal }: CallOptions = {}): Promise<Digest | undefined> {
    const path = pathOf(agentApi.getTag, { tag })
    const answer = await this.options.http.call({ method: 'GET', address: this.address, path, timeoutMs: LOOKUP_MS, signal })
    return answer.status === 404 ? undefined : parseDigest(must200(`tag ${tag} at ${this.address}`, answer).text)
  }

  async download (namespace: string, digest: Digest, { offset = 0, lengthBytes, signal }: RangeOptions = {}): Promise<BlobStream> {
    const { log, sleep = systemSleep } = this.options
    return await downloadBlob({
      namespace, digest, owners: [this], offset, lengthBytes, signal, sleep, patience: sleep, clock: systemClock, prng: seededPrng(1), log
    })
  }

  async deleteBlob (digest: Digest, { signal }: CallOptions = {}): Promise<void> {
    const path = pathOf(agentApi.deleteBlob, { digest })
    const answer = await this.options.http.call({ method: 'DELETE', address: this.address, path, timeoutMs: LOOKUP_MS, signal })
    must200(`deletion of ${digest} at ${this.address}`, answer)
  }

  async preload (tag: string, { signal, runtime, containerdNamespace }: PreloadOptions = {}): Promise<void> {
    const asked = { runtime, namespace: containerdNamespace }
    const given = Object.entries(asked).flatMap(([name, value]) => value === undefined ? [] : [[name, value] as const])
    const path = `${pathOf(agentApi.preload, { tag })}${given.length === 0 ? '' : `?${new URLSearchParams(Object.fromEntries(given)).toString()}`}`
    const answer = await this.options.http.call({ method: 'GET', address: this.address, path, idleMs: PRELOAD_IDLE_MS, signal })
    must200(`preload of ${tag} at ${this.address}`, answer)
  }

  async checkReadiness ({ signal }: CallOptions = {}): Promise<void> {
    const answer = await this.options.http.call({ method: 'GET', address: this.address, path: agentApi.readiness.path, timeoutMs: READINESS_MS, signal })
    must200(`readiness of ${this.address}`, answer)
  }

  async openBlob (namespace: string, digest: Digest, range: string | undefined, { signal }: CallOptions): Promise<HttpStream> {
    const headers: Record<string, string> = range === undefined ? {} : { Range: range }
    return await this.options.http.open({ method: 'GET', address: this.address, path: pathOf(agentApi.download, { namespace, digest }), headers, signal })
  }

  async refusalOf (digest: Digest, stream: HttpStream): Promise<AppError> {
    return refusal(`download of ${digest} at ${this.address}`, { status: stream.status, text: await stream.text().catch(() => '') })
  }

  /** Kraken's agents send large blobs without a length, and cannot be asked for it. */
  async statLocal (namespace: string, digest: Digest, { signal }: CallOptions = {}): Promise<{ sizeBytes: number } | undefined> {
    const path = pathOf(agentApi.stat, { namespace, digest })
    const answer = await this.options.http.call({ method: 'HEAD', address: this.address, path, timeoutMs: LOOKUP_MS, signal })
    return answer.status === 200 ? { sizeBytes: statedSize(answer) } : undefined
  }
}
