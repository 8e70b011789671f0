import { Readable } from 'node:stream'
import type * as S3Sdk from '@aws-sdk/client-s3'
import { type CallOptions } from '../../../net/client/clients.js'
import { type AuthConfig, type S3Config } from '../../config/types.js'
import { AppError, isAppError } from '../../core/errors.js'
import { type BackendClient, type DownloadOptions, type ListOptions, type ListPage, type ObjectContent, type ObjectStat, type ObjectStream } from '../backend.js'
import { makePather, type Pather } from '../pather.js'
import { probeName } from '../probe.js'
import { copies } from '../web.js'
import { isRefusal, isUnknown } from './failures.js'

/** S3 takes no more parts of one object. */
const PARTS_MAX = 10_000
const TRIES_MAX = 3
/** Objects that have all the connections that they want. */
const UPLOADS_MAX = 16
const CONNECT_MS = 10_000
const IDLE_MS = 60_000

/** What goes wrong is an error that the caller gets; the library would print it to the console as well. */
const SILENT = { trace: () => {}, debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

type Sdk = typeof S3Sdk
interface Connection { readonly sdk: Sdk, readonly aws: S3Sdk.S3Client }
interface Part { readonly PartNumber: number, readonly ETag: string | undefined }

/**
 * Amazon S3 and what speaks its protocol (cluster specification 5.5). An object goes out in one piece or in parts, each read
 * from its source while it is sent, so that nothing is kept in memory.
 */
export class S3Client implements BackendClient {
  readonly kind = 's3'
  readonly canUpload = true
  readonly canList = true
  readonly canResume = true
  readonly #pather: Pather
  readonly #credentials: { accessKeyId: string, secretAccessKey: string, sessionToken?: string } | undefined
  #connection: Promise<Connection> | undefined

  /** @throws AppError CONFIG_INVALID if the configured user has no keys */
  constructor (readonly config: S3Config, auth: AuthConfig) {
    // Keys have no slash in front, whatever the root says.
    this.#pather = makePather(config.namePath, config.root.replace(/^\/+/, ''))
    this.#credentials = config.username === undefined ? undefined : keysOf(config.username, auth)
  }

  async stat (_: string, name: string, { signal }: CallOptions = {}): Promise<ObjectStat | undefined> {
    const { sdk, aws } = await this.#connect()
    const head = await orUnknown(aws.send(new sdk.HeadObjectCommand(this.#target(name)), abortable(signal)))
    return head === undefined ? undefined : { sizeBytes: head.ContentLength }
  }

  async download (_: string, name: string, { offset = 0, signal }: DownloadOptions = {}): Promise<ObjectStream | undefined> {
    const { sdk, aws } = await this.#connect()
    const range = offset === 0 ? {} : { Range: `bytes=${offset}-` }
    const object = await orUnknown(aws.send(new sdk.GetObjectCommand({ ...this.#target(name), ...range }), abortable(signal)))
    if (object === undefined) return undefined
    const { Body: body, ContentLength: sizeBytes } = object
    if (!(body instanceof Readable)) throw new AppError('NETWORK', 'the answer has no body')
    // One that fails while nobody reads it is told of when somebody does.
    body.on('error', () => {})
    return { sizeBytes, chunks: () => body }
  }

  async upload (_: string, name: string, content: ObjectContent, { signal }: CallOptions = {}): Promise<void> {
    const connection = await this.#connect()
    if (content.sizeBytes <= this.config.partBytes) await this.#uploadWhole(connection, name, content, signal)
    else await this.#uploadParts(connection, name, content, signal)
  }

  async list (prefix: string, { limit = this.config.pageSize, token, signal }: ListOptions = {}): Promise<ListPage> {
    const { sdk, aws } = await this.#connect()
    const folder = [this.#pather.base, prefix.replace(/^\/+|\/+$/g, '')].filter(part => part !== '').join('/')
    const page = await aws.send(new sdk.ListObjectsV2Command({
      Bucket: this.config.bucket,
      MaxKeys: Math.min(limit, 1000),
      ...folder === '' ? {} : { Prefix: `${folder}/` },
      ...token === undefined ? {} : { ContinuationToken: token }
    }), abortable(signal))
    const names = (page.Contents ?? []).flatMap(({ Key: key }) => key === undefined ? [] : this.#pather.name(key) ?? [])
    return { names, next: page.IsTruncated === true ? page.NextContinuationToken : undefined }
  }

  async checkReadiness (options?: CallOptions): Promise<void> { await this.stat('', probeName(this.config.namePath), options) }

  async close (): Promise<void> {
    const connection = this.#connection
    this.#connection = undefined
    await connection?.then(({ aws }) => { aws.destroy() }, () => {})
  }

  async #uploadWhole ({ sdk, aws }: Connection, name: string, content: ObjectContent, signal: AbortSignal | undefined): Promise<void> {
    await this.#retrying(signal, async () => {
      await sending(content, 0, content.sizeBytes, signal, async (body, options) =>
        await aws.send(new sdk.PutObjectCommand({ ...this.#target(name), Body: body, ContentLength: content.sizeBytes }), options))
    })
  }

  async #uploadParts ({ sdk, aws }: Connection, name: string, content: ObjectContent, signal: AbortSignal | undefined): Promise<void> {
    const target = this.#target(name)
    const { UploadId: id } = await aws.send(new sdk.CreateMultipartUploadCommand(target), abortable(signal))
    const upload = { ...target, UploadId: id }
    // Ends the other parts when one fails for good.
    const failed = new AbortController()
    const either = AbortSignal.any([failed.signal, ...signal === undefined ? [] : [signal]])
    try {
      const parts = await this.#sendParts(content, either, async (number, offset, lengthBytes) => await this.#retrying(either, async () =>
        await sending(content, offset, lengthBytes, either, async (body, options) =>
          await aws.send(new sdk.UploadPartCommand({ ...upload, PartNumber: number, Body: body, ContentLength: lengthBytes }), options))))
      await aws.send(new sdk.CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts: parts } }), abortable(signal))
    } catch (error) {
      failed.abort()
      // What was sent so far would be kept, and charged for, for ever.
      await aws.send(new sdk.AbortMultipartUploadCommand(upload), abortable(AbortSignal.timeout(IDLE_MS))).catch(() => {})
      throw error
    }
  }

  /** Sends all parts, several at a time, and returns them in order. @throws what the first failure was, when all have ended */
  async #sendParts (
    { sizeBytes }: ObjectContent,
    signal: AbortSignal,
    send: (number: number, offset: number, lengthBytes: number) => Promise<{ ETag?: string | undefined }>
  ): Promise<Part[]> {
    const partBytes = Math.max(this.config.partBytes, Math.ceil(sizeBytes / PARTS_MAX))
    const partCount = Math.ceil(sizeBytes / partBytes)
    const parts: Part[] = []
    let taken = 0
    let failure: { readonly error: unknown } | undefined
    const work = async (): Promise<void> => {
      while (taken < partCount && failure === undefined && !signal.aborted) {
        const index = taken++
        try {
          const { ETag } = await send(index + 1, index * partBytes, Math.min(partBytes, sizeBytes - index * partBytes))
          parts[index] = { PartNumber: index + 1, ETag }
        } catch (error) {
          failure ??= { error }
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(this.config.uploadConcurrency, partCount) }, work))
    if (failure !== undefined) throw failure.error
    signal.throwIfAborted()
    return parts
  }

  /** The library does not send a stream twice; here it is read anew. */
  async #retrying<T> (signal: AbortSignal | undefined, send: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await send()
      } catch (error) {
        if (tries === TRIES_MAX || signal?.aborted === true || isRefusal(error) || isAppError(error)) throw error
      }
    }
  }

  #target (name: string): { Bucket: string, Key: string } { return { Bucket: this.config.bucket, Key: this.#pather.path(name) } }

  async #connect (): Promise<Connection> {
    this.#connection ??= this.#load()
    return await this.#connection
  }

  async #load (): Promise<Connection> {
    // It speaks of versions to come; ours is pinned.
    process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true'
    const sdk = await import('@aws-sdk/client-s3')
    const { region, endpoint, isPlain, isPathStyle, uploadConcurrency } = this.config
    const maxSockets = uploadConcurrency * UPLOADS_MAX
    const url = endpoint === undefined || /^https?:\/\//.test(endpoint) ? endpoint : `${isPlain ? 'http' : 'https'}://${endpoint}`
    const aws = new sdk.S3Client({
      region,
      forcePathStyle: isPathStyle,
      tls: !isPlain,
      ...url === undefined ? {} : { endpoint: url },
      ...this.#credentials === undefined ? {} : { credentials: this.#credentials },
      // Many servers other than Amazon's know neither the newer checksums nor the trailers that carry them.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      maxAttempts: TRIES_MAX,
      logger: SILENT,
      requestHandler: { connectionTimeout: CONNECT_MS, socketTimeout: IDLE_MS, httpAgent: { maxSockets }, httpsAgent: { maxSockets } }
    })
    return { sdk, aws }
  }
}

