import { blobPath, isRepositoryName } from '../../net/api/registry.js'
import { type HttpRequest, type Reply } from '../../net/http/engine.js'
import { registryError } from '../../net/http/errors.js'
import { type ByteRange, parseInclusiveRange } from '../../net/http/range.js'
import { type ContentDigest, type Digest, EMPTY_DIGEST, isContentDigest, isDigest, sha512Of, type Sha512Digest } from '../core/digest.js'
import { AppError, isAppError } from '../core/errors.js'
import { type Logger } from '../observe/log.js'
import { type Repositories } from './repositories.js'
import { type RegistryReads, type RegistryWrites } from './transfer.js'
import { checkUploadUrl, unknownUpload, uploadLocation } from './upload-url.js'

export interface RegistryUploadsOptions {
  readonly reads: RegistryReads
  readonly writes: RegistryWrites
  readonly repositories: Repositories
  readonly log: Logger
}

/**
 * Blob uploads (http-api specification 8.6, 9.2).
 *
 *   POST --> PATCH, PATCH, ... --> PUT ?digest=     the PUT may carry the last bytes, or all of them
 *   POST ?digest=   with the whole body             in one request
 *   POST ?mount=    if the blob is known already, in the repository `from` or, if none is named, anywhere
 *
 * Every chunk is kept whole or not at all: one that breaks off is cut away again, so that the offset a client saw last
 * stays the one to go on from.
 */
export class RegistryUploads {
  /** Uploads that a request is writing to. */
  readonly #busy = new Set<string>()

  constructor (readonly options: RegistryUploadsOptions) {}

  get writes (): RegistryWrites { return this.options.writes }
  get log (): Logger { return this.options.log }

  /** POST: a new upload, or at once the blob itself. */
  async start (request: HttpRequest, repository: string): Promise<Reply> {
    const query = new URLSearchParams(request.rawQuery)
    const mounted = query.get('mount')
    if (mounted !== null && isContentDigest(mounted) && await this.#isMounted(request, repository, mounted, query)) {
      return created(repository, mounted)
    }
    checkAlgorithm(query)
    if (!query.has('digest')) return accepted(repository, await this.writes.startUpload(undefined), 0)
    return await this.#receiveWhole(request, repository, digestParameter(query))
  }

  /** GET and HEAD: how far the upload is. */
  async status (request: HttpRequest, repository: string, upload: string): Promise<Reply> {
    checkUploadUrl(request, repository, upload)
    return { ...accepted(repository, upload, await this.#sizeOf(upload)), status: 204 }
  }

  /** PATCH: appends a chunk. */
  async append (request: HttpRequest, repository: string, upload: string): Promise<Reply> {
    checkUploadUrl(request, repository, upload)
    const range = chunkRangeOf(request)
    return await this.#exclusively(upload, async sizeBytes => {
      if (isOutOfOrder(range, sizeBytes)) return outOfOrder(repository, upload, sizeBytes)
      return accepted(repository, upload, await this.#receive(request, upload, sizeBytes, range))
    })
  }

  /** PUT: appends the last bytes, if there are any, and turns the upload into the blob. */
  async finish (request: HttpRequest, repository: string, upload: string): Promise<Reply> {
    checkUploadUrl(request, repository, upload)
    const digest = digestParameter(new URLSearchParams(request.rawQuery))
    const range = chunkRangeOf(request)
    return await this.#exclusively(upload, async sizeBytes => {
      if (isOutOfOrder(range, sizeBytes)) return outOfOrder(repository, upload, sizeBytes)
      await this.#receive(request, upload, sizeBytes, range)
      return await this.#complete(request, repository, upload, digest)
    })
  }

  /** DELETE: forgets the upload and its bytes. */
  async cancel (request: HttpRequest, repository: string, upload: string): Promise<Reply> {
    checkUploadUrl(request, repository, upload)
    if (!await this.writes.cancelUpload(upload)) throw unknownUpload(upload)
    return { status: 204, headers: { 'Docker-Upload-UUID': upload } }
  }

  /** A blob that cannot be asked for right now is sent again, which always works. */
  async #isMounted (request: HttpRequest, repository: string, name: ContentDigest, query: URLSearchParams): Promise<boolean> {
    const { reads, repositories } = this.options
    const source = query.get('from') ?? undefined
    if (source !== undefined && !isRepositoryName(source)) return false
    const options = { signal: request.signal }
    try {
      const digest = await repositories.locateForMount(source, name, options)
      if (digest === undefined || await reads.statBlob(repository, digest, options) === undefined) return false
      await repositories.enter(repository, digest, name, options)
      return true
    } catch (error) {
      this.log.warn({ repository, digest: name, error: String(error) }, 'mount not checked')
      return false
    }
  }

  async #receiveWhole (request: HttpRequest, repository: string, name: ContentDigest): Promise<Reply> {
    const upload = await this.writes.startUpload(contentLengthOf(request))
    try {
      const sizeBytes = await this.#receive(request, upload, 0, undefined)
      // Some clients announce the digest here and send the bytes later.
      if (sizeBytes === 0 && name !== EMPTY_DIGEST && name !== EMPTY_SHA512) return accepted(repository, upload, 0)
      return await this.#complete(request, repository, upload, name)
    } catch (error) {
      await this.#discard(upload)
      throw error
    }
  }

  /** Appends the request's body and answers with the new size. Whatever fails leaves the upload as it was. */
  async #receive (request: HttpRequest, upload: string, sizeBytes: number, range: ByteRange | undefined): Promise<number> {
    const stated = contentLengthOf(request)
    if (range !== undefined && stated !== undefined) checkChunkSize(range, stated)
    const writer = await this.writes.chunkWriter(upload, sizeBytes)
    try {
      const received = await request.body.pipe(writer)
      if (range !== undefined) checkChunkSize(range, received)
      return (await writer.end()).sizeBytes
    } catch (error) {
      await writer.abort()
      await this.writes.truncateUpload(upload, sizeBytes).catch((reason: unknown) => {
        if (!isAppError(reason, 'UPLOAD_UNKNOWN')) this.log.warn({ upload, sizeBytes, error: String(reason) }, 'broken chunk not cut away')
      })
      throw error
    }
  }

  async #complete (request: HttpRequest, repository: string, upload: string, name: ContentDigest): Promise<Reply> {
    const options = { signal: request.signal }
    const digest = isDigest(name) ? name : await this.#storedDigest(upload, name)
    try {
      await this.writes.finishUpload(repository, upload, digest, options)
    } catch (error) {
      if (!isAppError(error, 'DIGEST_MISMATCH')) throw error
      throw wrongDigest(name, error.message, error)
    }
    await this.options.repositories.enter(repository, digest, name, options)
    return created(repository, name)
  }

  /** The digest under which the bytes are stored. An upload that is not what it was to be is gone afterwards. */
  async #storedDigest (upload: string, name: Sha512Digest): Promise<Digest> {
    const { sha256, sha512 } = await this.writes.sumUpload(upload)
    if (sha512 === name) return sha256
    await this.#discard(upload)
    throw wrongDigest(name, `the upload has the digest ${sha512}, not ${name}`)
  }

  /** Two requests that write to one upload would tear each other's bytes apart: the second one is refused. */
  async #exclusively (upload: string, work: (sizeBytes: number) => Promise<Reply>): Promise<Reply> {
    if (this.#busy.has(upload)) throw new AppError('RANGE_CONFLICT', `another request is still writing to upload ${upload}; wait for its answer`)
    this.#busy.add(upload)
    try {
      return await work(await this.#sizeOf(upload))
    } finally {
      this.#busy.delete(upload)
    }
  }

  async #sizeOf (upload: string): Promise<number> {
    const sizeBytes = await this.writes.uploadSize(upload)
    if (sizeBytes === undefined) throw unknownUpload(upload)
    return sizeBytes
  }

  async #discard (upload: string): Promise<void> {
    await this.writes.cancelUpload(upload).catch((error: unknown) => this.log.warn({ upload, error: String(error) }, 'upload not removed'))
  }
}

