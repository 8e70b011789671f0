import { type CallOptions } from '../../../net/client/clients.js'
import { digestOf, isDigest } from '../../core/digest.js'
import { AppError } from '../../core/errors.js'
import { type BackendClient, type DownloadOptions, type ListPage, type ObjectStat, type ObjectStream, readOnly, unlisted } from '../backend.js'
import { MANIFEST_TYPES, type Registry } from './registry.js'

/** Registries take no larger manifests. */
const MANIFEST_BYTES_MAX = 16 * 1024 * 1024
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/

/** Tags of another registry: `repository:tag` has the digest of its manifest as content (cluster specification 5.9). */
export class RegistryTagClient implements BackendClient {
  readonly kind = 'registry_tag'
  readonly canUpload = false
  readonly canList = false
  readonly canResume = false

  constructor (readonly registry: Registry) {}

  async stat (_: string, name: string, { signal }: CallOptions = {}): Promise<ObjectStat | undefined> {
    const digest = await this.#digestOf(name, signal)
    return digest === undefined ? undefined : { sizeBytes: digest.length }
  }

  async download (_: string, name: string, { signal }: DownloadOptions = {}): Promise<ObjectStream | undefined> {
    const digest = await this.#digestOf(name, signal)
    return digest === undefined ? undefined : { sizeBytes: digest.length, chunks: () => once(Buffer.from(digest)) }
  }

  async upload (): Promise<void> { throw readOnly(this.kind) }

  async list (): Promise<ListPage> { throw unlisted(this.kind) }

  async checkReadiness ({ signal }: CallOptions = {}): Promise<void> { await this.registry.check(signal) }

  async close (): Promise<void> { await this.registry.close() }

  /** From the answer to HEAD, which costs no pull where those are counted; a registry that does not tell is asked for the manifest. */
  async #digestOf (name: string, signal: AbortSignal | undefined): Promise<string | undefined> {
    const [repository = '', tag = '', ...more] = name.split(':')
    if (more.length > 0 || !TAG.test(tag)) throw new AppError('NAME_INVALID', `name must be in format 'repo:tag' and is ${JSON.stringify(name.slice(0, 256))}`)
    for (const method of ['HEAD', 'GET'] as const) {
      const answer = await this.registry.ask({ method, repository, what: `manifests/${tag}`, headers: { Accept: MANIFEST_TYPES }, signal })
      if (answer.status === 404) {
        answer.discard()
        return undefined
      }
      if (answer.status === 405 && method === 'HEAD') {
        answer.discard()
        continue
      }
      if (answer.status !== 200) throw answer.unexpected()
      if (method === 'GET') return digestOf(await answer.bytes(MANIFEST_BYTES_MAX))
      answer.discard()
      const told = answer.header('docker-content-digest') ?? ''
      if (isDigest(told)) return told
    }
    return undefined
  }
}

async function * once (bytes: Uint8Array): AsyncGenerator<Uint8Array> { yield bytes }
