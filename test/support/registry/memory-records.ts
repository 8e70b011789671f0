import { type Digest } from '../../../runtime/core/digest.js'
import { AppError } from '../../../runtime/core/errors.js'
import { type RecordClient } from '../../../net/client/clients.js'

/** Records of build-indexes in memory; `check` may throw for a bad day. */
export class MemoryRecords implements RecordClient {
  readonly records = new Map<string, string>()
  /** As build-indexes of Kraken's, which keep none. */
  isKraken = false

  constructor (readonly check: () => void, readonly tags: Map<string, Digest> = new Map()) {}

  async record (key: string): Promise<string | undefined> {
    this.check()
    return this.records.get(key)
  }

  async putRecord (key: string, value: string): Promise<void> {
    this.check()
    if (this.isKraken) throw new AppError('UNSUPPORTED', 'no records here')
    this.records.set(key, value)
  }

  async deleteTag (tag: string, { digest }: { readonly digest?: Digest } = {}): Promise<boolean> {
    this.check()
    if (this.isKraken) throw new AppError('UNSUPPORTED', 'no deletes here')
    return (digest === undefined || this.tags.get(tag) === digest) && this.tags.delete(tag)
  }
}
