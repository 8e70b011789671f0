import { type BlobClient, type BlobContent, type CallOptions, type MetaInfoAnswer, type TagClient } from '../../../net/client/clients.js'
import { type Digest, digestOf, hexOf } from '../../../runtime/core/digest.js'
import { AppError } from '../../../runtime/core/errors.js'
import { MemoryRecords } from './memory-records.js'
import { MetaInfo } from '../../../runtime/core/metainfo.js'

/** The origins of a cluster in memory, with a record of what they were asked. */
export class MemoryOrigins implements BlobClient {
  readonly blobs = new Map<Digest, Uint8Array>()
  /** `<call> <namespace> <digest>`, in order. */
  readonly asked: string[] = []
  /** Downloads that were neither read to their end nor aborted. */
  openDownloads = 0
  /** Thrown by every call while it is set. */
  outage: AppError | undefined
  /** Awaited by every upload before it ends. */
  held: Promise<void> | undefined

  add (bytes: Uint8Array | string): Digest {
    const digest = digestOf(bytes)
    this.blobs.set(digest, Buffer.from(bytes))
    return digest
  }

  async stat (namespace: string, digest: Digest): Promise<{ sizeBytes: number } | undefined> {
    this.#note('stat', namespace, digest)
    const bytes = this.blobs.get(digest)
    return bytes === undefined ? undefined : { sizeBytes: bytes.length }
  }

  async download (
    namespace: string, digest: Digest, { offset = 0, lengthBytes, signal }: CallOptions & { offset?: number, lengthBytes?: number } = {}
  ): Promise<{ sizeBytes: number, chunks: () => AsyncIterable<Uint8Array> }> {
    this.#note('download', namespace, digest)
    const whole = this.blobs.get(digest)
    if (whole === undefined) throw new AppError('BLOB_UNKNOWN', `no blob ${digest}`)
    const bytes = whole.subarray(offset, lengthBytes === undefined ? undefined : offset + lengthBytes)
    this.openDownloads++
    let isOpen = true
    const end = (): void => {
      if (isOpen) this.openDownloads--
      isOpen = false
    }
    signal?.addEventListener('abort', end, { once: true })
    return {
      sizeBytes: bytes.length,
      chunks: async function * () {
        for (let at = 0; at < bytes.length; at += 700) {
          signal?.throwIfAborted()
          yield bytes.subarray(at, at + 700)
        }
        end()
      }
    }
  }

  async replicateToRemote (namespace: string, digest: Digest): Promise<void> { this.#note('replicate', namespace, digest) }

  async upload (namespace: string, digest: Digest, content: BlobContent): Promise<void> {
    this.#note('upload', namespace, digest)
    const parts: Buffer[] = []
    for await (const chunk of content.read(0, content.sizeBytes)) parts.push(Buffer.from(chunk))
    await this.held
    this.#note('uploaded', namespace, digest)
    const bytes = Buffer.concat(parts)
    if (digestOf(bytes) !== digest) throw new AppError('DIGEST_MISMATCH', `got ${digestOf(bytes)} instead of ${digest}`)
    this.blobs.set(digest, bytes)
  }

  async metaInfo (namespace: string, digest: Digest): Promise<MetaInfoAnswer> {
    this.#note('metaInfo', namespace, digest)
    const bytes = this.blobs.get(digest)
    if (bytes === undefined) return { status: 'unknown' }
    return { status: 'found', metaInfo: new MetaInfo(hexOf(digest), bytes.length, Math.max(1, bytes.length), new Uint32Array(Math.min(1, bytes.length))) }
  }

  async prefetch (namespace: string, digest: Digest): Promise<void> {
    this.#note('prefetch', namespace, digest)
    if (!this.blobs.has(digest)) throw new AppError('BLOB_UNKNOWN', `no blob ${digest}`)
  }

  async locations (): Promise<string[]> { return ['origin:80'] }
  async owners (): Promise<[]> { return [] }
  async checkReadiness (): Promise<void> { if (this.outage !== undefined) throw this.outage }

  #note (call: string, namespace: string, digest: Digest): void {
    if (this.outage !== undefined) throw this.outage
    this.asked.push(`${call} ${namespace} ${digest}`)
  }
}

/** The build-indexes of a cluster in memory. */
export class MemoryTags implements TagClient {
  readonly tags = new Map<string, Digest>()
  readonly records = new MemoryRecords(() => { this.#check() }, this.tags)
  outage: AppError | undefined

  async put (tag: string, digest: Digest): Promise<void> {
    this.#check()
    this.tags.set(tag, digest)
  }

  async get (tag: string): Promise<Digest | undefined> {
    this.#check()
    return this.tags.get(tag)
  }

  async has (tag: string): Promise<boolean> { return await this.get(tag) !== undefined }

  async list (): Promise<string[]> {
    this.#check()
    return [...this.tags.keys()]
  }

  async listRepository (repository: string): Promise<string[]> {
    const names = await this.list()
    return names.filter(name => name.startsWith(`${repository}:`)).map(name => name.slice(repository.length + 1))
  }

  async replicate (tag: string): Promise<boolean> { return await this.has(tag) }
  async origin (): Promise<string> { return 'origin:80' }
  async checkReadiness (): Promise<void> { this.#check() }
  #check (): void { if (this.outage !== undefined) throw this.outage }
}
