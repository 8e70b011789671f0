import { type CallOptions } from '../../../net/client/clients.js'
import { AppError } from '../../core/errors.js'
import { type BackendClient, type DownloadOptions, type ListOptions, type ListPage, type ObjectContent, type ObjectStat, type ObjectStream } from '../backend.js'

/**
 * Two backends, for moving from one to the other: both are written to, the active one is read (cluster specification 5.12).
 * An object is there when both have it, so that the write-back of one that only one of them has is not left out.
 */
export class ShadowClient implements BackendClient {
  readonly kind = 'shadow'
  readonly canUpload: boolean
  readonly canList: boolean
  readonly canResume: boolean

  constructor (readonly active: BackendClient, readonly shadow: BackendClient) {
    this.canUpload = active.canUpload && shadow.canUpload
    this.canList = active.canList
    this.canResume = active.canResume
  }

  async stat (namespace: string, name: string, options?: CallOptions): Promise<ObjectStat | undefined> {
    const [active, shadow] = await Promise.all([this.active.stat(namespace, name, options), this.shadow.stat(namespace, name, options)])
    return active === undefined || shadow === undefined ? undefined : active
  }

  async download (namespace: string, name: string, options?: DownloadOptions): Promise<ObjectStream | undefined> {
    return await this.active.download(namespace, name, options)
  }

  async upload (namespace: string, name: string, content: ObjectContent, options?: CallOptions): Promise<void> {
    await this.active.upload(namespace, name, content, options)
    await this.shadow.upload(namespace, name, content, options)
  }

  async list (prefix: string, options?: ListOptions): Promise<ListPage> { return await this.active.list(prefix, options) }

  async checkReadiness (options?: CallOptions): Promise<void> {
    await Promise.all([this.active, this.shadow].map(async client => { await client.checkReadiness(options) }))
  }

  async close (): Promise<void> {
    const results = await Promise.allSettled([this.active.close(), this.shadow.close()])
    for (const result of results) if (result.status === 'rejected') throw new AppError('INTERNAL', 'a backend could not be closed', { cause: result.reason })
  }
}
