import { type CallOptions } from '../../net/client/clients.js'
import { type BackendManager } from '../backend/manager.js'
import { type Digest, hexOf } from '../core/digest.js'
import { type Backend, type IncomingBlob } from './ports.js'

/** The configured backends as the origin sees them: blobs by digest, which are stored under its hex (cluster specification 5). */
export class BlobBackend implements Backend {
  constructor (readonly manager: BackendManager) {}

  async stat (namespace: string, digest: Digest, options?: CallOptions): Promise<{ sizeBytes: number | undefined } | undefined> {
    return await this.manager.clientFor(namespace).stat(namespace, hexOf(digest), options)
  }

  async open (namespace: string, digest: Digest, options?: CallOptions): Promise<IncomingBlob | undefined> {
    return await this.manager.clientFor(namespace).download(namespace, hexOf(digest), options)
  }
}
