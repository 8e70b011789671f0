import { type BlobContent, type BlobStream } from '../../net/client/clients.js'
import { type Digest, digestOf } from '../../runtime/core/digest.js'
import { AppError } from '../../runtime/core/errors.js'
import { type Placement, type Replica } from '../../runtime/origin/ports.js'

/** A few origins in memory, and what each was asked to do. */
export class MemoryOrigins implements Placement {
  readonly blobs = new Map<string, Map<Digest, Uint8Array>>()
  readonly down = new Set<string>()
  readonly calls: string[] = []
  /** Called when a member is left the fetch from the backend; may put the blob there. */
  onLease: (member: string, digest: Digest) => Promise<void> = async () => {}
  /** Called before each copy is made; may wait. */
  beforeCopy: (owner: string) => Promise<void> = async () => {}
  readonly #listeners = new Set<() => void>()

  constructor (readonly self: string, readonly members: readonly string[], public owning: readonly string[] = members) {
    for (const member of members) this.blobs.set(member, new Map())
  }

  get healthy (): readonly string[] { return this.members.filter(member => member === this.self || !this.down.has(member)) }

  locations (): string[] { return this.owning.filter(owner => this.healthy.includes(owner)) }

  owners (): readonly string[] { return this.owning }
  ranking (): readonly string[] { return [...this.owning, ...this.members.filter(member => !this.owning.includes(member))] }

  onChange (listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }

  change (): void { for (const listener of this.#listeners) listener() }

  get listening (): number { return this.#listeners.size }

  put (member: string, bytes: Uint8Array): Digest {
    const digest = digestOf(bytes)
    this.#of(member).set(digest, bytes)
    return digest
  }

  holders (digest: Digest): string[] { return this.members.filter(member => this.#of(member).has(digest)) }

  readonly content = async (digest: Digest): Promise<BlobContent> => {
    const bytes = this.#of(this.self).get(digest)
    if (bytes === undefined) throw new AppError('BLOB_UNKNOWN', `no ${digest}`)
    return { sizeBytes: bytes.length, read: (offset, lengthBytes) => chunksOf(bytes.subarray(offset, offset + lengthBytes)) }
  }

  readonly replica = (address: string): Replica => {
    const reach = (what: string): Map<Digest, Uint8Array> => {
      this.calls.push(`${what} ${address}`)
      if (this.down.has(address)) throw new AppError('NETWORK', `${address} does not answer`)
      return this.#of(address)
    }
    const take = async (what: string, digest: Digest, content: BlobContent, signal: AbortSignal | undefined): Promise<void> => {
      const held = reach(what)
      await withAbort(this.beforeCopy(address), signal)
      held.set(digest, await collect(content.read(0, content.sizeBytes)))
    }
    return {
      statLocal: async (_, digest) => {
        const held = reach('stat').get(digest)
        return held === undefined ? undefined : { sizeBytes: held.length }
      },
      uploadDuplicate: async (_, digest, content, delayMs, options) => { await take(`duplicate+${delayMs}`, digest, content, options?.signal) },
      transfer: async (digest, content, options) => { await take('transfer', digest, content, options?.signal) },
      fetchFromBackend: async (_, digest) => {
        if (reach('lease').has(digest)) return 'present'
        await this.onLease(address, digest)
        return this.#of(address).has(digest) ? 'present' : 'pending'
      },
      download: async (_, digest) => {
        const held = reach('download').get(digest)
        if (held === undefined) throw new AppError('BLOB_UNKNOWN', `no ${digest}`)
        return streamOf(held)
      }
    }
  }

  #of (member: string): Map<Digest, Uint8Array> {
    const held = this.blobs.get(member)
    if (held === undefined) throw new Error(`${member} is no member`)
    return held
  }
}

export function streamOf (bytes: Uint8Array): BlobStream { return { sizeBytes: bytes.length, chunks: () => chunksOf(bytes) } }

async function * chunksOf (bytes: Uint8Array): AsyncGenerator<Uint8Array> { yield bytes }

async function collect (chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(chunk.slice())
  return Buffer.concat(parts)
}

/** Settles as `work` does, or rejects when the signal is aborted before. */
async function withAbort (work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  let onAbort = (): void => {}
  const aborted = new Promise<never>((_resolve, reject) => { onAbort = () => { reject(new AppError('CANCELLED', 'aborted')) } })
  signal?.addEventListener('abort', onAbort)
  try {
    await Promise.race([work, aborted])
  } finally {
    signal?.removeEventListener('abort', onAbort)
  }
}
