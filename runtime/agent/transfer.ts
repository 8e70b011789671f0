import { type TagClient, type TrackerClient } from '../../net/client/clients.js'
import { fileBody } from '../../net/http/file-body.js'
import { type OpenBlob } from '../../workers/open-blob.js'
import { type Sleep } from '../../net/client/upstream.js'
import { type Digest } from '../core/digest.js'
import { AppError, isAppError } from '../core/errors.js'
import { TagReads } from '../registry/tag-reads.js'
import { type BlobRange, type BlobReader, type RegistryReads, type TransferOptions } from '../registry/transfer.js'
import { collect, verified } from '../registry/verified.js'
import { type CasStore } from '../store/cas.js'

/** What the agent needs of the swarm. */
export interface Downloads {
  open (namespace: string, digest: Digest, options?: TransferOptions): Promise<OpenBlob>
}

export interface AgentTransferOptions {
  readonly swarm: Downloads
  readonly cache: Pick<CasStore, 'stat' | 'open'>
  readonly tracker: Pick<TrackerClient, 'metaInfo'>
  readonly tags: TagClient
  readonly sleep: Sleep
}

/** How often the tracker is asked for the size of a blob that an origin is still fetching, and with which pauses. */
const SIZE_PAUSES_MS = [50, 100, 200, 400, 800, 1600, 1600, 1600, 1600, 1600]

/** The cluster behind an agent: what is in the cache is read from there, everything else comes through the swarm. */
export class AgentTransfer extends TagReads implements RegistryReads {
  readonly #options: AgentTransferOptions

  constructor (options: AgentTransferOptions) {
    super(options.tags)
    this.#options = options
  }

  /** Asks for the size only: nothing is downloaded. */
  async statBlob (repository: string, digest: Digest, options: TransferOptions = {}): Promise<{ sizeBytes: number } | undefined> {
    const cached = await this.#options.cache.stat(digest)
    return cached === undefined ? await this.#sizeInSwarm(repository, digest, options) : { sizeBytes: cached.sizeBytes }
  }

  /** Opens the blob while it is still arriving: its leading bytes are there to be read as soon as they are verified. */
  async openBlob (
    repository: string, digest: Digest, { range, signal }: TransferOptions & { readonly range?: BlobRange } = {}
  ): Promise<BlobReader | undefined> {
    const cached = await this.#options.cache.open(digest)
    if (cached !== undefined) {
      const { offset, lengthBytes } = range ?? { offset: 0, lengthBytes: cached.sizeBytes }
      return { sizeBytes: lengthBytes, chunks: () => fileBody(cached.path, offset, lengthBytes).chunks(), close: () => {} }
    }
    const blob = await this.#options.swarm.open(repository, digest, { signal }).catch(undefinedIfUnknown)
    if (blob === undefined) return undefined
    const { offset, lengthBytes } = range ?? { offset: 0, lengthBytes: blob.sizeBytes }
    return { sizeBytes: lengthBytes, chunks: () => blob.chunks(offset, lengthBytes), close: () => { void blob.close() } }
  }

  async readBlob (repository: string, digest: Digest, bytesMax: number, options?: TransferOptions): Promise<Uint8Array | undefined> {
    const reader = await this.openBlob(repository, digest, options)
    if (reader === undefined) return undefined
    try {
      if (reader.sizeBytes > bytesMax) return undefined
      return await collect(verified(reader.chunks(), digest, reader.sizeBytes), digest, reader.sizeBytes)
    } finally {
      reader.close()
    }
  }

  /** @throws AppError TIMED_OUT if an origin is still fetching the blob after all pauses */
  async #sizeInSwarm (repository: string, digest: Digest, options: TransferOptions): Promise<{ sizeBytes: number } | undefined> {
    for (const pauseMs of [...SIZE_PAUSES_MS, undefined]) {
      const answer = await this.#options.tracker.metaInfo(repository, digest, options)
      if (answer.status === 'unknown') return undefined
      if (answer.status === 'found') return { sizeBytes: answer.metaInfo.lengths.totalBytes }
      if (pauseMs !== undefined) await this.#options.sleep(pauseMs, options.signal ?? NEVER)
    }
    throw new AppError('TIMED_OUT', `the origins are still fetching blob ${digest}; ask again`)
  }
}

const NEVER = new AbortController().signal

function undefinedIfUnknown (error: unknown): undefined {
  if (isAppError(error, 'BLOB_UNKNOWN')) return undefined
  throw error
}