/**
 * Sends a range of the content as a stream that does not outlive the request. The library does not notice a source that
 * fails and would wait for its bytes, so the request is ended then.
 * @throws AppError STORAGE if the source failed, and what `send` throws
 */
async function sending<T> (
  content: ObjectContent, offset: number, lengthBytes: number, signal: AbortSignal | undefined,
  send: (body: Readable, options: { abortSignal: AbortSignal }) => Promise<T>
): Promise<T> {
  const body = Readable.from(copies(content.read(offset, lengthBytes)), { objectMode: false })
  const over = new AbortController()
  let failure: Error | undefined
  body.on('error', error => {
    failure = error
    over.abort()
  })
  try {
    return await send(body, { abortSignal: AbortSignal.any([over.signal, ...signal === undefined ? [] : [signal]]) })
  } catch (error) {
    if (failure === undefined) throw error
    throw new AppError('STORAGE', `its bytes could not be read: ${failure.message}`, { cause: failure })
  } finally {
    body.destroy()
  }
}

async function orUnknown<T> (answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (isUnknown(error)) return undefined
    throw error
  }
}

function abortable (signal: AbortSignal | undefined): { abortSignal?: AbortSignal } { return signal === undefined ? {} : { abortSignal: signal } }

/** @throws AppError CONFIG_INVALID */
function keysOf (username: string, auth: AuthConfig): { accessKeyId: string, secretAccessKey: string, sessionToken?: string } {
  const keys = auth.s3.find(([name]) => name === username)?.[1].keys
  if (keys?.secretAccessKey === undefined) {
    throw new AppError('CONFIG_INVALID', `auth.s3.${username}.s3 is missing: the s3 backend is configured with username ${username}`)
  }
  const { accessKeyId, secretAccessKey, sessionToken } = keys
  return { accessKeyId, secretAccessKey: secretAccessKey.reveal(), ...sessionToken === undefined ? {} : { sessionToken: sessionToken.reveal() } }
}
