import { type Digest, type Sha512Digest } from '../core/digest.js'

/*
 * What the registry needs of the cluster. The agent implements the reads over the swarm, the proxy reads and writes over
 * the origins; both ask the build-index for tags.
 */

export interface TransferOptions { readonly signal?: AbortSignal }

/** Part of a blob: `lengthBytes` from `offset` on. Whoever makes one has checked it against the blob's size. */
export interface BlobRange { readonly offset: number, readonly lengthBytes: number }

/** A blob, or a range of one, on its way to a client. */
export interface BlobReader {
  /** Exact size in bytes of what `chunks` yields. */
  readonly sizeBytes: number
  /**
   * Called at most once. A yielded view is valid until the next one is asked for. Fails with CORRUPT before the last byte
   * of a whole blob is out if the bytes do not match its digest.
   */
  chunks (): AsyncIterable<Uint8Array>
  /** Lets go of what is held; may be called at any time and again. */
  close (): void
}

/**
 * Errors of all calls: TIMED_OUT, UNAVAILABLE and NETWORK if the cluster is unable at the moment, CANCELLED. `undefined`
 * means that the cluster knows for certain that there is no such thing.
 */
export interface RegistryReads {
  statBlob (repository: string, digest: Digest, options?: TransferOptions): Promise<{ readonly sizeBytes: number } | undefined>
  /** Opens the whole blob, or `range` of it. The first bytes may come long before the last one is in the cluster's reach. */
  openBlob (repository: string, digest: Digest, options?: TransferOptions & { readonly range?: BlobRange }): Promise<BlobReader | undefined>
  /** At most `bytesMax` bytes, verified. A larger blob counts as absent: it cannot be what was asked for. */
  readBlob (repository: string, digest: Digest, bytesMax: number, options?: TransferOptions): Promise<Uint8Array | undefined>
  getTag (repository: string, tag: string, options?: TransferOptions): Promise<Digest | undefined>
  /** Bare tags in any order; empty if the repository is unknown. */
  listTags (repository: string, options?: TransferOptions): Promise<readonly string[]>
  /** Names in any order, each at least once. */
  listRepositories (options?: TransferOptions): Promise<readonly string[]>
}

/** Takes the bytes of one chunk of an upload; see `UploadWriter` of the upload service. */
export interface ChunkWriter {
  /** The view is borrowed until this returns. */
  write (chunkView: Uint8Array): void | Promise<void>
  /** Answers when all that was written is in the upload. */
  end (): Promise<{ readonly sizeBytes: number }>
  /** Ends the chunk without waiting for what was written. */
  abort (): void | Promise<void>
}

export interface RegistryWrites {
  /** Answers with the UUID of a new upload. `sizeHint`: how many bytes are expected, if that is known. */
  startUpload (sizeHint: number | undefined): Promise<string>
  uploadSize (upload: string): Promise<number | undefined>
  /** Fails with UPLOAD_UNKNOWN, here or in the writer, if there is no such upload. */
  chunkWriter (upload: string, offset: number): ChunkWriter | Promise<ChunkWriter>
  truncateUpload (upload: string, sizeBytes: number): Promise<void>
  /** False if there was no such upload. */
  cancelUpload (upload: string): Promise<boolean>
  /** Both sums of what an upload has by now. @throws AppError UPLOAD_UNKNOWN */
  sumUpload (upload: string): Promise<{ readonly sha256: Digest, readonly sha512: Sha512Digest }>
  /**
   * Checks the digest, brings the blob to the cluster, and answers when it is durable there. The upload is gone afterwards.
   * @throws AppError UPLOAD_UNKNOWN, DIGEST_MISMATCH
   */
  finishUpload (repository: string, upload: string, digest: Digest, options?: TransferOptions): Promise<void>
  /** The same for bytes in memory, whose digest the caller has computed. */
  putBlob (repository: string, digest: Digest, bytes: Uint8Array, options?: TransferOptions): Promise<void>
  /**
   * Answers when the tag is stored and its replication is on its way. With `onlyIf` it must have pointed there, or have been
   * absent. @throws AppError TAG_EXISTS if it did not
   */
  putTag (repository: string, tag: string, digest: Digest, options?: TransferOptions & { readonly onlyIf?: Digest | 'none' }): Promise<void>
  /**
   * Deletes the tag, if it points at `onlyIf` where that is given; false if there is none such. Nobody sees it when this resolves.
   * @throws AppError UNSUPPORTED if the build-indexes cannot
   */
  deleteTag (repository: string, tag: string, options?: TransferOptions & { readonly onlyIf?: Digest }): Promise<boolean>
}

export interface RegistryBackend {
  readonly reads: RegistryReads
  /** `undefined` makes the registry read-only. */
  readonly writes: RegistryWrites | undefined
}
