import { type RequestBody } from '../../net/http/engine.js'
import { type ByteRange } from '../../net/http/range.js'
import { type Uploads } from '../../workers/upload-door.js'
import { type Digest } from '../core/digest.js'
import { AppError, isAppError } from '../core/errors.js'
import { KeyedLock } from '../store/keyed-lock.js'
import { type Blobs } from './blobs.js'
import { type IncomingBlob } from './ports.js'
import { type Replication } from './replication.js'

/** No blob is larger. A bound, since bytes at a far offset cost nothing to send and much to hash. */
export const BLOB_BYTES_MAX = 2 ** 40

export interface PushesOptions {
  readonly blobs: Blobs
  readonly uploads: Uploads
  readonly replication: Pick<Replication, 'replicate'>
  /** Puts on record that the blob has to be written back; on the disk when it resolves. */
  readonly writeBack?: (namespace: string, digest: Digest, delayMs: number) => Promise<void>
}

/** Pushes remembered as acknowledged; beyond that all are forgotten, and seen to once more if they come again. */
const ACKNOWLEDGED_MAX = 65_536

/**
 * Blobs on their way in: start, chunks, commit (http-api specification 5.3). The chunks of one upload are written one after
 * the other in the order in which they came, commits of one blob likewise, so that of two clients that push the same blob
 * at the same time one makes the blob and the other is told that it exists.
 */
export class Pushes {
  readonly #turns = new KeyedLock<string>()
  /** What this process has acknowledged, by namespace and digest. */
  readonly #acknowledged = new Set<string>()

  constructor (readonly options: PushesOptions) {}

  /** Begins an upload and returns its id. @throws AppError BLOB_EXISTS */
  async start (digest: Digest, sizeBytesHint?: number): Promise<string> {
    const { blobs, uploads } = this.options
    if (await blobs.has(digest)) throw exists(digest)
    return await uploads.start(sizeBytesHint)
  }

