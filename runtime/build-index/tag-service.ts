import { type BlobClient } from '../../net/client/clients.js'
import { type Digest } from '../core/digest.js'
import { type Dependencies } from './dependencies.js'
import { type BuildIndexService } from './server.js'
import { type Page, type PageQuery } from './tag-index.js'
import { type TagStore } from './tag-store.js'

/** Clients give up after 30 s; a put that has not been decided by then must not happen behind their backs. */
const PUT_LIMIT_MS = 25_000

export interface TagServiceOptions {
  readonly tags: TagStore
  readonly dependencies: Dependencies
  readonly origins: Pick<BlobClient, 'checkReadiness'>
  readonly originAddress: string
}

/** Reads and writes of tags (cluster specification 7). */
export class TagService implements BuildIndexService {
  constructor (readonly options: TagServiceOptions) {}

  get originAddress (): string { return this.options.originAddress }

  async put (tag: string, digest: Digest, signal: AbortSignal): Promise<void> {
    const { tags, dependencies } = this.options
    const limited = { signal: AbortSignal.any([signal, AbortSignal.timeout(PUT_LIMIT_MS)]) }
    const needed = await dependencies.resolve(tag, digest, limited)
    await dependencies.check(tag, needed, limited)
    await tags.put(tag, digest)
  }

  async putDuplicate (tag: string, digest: Digest): Promise<void> { await this.options.tags.put(tag, digest) }

  /** No tag has remotes, so that it has all it needs is all there is to see to (http-api specification 7.2). */
  async replicate (tag: string, signal: AbortSignal): Promise<boolean> {
    const digest = await this.options.tags.get(tag)
    if (digest === undefined) return false
    await this.options.dependencies.resolve(tag, digest, { signal })
    return true
  }

  async get (tag: string): Promise<Digest | undefined> { return this.options.tags.get(tag) }

  page (prefix: string, query: PageQuery): Page { return this.options.tags.page(prefix, query) }

  async checkReadiness (signal: AbortSignal): Promise<void> { await this.options.origins.checkReadiness({ signal }) }
}
