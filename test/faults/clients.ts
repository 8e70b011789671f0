import { type Digest, digestOf, parseDigest } from '../../runtime/core/digest.js'
import { messageOf } from '../../runtime/core/errors.js'
import { type Prng } from '../../runtime/core/prng.js'
import { OCI_MANIFEST } from '../../runtime/registry/manifest.js'
import { call, receive } from '../support/http-call.js'
import { randomBlob } from '../support/random-blob.js'
import { imageManifest } from '../support/registry/manifest-texts.js'
import { type Ledger } from './ledger.js'

const REPOSITORY = 'team/faults'
const BLOB_BYTES_MAX = 1_500_000
const OPERATION_LIMIT_MS = 45_000

/** How long an operation took, and whether it went well; for the verdict on availability. */
export interface Operation { readonly what: string, readonly startedAt: number, readonly tookMs: number, readonly failure: string | undefined }

/** What clients do with the cluster: push images, and read what was acknowledged. */
export class Clients {
  readonly operations: Operation[] = []
  #nextImage = 0

  constructor (readonly ledger: Ledger, readonly seed: number, readonly proxyPort: number, readonly agentPorts: readonly number[]) {}

  /** Pushes a new image under a tag; what the answers promise goes into the ledger. Never rejects. */
  async push (tag: string, prng: Prng): Promise<void> {
    const name = `${this.seed} ${this.#nextImage++}`
    const config = randomBlob(200 + prng.below(500), `config ${name}`)
    const layer = randomBlob(1 + prng.below(BLOB_BYTES_MAX), `layer ${name}`)
    const manifest = imageManifest({
      config: { digest: config.digest, size: config.bytes.length }, layers: [{ digest: layer.digest, size: layer.bytes.length }]
    })
    await this.#measure(`push of ${tag}`, async signal => {
      for (const { digest, bytes } of [layer, config]) await this.#pushBlob(digest, bytes, signal)
      const acknowledge = this.ledger.put(tag, digestOf(Buffer.from(manifest)), [config.digest, layer.digest])
      await this.#expect(201, 'PUT', `/v2/${REPOSITORY}/manifests/${tag}`, { headers: { 'Content-Type': OCI_MANIFEST }, body: manifest, signal })
      acknowledge()
    })
  }

  /** Reads what a tag points at. Never rejects. */
  async readTag (tag: string, port: number, who: string): Promise<Digest | undefined> {
    const told = this.ledger.read(tag)
    let found: Digest | undefined
    await this.#measure(`read of ${tag} from ${who}`, async signal => {
      const { status, headers, body } = await call(port, 'GET', `/v2/${REPOSITORY}/manifests/${tag}`, { signal })
      if (status !== 200 && status !== 404) throw new Error(`answered ${status}: ${body.toString().slice(0, 300)}`)
      if (status === 404) return told(undefined, who)
      found = parseDigest(String(headers['docker-content-digest']))
      if (digestOf(body) !== found) this.ledger.problems.push(`WRONG: ${who} sent other bytes than ${found}`)
      told(found, who)
    })
    return found
  }

  /** Reads a blob that was acknowledged. Never rejects. */
  async readBlob (digest: Digest, port: number, who: string): Promise<boolean> {
    return await this.#measure(`read of ${digest} from ${who}`, async signal => {
      const answer = await receive(port, `/v2/${REPOSITORY}/blobs/${digest}`, { signal })
      if (answer.status !== 200) throw new Error(`answered ${answer.status}`)
      if (answer.digest !== digest) this.ledger.problems.push(`WRONG: ${who} sent ${answer.digest} for ${digest}`)
    })
  }

  async #pushBlob (digest: Digest, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    const { headers } = await this.#expect(202, 'POST', `/v2/${REPOSITORY}/blobs/uploads/`, { signal })
    const at = new URL(String(headers.location), 'http://proxy')
    at.searchParams.set('digest', digest)
    await this.#expect(201, 'PUT', at.pathname + at.search, { headers: { 'Content-Type': 'application/octet-stream' }, body: bytes, signal })
  }

  async #expect (status: number, method: string, path: string, options: Parameters<typeof call>[3]): Promise<Awaited<ReturnType<typeof call>>> {
    const answer = await call(this.proxyPort, method, path, options)
    if (answer.status !== status) throw new Error(`${method} ${path} answered ${answer.status}: ${answer.body.toString().slice(0, 300)}`)
    return answer
  }

  async #measure (what: string, work: (signal: AbortSignal) => Promise<void>): Promise<boolean> {
    const startedAt = performance.now()
    let failure: string | undefined
    await work(AbortSignal.timeout(OPERATION_LIMIT_MS)).catch((error: unknown) => { failure = messageOf(error) })
    this.operations.push({ what, startedAt, tookMs: performance.now() - startedAt, failure })
    return failure === undefined
  }
}