  /**
   * Runs one call of a client's push. A client takes "it exists" for success, at whatever call it is told so; so by then the
   * blob has all that an acknowledged one has.
   */
  async forClient<T> (namespace: string, digest: Digest, call: Promise<T>): Promise<T> {
    try {
      return await call
    } catch (error) {
      if (isAppError(error, 'BLOB_EXISTS') && !this.#acknowledged.has(keyOf(namespace, digest))) await this.#acknowledge(namespace, digest)
      throw error
    }
  }

  /**
   * Writes one chunk: exactly as many bytes as the range says; what the body holds beyond them is not kept. A chunk that
   * breaks off leaves the upload no longer than it was.
   * @throws AppError BLOB_EXISTS, UPLOAD_UNKNOWN, RANGE_INVALID, BODY_TOO_SHORT, CANCELLED if the client goes away
   */
  async write (digest: Digest, upload: string, range: ByteRange, body: RequestBody): Promise<void> {
    const { blobs, uploads } = this.options
    if (await blobs.has(digest)) throw exists(digest)
    if (range.offset + range.lengthBytes > BLOB_BYTES_MAX) {
      throw new AppError('RANGE_INVALID', `the chunk ends beyond ${BLOB_BYTES_MAX} bytes, the largest blob that is taken`)
    }
    await this.#turns.run(upload, async () => {
      const before = await uploads.status(upload)
      if (before === undefined) throw new AppError('UPLOAD_UNKNOWN', `there is no upload ${upload.slice(0, 64)}`)
      const writer = uploads.writer(upload, range.offset)
      let missingBytes = range.lengthBytes
      try {
        await body.pipe({
          write: chunkView => {
            const kept = chunkView.subarray(0, missingBytes)
            missingBytes -= kept.length
            return kept.length === 0 ? undefined : writer.write(kept)
          }
        })
        if (missingBytes > 0) {
          throw new AppError('BODY_TOO_SHORT', `the body ends ${missingBytes} bytes before the range of ${range.lengthBytes} bytes in Content-Range is full`)
        }
        await writer.end()
      } catch (error) {
        await writer.abort()
        await this.#cutBack(upload, before.sizeBytes)
        throw error
      }
    })
  }

  /** Makes the upload the blob. The upload is gone afterwards. @throws AppError BLOB_EXISTS, UPLOAD_UNKNOWN, DIGEST_MISMATCH */
  async commit (digest: Digest, upload: string): Promise<void> {
    const { blobs, uploads } = this.options
    // A damaged copy is removed by this, and no reason to refuse a good one.
    await blobs.has(digest)
    await this.#turns.run(upload, async () => await blobs.lock.run(digest, async () => {
      if (await blobs.isStored(digest)) {
        await uploads.cancel(upload)
        throw exists(digest)
      }
      await uploads.commit(upload, digest)
    }))
  }

  /** The same for a client: when this resolves, or tells that it exists, the blob is safe. */
  async commitReplicated (namespace: string, digest: Digest, upload: string): Promise<void> {
    await this.forClient(namespace, digest, this.commit(digest, upload))
    await this.#acknowledge(namespace, digest)
  }

  /** The same for an origin that gives us our copy. */
  async commitCopy (namespace: string, digest: Digest, upload: string, delayMs: number): Promise<void> {
    const { writeBack } = this.options
    try {
      await this.commit(digest, upload)
    } catch (error) {
      if (isAppError(error, 'BLOB_EXISTS')) await writeBack?.(namespace, digest, delayMs)
      throw error
    }
    await writeBack?.(namespace, digest, delayMs)
  }

  /** Puts a blob that comes from another store into the cache. @throws AppError DIGEST_MISMATCH, INTERNAL if it is too large */
  async store (digest: Digest, { sizeBytes, chunks }: IncomingBlob, bytesMax = BLOB_BYTES_MAX): Promise<void> {
    const { uploads } = this.options
    checkSize(digest, sizeBytes ?? 0, bytesMax)
    const upload = await uploads.start(sizeBytes)
    try {
      const writer = uploads.writer(upload, 0)
      let receivedBytes = 0
      try {
        for await (const chunkView of chunks()) {
          receivedBytes += chunkView.length
          checkSize(digest, receivedBytes, bytesMax)
          await writer.write(chunkView)
        }
        await writer.end()
      } catch (error) {
        await writer.abort()
        throw error
      }
      await this.commit(digest, upload)
    } catch (error) {
      await uploads.cancel(upload)
      if (!isAppError(error, 'BLOB_EXISTS')) throw error
    }
  }

  /** Resolves when a client may be told that its push succeeded: nothing that was promised depends on this process any more. */
  async #acknowledge (namespace: string, digest: Digest): Promise<void> {
    const { writeBack, replication } = this.options
    await writeBack?.(namespace, digest, 0)
    await replication.replicate(namespace, digest)
    if (this.#acknowledged.size >= ACKNOWLEDGED_MAX) this.#acknowledged.clear()
    this.#acknowledged.add(keyOf(namespace, digest))
  }

  async #cutBack (upload: string, sizeBytes: number): Promise<void> {
    const { uploads } = this.options
    const now = await uploads.status(upload)
    if (now !== undefined && now.sizeBytes > sizeBytes) await uploads.truncate(upload, sizeBytes)
  }
}

/** @throws AppError INTERNAL, with which the reference answers as well */
function checkSize (digest: Digest, sizeBytes: number, bytesMax: number): void {
  if (sizeBytes > bytesMax) throw new AppError('INTERNAL', `${digest} has ${sizeBytes} bytes or more, and at most ${bytesMax} are fetched`)
}

function keyOf (namespace: string, digest: Digest): string { return `${digest} ${namespace}` }

function exists (digest: Digest): AppError { return new AppError('BLOB_EXISTS', `blob ${digest} is in the cache already`) }