const EMPTY_SHA512 = sha512Of('')

function wrongDigest (name: ContentDigest, message: string, cause?: unknown): AppError {
  return new AppError('DIGEST_INVALID', message, { cause, detail: { Digest: name, Reason: {} } })
}

/** Clients may say in advance by what they will name the blob; both sums can be made at its end. @throws AppError DIGEST_INVALID */
function checkAlgorithm (query: URLSearchParams): void {
  const algorithm = query.get('digest-algorithm') ?? 'sha256'
  if (algorithm === 'sha256' || algorithm === 'sha512') return
  throw new AppError('DIGEST_INVALID', `digests by "${algorithm.slice(0, 32)}" are not supported; use sha256 or sha512`, { detail: {} })
}

/** Which bytes of the upload the body says it is; undefined if it does not say. @throws AppError RANGE_INVALID */
function chunkRangeOf (request: HttpRequest): ByteRange | undefined {
  const header = request.header('content-range')?.trim() ?? ''
  return header === '' ? undefined : parseInclusiveRange(header)
}

/** @throws AppError SIZE_INVALID */
function checkChunkSize (range: ByteRange, lengthBytes: number): void {
  if (lengthBytes === range.lengthBytes) return
  throw new AppError('SIZE_INVALID', `the Content-Range means ${range.lengthBytes} bytes, but the body has ${lengthBytes}`)
}

function isOutOfOrder (range: ByteRange | undefined, sizeBytes: number): boolean { return range !== undefined && range.offset !== sizeBytes }

function accepted (repository: string, upload: string, sizeBytes: number): Reply {
  return { status: 202, headers: progressHeaders(repository, upload, sizeBytes) }
}

function created (repository: string, name: ContentDigest): Reply {
  return { status: 201, headers: { Location: blobPath(repository, name), 'Docker-Content-Digest': name } }
}

/** The upload survives; the headers say where to go on. */
function outOfOrder (repository: string, upload: string, sizeBytes: number): Reply {
  const error = new AppError('RANGE_NOT_SATISFIABLE', `the upload has ${sizeBytes} bytes: the next chunk must begin at byte ${sizeBytes}`)
  return registryError(error, { headers: progressHeaders(repository, upload, sizeBytes) })
}

function progressHeaders (repository: string, upload: string, sizeBytes: number): Record<string, string> {
  return {
    Location: uploadLocation(repository, upload),
    Range: `0-${Math.max(0, sizeBytes - 1)}`,
    'Docker-Upload-UUID': upload
  }
}

/** @throws AppError DIGEST_INVALID if the parameter is missing or malformed; the upload stays as it is */
function digestParameter (query: URLSearchParams): ContentDigest {
  const text = query.get('digest') ?? ''
  if (isContentDigest(text)) return text
  throw new AppError('DIGEST_INVALID', `the query must have a digest of the form sha256:<64 hex> or sha512:<128 hex>, not "${text.slice(0, 128)}"`, { detail: {} })
}

function contentLengthOf (request: HttpRequest): number | undefined {
  const text = request.header('content-length')
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}
