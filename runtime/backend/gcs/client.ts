import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Bucket } from '@google-cloud/storage'
import { type CallOptions } from '../../../net/client/clients.js'
import { type AuthConfig, type GcsConfig } from '../../config/types.js'
import { AppError, messageOf } from '../../core/errors.js'
import { type BackendClient, type DownloadOptions, type ListOptions, type ListPage, type ObjectContent, type ObjectStat, type ObjectStream } from '../backend.js'
import { makePather, type Pather } from '../pather.js'
import { probeName } from '../probe.js'
import { copies } from '../web.js'

/** The protocol wants chunks in multiples of this. */
const CHUNK_UNIT_BYTES = 256 * 1024
/** A chunk is kept in memory until it is acknowledged. */
const CHUNK_BYTES_MAX = 16 * 1024 * 1024
/** Up to here an object is sent with one request. */
const SIMPLE_BYTES_MAX = 1024 * 1024

/**
 * Google Cloud Storage (cluster specification 5.6). Objects of any size go both ways whole; after an upload the library
 * compares the checksum that the server has (CRC-32C) with that of what was sent.
 */
export class GcsClient implements BackendClient {
  readonly kind = 'gcs'
  readonly canUpload = true
  readonly canList = true
  readonly canResume = true
  readonly #pather: Pather
  readonly #account: object | undefined
  #bucket: Promise<Bucket> | undefined

  /** @throws AppError CONFIG_INVALID if the configured user has no service account */
  constructor (readonly config: GcsConfig, auth: AuthConfig) {
    this.#pather = makePather(config.namePath, config.root)
    this.#account = config.username === undefined ? undefined : accountOf(config.username, auth)
  }

  async stat (_: string, name: string): Promise<ObjectStat | undefined> {
    const found = await this.#find(name)
    return found === undefined ? undefined : { sizeBytes: found.sizeBytes }
  }

  async download (_: string, name: string, { offset = 0, signal }: DownloadOptions = {}): Promise<ObjectStream | undefined> {
    const found = await this.#find(name)
    if (found === undefined) return undefined
    const sizeBytes = Math.max(0, found.sizeBytes - offset)
    const bucket = await this.#open()
    // Of the generation whose size was told, even if the object is replaced meanwhile. Who stores it compares its digest.
    const file = bucket.file(this.#pather.path(name), { generation: found.generation })
    const open = (): Readable => file.createReadStream({ start: offset, validation: false, decompress: false })
    return { sizeBytes, chunks: () => sizeBytes === 0 ? none() : readable(open(), signal) }
  }

  async upload (_: string, name: string, content: ObjectContent, { signal }: CallOptions = {}): Promise<void> {
    const bucket = await this.#open()
    const chunkSize = Math.min(CHUNK_BYTES_MAX, Math.floor(this.config.partBytes / CHUNK_UNIT_BYTES) * CHUNK_UNIT_BYTES)
    const isSimple = content.sizeBytes <= SIMPLE_BYTES_MAX
    const target = bucket.file(this.#pather.path(name)).createWriteStream({
      ...isSimple ? { resumable: false } : { resumable: true, chunkSize },
      validation: 'crc32c',
      contentType: 'application/octet-stream'
    })
    await pipeline(Readable.from(copies(content.read(0, content.sizeBytes)), { objectMode: false }), target, signal === undefined ? {} : { signal })
  }

  async list (prefix: string, { limit = this.config.pageSize, token }: ListOptions = {}): Promise<ListPage> {
    const bucket = await this.#open()
    const folder = [this.#pather.base, prefix.replace(/^\/+|\/+$/g, '')].filter(part => part !== '').join('/')
    const [files, next] = await bucket.getFiles({
      autoPaginate: false,
      maxResults: Math.min(limit, 1000),
      prefix: `${folder}/`,
      ...token === undefined ? {} : { pageToken: token }
    })
    const names = files.flatMap(({ name }) => this.#pather.name(name) ?? [])
    return { names, next: tokenOf(next) }
  }

  async checkReadiness (): Promise<void> { await this.stat('', probeName(this.config.namePath)) }

  async close (): Promise<void> { this.#bucket = undefined }

  async #find (name: string): Promise<{ sizeBytes: number, generation: string } | undefined> {
    const bucket = await this.#open()
    try {
      const [{ size, generation }] = await bucket.file(this.#pather.path(name)).getMetadata()
      const sizeBytes = Number(size)
      if (!Number.isSafeInteger(sizeBytes)) throw new AppError('NETWORK', 'the object has no size')
      return { sizeBytes, generation: String(generation) }
    } catch (error) {
      if (isUnknown(error)) return undefined
      throw error
    }
  }

  async #open (): Promise<Bucket> {
    this.#bucket ??= this.#load()
    return await this.#bucket
  }

  async #load (): Promise<Bucket> {
    const { Storage } = await import('@google-cloud/storage')
    const { bucket, endpoint } = this.config
    const storage = new Storage({
      ...endpoint === undefined ? {} : { apiEndpoint: endpoint, useAuthWithCustomEndpoint: this.#account !== undefined },
      ...this.#account === undefined ? {} : { credentials: this.#account },
      // Only for emulators, which do not care which project it is.
      ...endpoint === undefined ? {} : { projectId: 'shoal' }
    })
    return storage.bucket(bucket)
  }
}

async function * none (): AsyncGenerator<Uint8Array> {}

async function * readable (stream: Readable, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  const stop = (): void => { stream.destroy(new AppError('CANCELLED', 'cancelled')) }
  signal?.addEventListener('abort', stop, { once: true })
  try {
    for await (const chunk of stream) if (chunk instanceof Uint8Array) yield chunk
  } finally {
    signal?.removeEventListener('abort', stop)
    stream.destroy()
  }
}

function isUnknown (error: unknown): boolean { return error instanceof Error && 'code' in error && error.code === 404 }

function tokenOf (query: unknown): string | undefined {
  if (typeof query !== 'object' || query === null || !('pageToken' in query)) return undefined
  return typeof query.pageToken === 'string' ? query.pageToken : undefined
}

/** @throws AppError CONFIG_INVALID */
function accountOf (username: string, auth: AuthConfig): object {
  const secret = auth.gcs.find(([name]) => name === username)?.[1].keys?.account
  const where = `auth.gcs.${username}.gcs.access_blob`
  if (secret === undefined) throw new AppError('CONFIG_INVALID', `${where} is missing: the gcs backend is configured with username ${username}`)
  try {
    const account: unknown = JSON.parse(secret.reveal())
    if (typeof account === 'object' && account !== null) return account
  } catch (error) {
    throw new AppError('CONFIG_INVALID', `${where} is no JSON: ${messageOf(error).replace(/".*/s, '')}`)
  }
  throw new AppError('CONFIG_INVALID', `${where} is no service account`)
}
