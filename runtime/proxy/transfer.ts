import { type BlobClient, type BlobContent, type RecordClient, type TagClient } from '../../net/client/clients.js'
import { fileBody } from '../../net/http/file-body.js'
import { type Digest, type Sha512Digest } from '../core/digest.js'
import { AppError, isAppError, messageOf } from '../core/errors.js'
import { type Logger } from '../observe/log.js'
import { TagReads } from '../registry/tag-reads.js'
import { type BlobRange, type BlobReader, type ChunkWriter, type RegistryReads, type RegistryWrites, type TransferOptions } from '../registry/transfer.js'
import { type CasStore } from '../store/cas.js'
import { KeyedLock } from '../store/keyed-lock.js'
import { ByteCache } from './byte-cache.js'
import { openBlob, readBlob } from './download.js'

/** Manifests kept in memory: a few thousand of the usual size. */
const MANIFEST_CACHE_BYTES = 64 * 1024 * 1024

/** What the proxy needs of the upload service. */
export interface Staging {
  start (sizeHint?: number): Promise<string>
  status (upload: string): Promise<{ sizeBytes: number } | undefined>
  writer (upload: string, offset: number): ChunkWriter | Promise<ChunkWriter>
  truncate (upload: string, sizeBytes: number): Promise<unknown>
  cancel (upload: string): Promise<boolean>
  digests (upload: string): Promise<{ sha256: Digest, sha512: Sha512Digest }>
  /** @throws AppError UPLOAD_UNKNOWN, DIGEST_MISMATCH, BLOB_EXISTS */
  commit (upload: string, digest: Digest): Promise<unknown>
}

export interface ProxyTransferOptions {
  readonly origins: BlobClient
  readonly tags: TagClient & { readonly records: Pick<RecordClient, 'deleteTag'> }
  readonly staging: Staging
  /** Where committed uploads lie while they are sent to the origins; nothing is ever served from there. */
  readonly staged: Pick<CasStore, 'stat' | 'delete' | 'list'>
  readonly log: Logger
}

/**
 * The cluster behind a proxy. A blob exists when the origins say so, never because it passed through here: a push that
 * failed halfway can simply be repeated. The repository is the namespace of all its blobs (http-api specification 1.11).
 */
export class ProxyTransfer extends TagReads implements RegistryReads, RegistryWrites {
  readonly #options: ProxyTransferOptions
  readonly #manifests = new ByteCache<Digest>(MANIFEST_CACHE_BYTES)
  /** Uploads of the same blob, which share one staged file, take turns. */
  readonly #turns = new KeyedLock<Digest>()

  constructor (options: ProxyTransferOptions) {
    super(options.tags)
    this.#options = options
  }

  /** Removes what a crash left behind between a commit and the origins' answer. */
  async clearStaged (): Promise<void> {
    for (const digest of await this.#options.staged.list()) await this.#unstage(digest)
  }

  async statBlob (repository: string, digest: Digest, options?: TransferOptions): Promise<{ sizeBytes: number } | undefined> {
    return await this.#options.origins.stat(repository, digest, options)
  }

  async openBlob (
    repository: string, digest: Digest, options: TransferOptions & { range?: BlobRange } = {}
  ): Promise<BlobReader | undefined> {
    return await openBlob(this.#options.origins, repository, digest, options)
  }

  async readBlob (repository: string, digest: Digest, bytesMax: number, options: TransferOptions = {}): Promise<Uint8Array | undefined> {
    const cached = this.#manifests.get(digest)
    if (cached !== undefined) return cached.length > bytesMax ? undefined : cached
    const bytes = await readBlob(this.#options.origins, repository, digest, bytesMax, options)
    if (bytes !== undefined) this.#manifests.set(digest, bytes)
    return bytes
  }

  async startUpload (sizeHint: number | undefined): Promise<string> { return await this.#options.staging.start(sizeHint) }

  async uploadSize (upload: string): Promise<number | undefined> { return (await this.#options.staging.status(upload))?.sizeBytes }

  chunkWriter (upload: string, offset: number): ChunkWriter | Promise<ChunkWriter> { return this.#options.staging.writer(upload, offset) }

  async truncateUpload (upload: string, sizeBytes: number): Promise<void> { await this.#options.staging.truncate(upload, sizeBytes) }

  async cancelUpload (upload: string): Promise<boolean> { return await this.#options.staging.cancel(upload) }

  async sumUpload (upload: string): Promise<{ sha256: Digest, sha512: Sha512Digest }> { return await this.#options.staging.digests(upload) }

  async finishUpload (repository: string, upload: string, digest: Digest, options: TransferOptions = {}): Promise<void> {
    await this.#turns.run(digest, async () => {
      await this.#options.staging.commit(upload, digest).catch((error: unknown) => {
        // Left there by a turn whose clean-up failed; it was verified then.
        if (!isAppError(error, 'BLOB_EXISTS')) throw error
      })
      try {
        await this.#options.origins.upload(repository, digest, await this.#stagedContent(digest), options)
      } finally {
        await this.#unstage(digest)
      }
    })
  }

  async putBlob (repository: string, digest: Digest, bytes: Uint8Array, options?: TransferOptions): Promise<void> {
    await this.#options.origins.upload(repository, digest, bytesContent(bytes), options)
    this.#manifests.set(digest, bytes)
  }

  async putTag (repository: string, tag: string, digest: Digest, options?: TransferOptions & { readonly onlyIf?: Digest | 'none' }): Promise<void> {
    await this.#options.tags.put(`${repository}:${tag}`, digest, { ...options, replicate: true })
  }

  async deleteTag (repository: string, tag: string, { onlyIf, ...options }: TransferOptions & { readonly onlyIf?: Digest } = {}): Promise<boolean> {
    return await this.#options.tags.records.deleteTag(`${repository}:${tag}`, { ...options, digest: onlyIf })
  }

  async #stagedContent (digest: Digest): Promise<BlobContent> {
    const file = await this.#options.staged.stat(digest)
    if (file === undefined) throw new AppError('STORAGE', `the upload of ${digest} is gone from the staging folder`)
    return { sizeBytes: file.sizeBytes, read: (offset, lengthBytes) => fileBody(file.path, offset, lengthBytes).chunks() }
  }

  async #unstage (digest: Digest): Promise<void> {
    await this.#options.staged.delete(digest).catch((error: unknown) => {
      this.#options.log.warn({ digest, error: messageOf(error) }, 'staged blob not removed')
    })
  }
}

function bytesContent (bytes: Uint8Array): BlobContent {
  return {
    sizeBytes: bytes.length,
    read: async function * (offset, lengthBytes) { yield bytes.subarray(offset, offset + lengthBytes) }
  }
}
