import { type TagClient } from '../../net/client/clients.js'
import { type Digest } from '../core/digest.js'
import { repositoriesOf } from './page.js'
import { type RegistryReads, type TransferOptions } from './transfer.js'

/** What agent and proxy both ask the build-indexes. */
export class TagReads implements Pick<RegistryReads, 'getTag' | 'listTags' | 'listRepositories'> {
  constructor (readonly index: Pick<TagClient, 'get' | 'list' | 'listRepository'>) {}

  async getTag (repository: string, tag: string, options?: TransferOptions): Promise<Digest | undefined> {
    return await this.index.get(`${repository}:${tag}`, options)
  }

  async listTags (repository: string, options?: TransferOptions): Promise<readonly string[]> {
    return await this.index.listRepository(repository, options)
  }

  async listRepositories (options?: TransferOptions): Promise<readonly string[]> {
    return repositoriesOf(await this.index.list('', options))
  }
}
