import { randomUUID } from 'node:crypto'
import { type Digest, digestOf, sha512Of } from '../../../runtime/core/digest.js'
import { AppError } from '../../../runtime/core/errors.js'
import { MemoryRecords } from './memory-records.js'
import { type BlobReader, type ChunkWriter, type RegistryReads, type RegistryWrites } from '../../../runtime/registry/transfer.js'

/**
 * The cluster as a registry sees it, in memory: small, strict, and with a switch for bad days. Views that are handed in are
 * overwritten afterwards by whoever calls, as the HTTP engine does, so what is kept is copied.
 */
export class MemoryCluster {
  readonly blobs = new Map<Digest, Uint8Array>()
  /** By `repository:tag`. */
  readonly tags = new Map<string, Digest>()
  readonly uploads = new Map<string, Uint8Array>()
  /** What the build-indexes keep of repositories. */
  readonly records = new MemoryRecords(() => { this.#check() })
  /** What happened to the cluster, in order: `blob <digest>`, `tag <repository:tag>`. */
  readonly journal: string[] = []
  /** Readers that were opened and not yet closed. */
  openReaders = 0
  /** Thrown by every call to the cluster while it is set. */
  outage: AppError | undefined

  add (bytes: Uint8Array | string): Digest {
    const content = Buffer.from(bytes)
    const digest = digestOf(content)
    this.blobs.set(digest, content)
    return digest
  }

  readonly reads: RegistryReads = {
    statBlob: async (_, digest) => {
      this.#check()
      const bytes = this.blobs.get(digest)
      return bytes === undefined ? undefined : { sizeBytes: bytes.length }
    },
    openBlob: async (_, digest, { range } = {}) => {
      this.#check()
      const bytes = this.blobs.get(digest)
      if (bytes === undefined) return undefined
      return this.#reader(range === undefined ? bytes : bytes.subarray(range.offset, range.offset + range.lengthBytes))
    },
    readBlob: async (_, digest, bytesMax) => {
      this.#check()
      const bytes = this.blobs.get(digest)
      return bytes === undefined || bytes.length > bytesMax ? undefined : bytes
    },
    getTag: async (repository, tag) => {
      this.#check()
      return this.tags.get(`${repository}:${tag}`)
    },
    listTags: async repository => {
      this.#check()
      return [...this.tags.keys()].filter(name => name.startsWith(`${repository}:`)).map(name => name.slice(repository.length + 1))
    },
    listRepositories: async () => {
      this.#check()
      return [...this.tags.keys()].map(name => name.slice(0, name.lastIndexOf(':')))
    }
  }

  readonly writes: RegistryWrites = {
    startUpload: async () => {
      const upload = randomUUID()
      this.uploads.set(upload, new Uint8Array(0))
      return upload
    },
    uploadSize: async upload => this.uploads.get(upload)?.length,
    chunkWriter: (upload, offset) => this.#writer(upload, offset),
    truncateUpload: async (upload, sizeBytes) => { this.uploads.set(upload, this.#upload(upload).slice(0, sizeBytes)) },
    cancelUpload: async upload => this.uploads.delete(upload),
    sumUpload: async upload => {
      const bytes = this.#upload(upload)
      return { sha256: digestOf(bytes), sha512: sha512Of(bytes) }
    },
    finishUpload: async (repository, upload, digest) => {
      const bytes = this.#upload(upload)
      this.uploads.delete(upload)
      if (digestOf(bytes) !== digest) throw new AppError('DIGEST_MISMATCH', `the upload has the digest ${digestOf(bytes)}, not ${digest}`)
      await this.writes.putBlob(repository, digest, bytes)
    },
    putBlob: async (_, digest, bytes) => {
      this.#check()
      this.blobs.set(digest, Buffer.from(bytes))
      this.journal.push(`blob ${digest}`)
    },
    putTag: async (repository, tag, digest, { onlyIf } = {}) => {
      this.#check()
      const found = this.tags.get(`${repository}:${tag}`) ?? 'none'
      if (onlyIf !== undefined && found !== onlyIf) throw new AppError('TAG_EXISTS', `${tag} points at ${found}`)
      this.tags.set(`${repository}:${tag}`, digest)
      this.journal.push(`tag ${repository}:${tag}`)
    },
    deleteTag: async (repository, tag, { onlyIf } = {}) => {
      this.#check()
      const name = `${repository}:${tag}`
      if (onlyIf !== undefined && this.tags.get(name) !== onlyIf) return false
      if (!this.tags.delete(name)) return false
      this.journal.push(`untag ${name}`)
      return true
    }
  }

  #check (): void { if (this.outage !== undefined) throw this.outage }

  #upload (upload: string): Uint8Array {
    const bytes = this.uploads.get(upload)
    if (bytes === undefined) throw new AppError('UPLOAD_UNKNOWN', `there is no upload ${upload}`)
    return bytes
  }

  #reader (bytes: Uint8Array): BlobReader {
    this.openReaders++
    let isOpen = true
    return {
      sizeBytes: bytes.length,
      chunks: async function * () { for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000) },
      close: () => {
        if (isOpen) this.openReaders--
        isOpen = false
      }
    }
  }

  #writer (upload: string, offset: number): ChunkWriter {
    this.#upload(upload)
    let isOver = false
    let at = offset
    return {
      write: chunkView => {
        if (isOver) throw new AppError('INTERNAL', 'write after the end of the chunk')
        this.uploads.set(upload, Buffer.concat([this.#upload(upload).subarray(0, at), chunkView]))
        at += chunkView.length
      },
      end: async () => {
        isOver = true
        return { sizeBytes: this.#upload(upload).length }
      },
      abort: () => { isOver = true }
    }
  }
}
