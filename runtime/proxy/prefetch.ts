import { STATUS_CODES } from 'node:http'
import { type BlobClient, type TagClient } from '../../net/client/clients.js'
import { type HttpRequest, type Reply } from '../../net/http/engine.js'
import { json } from '../../net/http/reply.js'
import { type PrefetchConfig } from '../config/types.js'
import { type Digest } from '../core/digest.js'
import { AppError, isAppError, messageOf } from '../core/errors.js'
import { field, isRecord, parseFirstJson } from '../core/json.js'
import { forEachLimited } from '../core/limited.js'
import { type Logger } from '../observe/log.js'
import { MANIFEST_BYTES_MAX } from '../registry/manifest.js'
import { readBlob } from './download.js'
import { type ImageParts, partsOf } from './image.js'
import { parsePrefetchTarget, type PrefetchTarget } from './prefetch-target.js'

const BODY_BYTES_MAX = 64 * 1024
/** Blobs of one image that the origins are asked about at the same time. */
const ASKS_AT_ONCE = 16
/** In the answer; all are in the log. */
const FAILURES_SHOWN_MAX = 10
/** For one image. */
const LIMIT_MS = 60_000

export interface PrefetcherOptions {
  readonly origins: Pick<BlobClient, 'download' | 'prefetch'>
  readonly tags: Pick<TagClient, 'get'>
  readonly sizes: PrefetchConfig
  readonly log: Logger
}

/** What becomes of blobs that could not be prefetched: v1 logs them, v2 answers 500. */
export type PrefetchVersion = 'v1' | 'v2'

/**
 * Makes the origins fetch an image that somebody is about to pull (http-api specification 4.4): looks up the tag, reads the
 * manifests, and has the owners of every blob see to it that they have it. No blob passes through here.
 */
export class Prefetcher {
  readonly #closing = new AbortController()

  constructor (readonly options: PrefetcherOptions) {}

  /** Ends what is under way. */
  close (): void { this.#closing.abort() }

  /**
   * Answers `{"tag":"<host>/<repository>:<tag>","trace_id":"..."}`. Whoever asks may hang up at once: the image is
   * prefetched all the same.
   * @throws AppError BODY_TOO_LARGE, CANCELLED
   */
  async serve (request: HttpRequest, version: PrefetchVersion): Promise<Reply> {
    const body = Buffer.from(await request.body.bytes(BODY_BYTES_MAX)).toString('utf8')
    let order: Order
    try {
      order = orderOf(parseFirstJson(body, 'failed to decode request body'))
    } catch (error) {
      return failure(400, messageOf(error), '')
    }
    const { tag, traceId } = order
    const target = parsePrefetchTarget(tag)
    if (target === undefined) return failure(400, `tag: ${tag}, invalid tag format: invalid tag format: ${tag}`, traceId)
    try {
      await this.#prefetch(target, version, AbortSignal.any([this.#closing.signal, AbortSignal.timeout(LIMIT_MS)]))
      return json({ tag: target.shown, prefetched: true, status: 'success', message: 'prefetching initiated successfully', trace_id: traceId })
    } catch (error) {
      this.options.log.warn({ tag, traceId, error: messageOf(error) }, 'image not prefetched')
      return failure(500, messageOf(error), traceId)
    }
  }

  async #prefetch (target: PrefetchTarget, version: PrefetchVersion, signal: AbortSignal): Promise<void> {
    const { log, origins } = this.options
    const { repository } = target
    const digest = await this.#digestOf(target, signal)
    const parts = await this.#partsOf(repository, digest, signal)
    const wanted = this.#wanted(parts)
    const failures: string[] = []
    await forEachLimited(wanted, ASKS_AT_ONCE, async blob => {
      await origins.prefetch(repository, blob, { signal }).catch((error: unknown) => {
        log.warn({ repository, digest: blob, error: messageOf(error) }, 'blob not prefetched')
        failures.push(`${blob}: ${messageOf(error)}`)
      })
    })
    log.info({ repository, digest, blobCount: wanted.length, failureCount: failures.length }, 'image prefetched')
    if (version === 'v1' || failures.length === 0) return
    const shown = [...failures.slice(0, FAILURES_SHOWN_MAX), ...failures.length > FAILURES_SHOWN_MAX ? ['...'] : []].join('; ')
    throw new AppError('UNAVAILABLE', `failed to trigger image prefetch: ${failures.length} of ${wanted.length} blobs: ${shown}`)
  }

  /** @throws AppError with the reference's text */
  async #digestOf ({ repository, reference }: PrefetchTarget, signal: AbortSignal): Promise<Digest> {
    if ('digest' in reference) return reference.digest
    const name = `${repository}:${reference.tag}`
    const refused = (why: string, cause?: unknown): AppError =>
      new AppError('TAG_UNKNOWN', `tag request: ${encodeURIComponent(name)}, failed to get tag: ${why}`, { cause })
    const digest = await this.options.tags.get(name, { signal }).catch((error: unknown) => { throw refused(messageOf(error), error) })
    if (digest === undefined) throw refused('tag not found')
    return digest
  }

  async #partsOf (repository: string, root: Digest, signal: AbortSignal): Promise<ImageParts> {
    const read = async (digest: Digest): Promise<Uint8Array> => {
      const bytes = await readBlob(this.options.origins, repository, digest, MANIFEST_BYTES_MAX, { signal })
      if (bytes === undefined) throw new AppError('MANIFEST_UNKNOWN', `blob not found: ${digest}`)
      return bytes
    }
    const first = await read(root).catch((error: unknown) => { throw within('error downloading manifest blob', error) })
    return await partsOf(root, async digest => digest === root ? first : await read(digest))
      .catch((error: unknown) => { throw within('failed to process manifest', error) })
  }

  /** All parts whose size is within the bounds, each once. */
  #wanted ({ manifests, blobs }: ImageParts): Digest[] {
    const { blobBytesMin, blobBytesMax } = this.options.sizes
    return [...new Map([...blobs, ...manifests])].flatMap(([digest, size]) => size >= blobBytesMin && size <= blobBytesMax ? [digest] : [])
  }
}

interface Order { readonly tag: string, readonly traceId: string }

/** @throws AppError BODY_INVALID */
function orderOf (body: unknown): Order {
  if (body !== null && !isRecord(body)) throw new AppError('BODY_INVALID', 'failed to decode request body: expected an object such as {"tag":"host/library/app:1.0"}')
  const [tag, traceId] = ['tag', 'trace_id'].map(key => field(body, key) ?? '')
  if (typeof tag !== 'string' || typeof traceId !== 'string') throw new AppError('BODY_INVALID', 'failed to decode request body: tag and trace_id must be texts')
  return { tag, traceId }
}

function failure (status: number, message: string, traceId: string): Reply {
  const trace = traceId === '' ? {} : { trace_id: traceId }
  return json({ error: STATUS_CODES[status] ?? '', prefetched: false, status: 'failure', message, ...trace }, { status })
}

function within (what: string, error: unknown): AppError {
  return new AppError(isAppError(error) ? error.code : 'INTERNAL', `${what}: ${messageOf(error)}`, { cause: error })
}
