import { type CallOptions } from '../../../net/client/clients.js'
import { AppError } from '../../core/errors.js'
import { type BackendClient, type DownloadOptions, type ListPage, type ObjectStat, type ObjectStream, readOnly, unlisted } from '../backend.js'
import { type WebAnswer } from '../web.js'
import { MANIFEST_TYPES, type Registry } from './registry.js'

/** Blobs of another registry, manifests among them, by the hex of their digests; the namespace is the repository (5.9). */
export class RegistryBlobClient implements BackendClient {
  readonly kind = 'registry_blob'
  readonly canUpload = false
  readonly canList = false
  readonly canResume = true

  constructor (readonly registry: Registry) {}

  async stat (namespace: string, name: string, { signal }: CallOptions = {}): Promise<ObjectStat | undefined> {
    const answer = await this.#find('HEAD', namespace, name, {}, signal)
    if (answer === undefined) return undefined
    answer.discard()
    if (answer.status !== 200) throw answer.unexpected()
    return { sizeBytes: answer.lengthBytes }
  }

  async download (namespace: string, name: string, { offset = 0, signal }: DownloadOptions = {}): Promise<ObjectStream | undefined> {
    const answer = await this.#find('GET', namespace, name, offset === 0 ? {} : { Range: `bytes=${offset}-` }, signal)
    if (answer === undefined) return undefined
    if (answer.status !== (offset === 0 ? 200 : 206)) throw answer.unexpected()
    return { sizeBytes: answer.lengthBytes, chunks: () => answer.chunks() }
  }

  async upload (): Promise<void> { throw readOnly(this.kind) }

  async list (): Promise<ListPage> { throw unlisted(this.kind) }

  async checkReadiness ({ signal }: CallOptions = {}): Promise<void> { await this.registry.check(signal) }

  async close (): Promise<void> { await this.registry.close() }

  /** The blob, or the manifest with this digest; undefined if there is neither. */
  async #find (
    method: 'GET' | 'HEAD', namespace: string, name: string, headers: Readonly<Record<string, string>>, signal: AbortSignal | undefined
  ): Promise<WebAnswer | undefined> {
    if (!/^[0-9a-fA-F]{64}$/.test(name)) throw new AppError('NAME_INVALID', `${JSON.stringify(name.slice(0, 256))} is no hex of a digest`)
    // The build-index asks with the whole tag as the namespace (cluster specification 5.1).
    const repository = namespace.replace(/:[^:/]*$/, '')
    for (const what of [`blobs/sha256:${name}`, `manifests/sha256:${name}`]) {
      const answer = await this.registry.ask({ method, repository, what, headers: { Accept: `${MANIFEST_TYPES}, */*`, ...headers }, signal })
      if (answer.status !== 404) return answer
      answer.discard()
    }
    return undefined
  }
}
