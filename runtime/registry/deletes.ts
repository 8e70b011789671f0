import { type Reference as ManifestReference } from '../../net/api/registry.js'
import { type HttpRequest, type Reply } from '../../net/http/engine.js'
import { type ContentDigest, type Digest } from '../core/digest.js'
import { forEachLimited } from '../core/limited.js'
import { blobUnknown } from './blobs.js'
import { MANIFEST_BYTES_MAX, type Manifest, readStored } from './manifest.js'
import { unknownManifest } from './manifests.js'
import { type RegistryParts } from './parts.js'
import { type TransferOptions } from './transfer.js'

/** Tags that are looked at, or deleted, at the same time. */
const TAGS_AT_ONCE = 16

/**
 * DELETE of tags, manifests and blobs (http-api specification 9.4). What is deleted is gone from its repository when 202 is
 * answered. The bytes stay in the cluster, where other repositories may use them, until its caches and backends drop them.
 * Every step can be repeated: what fails midway is finished by asking again.
 */
export class Deletes {
  constructor (readonly parts: RegistryParts) {}

  /** A tag alone, or a manifest with all tags on it. @throws AppError MANIFEST_UNKNOWN, UNSUPPORTED */
  async deleteManifest (request: HttpRequest, repository: string, reference: ManifestReference): Promise<Reply> {
    const options = { signal: request.signal }
    if (reference.kind === 'tag') {
      if (!await this.parts.writes.deleteTag(repository, reference.tag, options)) throw unknownManifest(repository, reference)
      return ACCEPTED
    }
    const { digest, manifest } = await this.#find(repository, reference.digest, options) ?? {}
    if (digest === undefined || manifest === undefined) throw unknownManifest(repository, reference)
    await this.#deleteTagsOn(repository, digest, options)
    await this.parts.referrers.remove(repository, [reference.digest, digest], manifest, options)
    await this.parts.repositories.remove(repository, digest, options)
    return ACCEPTED
  }

  /** @throws AppError BLOB_UNKNOWN, UNSUPPORTED */
  async deleteBlob (request: HttpRequest, repository: string, name: ContentDigest): Promise<Reply> {
    const options = { signal: request.signal }
    const { reads, repositories } = this.parts
    const digest = await repositories.locate(repository, name, options)
    if (digest === undefined || await reads.statBlob(repository, digest, options) === undefined) {
      throw blobUnknown(name)
    }
    await repositories.remove(repository, digest, options)
    return ACCEPTED
  }

  async #find (
    repository: string, name: ContentDigest, options: TransferOptions
  ): Promise<{ digest: Digest, manifest: Manifest | undefined } | undefined> {
    const digest = await this.parts.repositories.locate(repository, name, options)
    if (digest === undefined) return undefined
    const bytes = await this.parts.reads.readBlob(repository, digest, MANIFEST_BYTES_MAX, options)
    return bytes === undefined ? undefined : { digest, manifest: readStored(bytes) }
  }

  /** A tag that is moved elsewhere meanwhile stays. */
  async #deleteTagsOn (repository: string, digest: Digest, options: TransferOptions): Promise<void> {
    const { reads, writes } = this.parts
    await forEachLimited(await reads.listTags(repository, options), TAGS_AT_ONCE, async tag => {
      if (await reads.getTag(repository, tag, options) === digest) await writes.deleteTag(repository, tag, { ...options, onlyIf: digest })
    })
  }
}

const ACCEPTED: Reply = { status: 202 }
