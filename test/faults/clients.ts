import { type Digest, digestOf, parseDigest } from '../../runtime/core/digest.js'
import { messageOf } from '../../runtime/core/errors.js'
import { type Prng } from '../../runtime/core/prng.js'
import { OCI_MANIFEST } from '../../runtime/registry/manifest.js'
import { type Answer, call, receive } from '../support/http-call.js'
import { randomBlob } from '../support/random-blob.js'
import { imageManifest } from '../support/registry/manifest-texts.js'
import { type Ledger } from './ledger.js'

const REPOSITORY = 'team/faults'
const BLOB_BYTES_MAX = 1_500_000
const OPERATION_LIMIT_MS = 45_000

/** How long one request of a client took, and whether it went well; for the verdict on availability. */
export interface Operation {
  /** What is compared with its like, such as `GET manifest, agent`. */
  readonly kind: string
  readonly what: string
  readonly startedAt: number
  readonly tookMs: number
  readonly failure: string | undefined
}

/** What clients do with the cluster: push images, and read what was acknowledged. */
export class Clients {
  readonly operations: Operation[] = []
  readonly #stopped = new AbortController()
  #nextImage = 0
  #seed = 0

  constructor (readonly ledger: Ledger, readonly agentPorts: readonly number[], readonly proxyPort: number) {}

  /** What is pushed from now on. */
  get seed (): number { return this.#seed }
  begin (seed: number): void { this.#seed = seed }

  /** Gives up what is under way. */
  stop (): void { this.#stopped.abort() }

  /** Pushes a new image under a tag; what the answers promise goes into the ledger. Never rejects. */
  async push (tag: string, prng: Prng): Promise<void> {
    const name = `${this.seed} ${this.#nextImage++}`
    const config = randomBlob(200 + prng.below(500), `config ${name}`)
    const layer = randomBlob(1 + prng.below(BLOB_BYTES_MAX), `layer ${name}`)
    const manifest = imageManifest({
      config: { digest: config.digest, size: config.bytes.length }, layers: [{ digest: layer.digest, size: layer.bytes.length }]
    })
    try {
      for (const { digest, bytes } of [layer, config]) await this.#pushBlob(digest, bytes)
      const acknowledge = this.ledger.put(tag, digestOf(Buffer.from(manifest)), [config.digest, layer.digest])
      const path = `/v2/${REPOSITORY}/manifests/${tag}`
      await this.#expect('PUT manifest', 201, 'PUT', path, { headers: { 'Content-Type': OCI_MANIFEST }, body: manifest })
      acknowledge()
    } catch {
      // It is noted as an operation that failed; nothing was promised.
    }
  }

  /** Reads what a tag points at. Never rejects. */
  async readTag (tag: string, port: number, who: string): Promise<Digest | undefined> {
    const told = this.ledger.read(tag)
    let found: Digest | undefined
    await this.#measure(`GET manifest, ${kindOf(who)}`, `${tag} from ${who}`, async signal => {
      const { status, headers, body } = await call(port, 'GET', `/v2/${REPOSITORY}/manifests/${tag}`, { signal })
      if (status !== 200 && status !== 404) throw new Error(`answered ${status}: ${body.toString().slice(0, 300)}`)
      if (status === 404) return told(undefined, who)
      found = parseDigest(String(headers['docker-content-digest']))
      if (digestOf(body) !== found) this.ledger.problems.push(`WRONG: ${who} sent other bytes than ${found}`)
      told(found, who)
    }).catch(() => {})
    return found
  }

  /** Reads a blob that was acknowledged; false if that failed. Never rejects. */
  async readBlob (digest: Digest, port: number, who: string): Promise<boolean> {
    return await this.#measure(`GET blob, ${kindOf(who)}`, `${digest} from ${who}`, async signal => {
      const answer = await receive(port, `/v2/${REPOSITORY}/blobs/${digest}`, { signal })
      if (answer.status === 404) this.ledger.problems.push(`NOT FOUND: ${who} says that there is no ${digest}`)
      if (answer.status !== 200) throw new Error(`answered ${answer.status}`)
      if (answer.digest !== digest) this.ledger.problems.push(`WRONG: ${who} sent ${answer.digest} for ${digest}`)
      return true
    }).catch(() => false)
  }

  async #pushBlob (digest: Digest, bytes: Uint8Array): Promise<void> {
    const { headers } = await this.#expect('POST upload', 202, 'POST', `/v2/${REPOSITORY}/blobs/uploads/`, {})
    const at = new URL(String(headers.location), 'http://proxy')
    at.searchParams.set('digest', digest)
    await this.#expect('PUT blob', 201, 'PUT', at.pathname + at.search, { headers: { 'Content-Type': 'application/octet-stream' }, body: bytes })
  }

  async #expect (kind: string, status: number, method: string, path: string, options: Parameters<typeof call>[3]): Promise<Answer> {
    return await this.#measure(kind, path, async signal => {
      const answer = await call(this.proxyPort, method, path, { ...options, signal })
      if (answer.status !== status) throw new Error(`answered ${answer.status}: ${answer.body.toString().slice(0, 300)}`)
      return answer
    })
  }

  async #measure<T> (kind: string, what: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const startedAt = performance.now()
    let failure: string | undefined
    try {
      return await work(AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(OPERATION_LIMIT_MS)]))
    } catch (error) {
      failure = messageOf(error)
      throw error
    } finally {
      this.operations.push({ kind, what, startedAt, tookMs: performance.now() - startedAt, failure })
    }
  }
}

/** `agent-1` and `agent-2` are asked for the same thing in the same way. */
function kindOf (who: string): string { return who.startsWith('agent') ? 'agent' : who }
