import { type HttpBackendConfig } from '../../config/types.js'
import { type CallOptions } from '../../../net/client/clients.js'
import { type BackendClient, type DownloadOptions, type ListPage, type ObjectStat, type ObjectStream, readOnly, unlisted } from '../backend.js'
import { escapePath, Web } from '../web.js'

/** A web server that has objects below a URL with `%s` for the name; read-only (cluster specification 5.8). */
export class HttpClient implements BackendClient {
  readonly kind = 'http'
  readonly canUpload = false
  readonly canList = false
  /** It is tried: a server that ignores the range is found out. */
  readonly canResume = true
  readonly #web: Web

  constructor (readonly config: HttpBackendConfig) { this.#web = new Web({ idleMs: config.idleMs }) }

  /** Asks with HEAD and, where a server does not know that, with a GET of which only the head is read. */
  async stat (_: string, name: string, { signal }: CallOptions = {}): Promise<ObjectStat | undefined> {
    for (const method of ['HEAD', 'GET'] as const) {
      const answer = await this.#web.follow({ method, url: this.#urlOf(name), signal })
      if (method === 'HEAD' && [400, 403, 405, 501].includes(answer.status)) {
        answer.discard()
        continue
      }
      if (answer.status === 404 || answer.status === 410) {
        answer.discard()
        return undefined
      }
      if (answer.status !== 200) throw answer.unexpected()
      answer.discard()
      return { sizeBytes: answer.lengthBytes }
    }
    return undefined
  }

  async download (_: string, name: string, { offset = 0, signal }: DownloadOptions = {}): Promise<ObjectStream | undefined> {
    const answer = await this.#web.follow({ method: 'GET', url: this.#urlOf(name), headers: offset === 0 ? {} : { Range: `bytes=${offset}-` }, signal })
    if (answer.status === 404 || answer.status === 410) {
      answer.discard()
      return undefined
    }
    if (answer.status !== (offset === 0 ? 200 : 206)) throw answer.unexpected()
    return { sizeBytes: answer.lengthBytes, chunks: () => answer.chunks() }
  }

  async upload (): Promise<void> { throw readOnly(this.kind) }

  async list (): Promise<ListPage> { throw unlisted(this.kind) }

  /** Any answer will do: what such a server says to a name that it does not have is its own business. */
  async checkReadiness ({ signal }: CallOptions = {}): Promise<void> {
    (await this.#web.open({ method: 'HEAD', url: this.#urlOf('0'.repeat(64)), signal })).discard()
  }

  async close (): Promise<void> { await this.#web.close() }

  #urlOf (name: string): string { return this.config.downloadUrl.replace('%s', () => escapePath(name)) }
}
