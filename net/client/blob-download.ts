import { type Clock } from '../../runtime/core/clock.js'
import { type Digest } from '../../runtime/core/digest.js'
import { AppError, isAppError, messageOf } from '../../runtime/core/errors.js'
import { type Prng } from '../../runtime/core/prng.js'
import { type Logger } from '../../runtime/observe/log.js'
import { answeredStatus } from './answers.js'
import { type BlobStream, type CallOptions } from './clients.js'
import { hedged } from './hedge.js'
import { type HttpStream } from './http.js'
import { poll, type Polled } from './polling.js'
import { pause, type Sleep } from './upstream.js'

/** Breaks in a row, with less than this much in between, after which a download is given up. */
const BREAKS_MAX = 5
const PROGRESS_BYTES = 64 * 1024
const RESUME_MS = 250

/** A host that serves blobs. */
export interface BlobSource {
  readonly address: string
  /** The answer to a GET of the blob, whatever its status; `range` is what to put into a Range header. */
  openBlob (namespace: string, digest: Digest, range: string | undefined, options: CallOptions): Promise<HttpStream>
  /** What an answer that has no blob means. */
  refusalOf (digest: Digest, stream: HttpStream): Promise<AppError>
  statLocal (namespace: string, digest: Digest, options?: CallOptions): Promise<{ sizeBytes: number } | undefined>
}

export interface DownloadRequest {
  readonly namespace: string
  readonly digest: Digest
  /** Best first. */
  readonly owners: readonly BlobSource[]
  readonly offset: number
  /** Undefined: up to the end of the blob. */
  readonly lengthBytes: number | undefined
  readonly signal: AbortSignal | undefined
  readonly sleep: Sleep
  readonly clock: Clock
  readonly prng: Prng
  /** What is waited with until a second owner is asked beside one that says nothing. */
  readonly patience: Sleep
  readonly log: Logger
}

/**
 * Opens a blob, or a part of it, at the first owner that has it (http-api specification 1.9, 5.7). If the connection breaks
 * the rest is asked for at the next owner, from the byte at which it broke off.
 * @throws AppError BLOB_UNKNOWN if an owner says so and none has it, UNAVAILABLE if no owner has an answer
 */
export async function downloadBlob (request: DownloadRequest): Promise<BlobStream> {
  const { offset, lengthBytes } = request
  const wantedEnd = lengthBytes === undefined ? undefined : offset + lengthBytes
  const first = await openPart(request, request.owners, offset, wantedEnd)
  const end = Math.min(wantedEnd ?? first.end, first.end)
  return { sizeBytes: Math.max(end - offset, 0), chunks: () => readParts(request, first, offset, end) }
}

/** A stretch of the blob on its way from one owner. */
interface Part {
  readonly owner: BlobSource
  readonly stream: HttpStream
  /** Where in the blob its first byte lies; a server without ranges begins at 0. */
  readonly start: number
  /** Exclusive. */
  readonly end: number
  /** False if the body was sent without a length: then an end that comes early may be an error text, and cannot be told from data. */
  readonly isFramed: boolean
}

async function * readParts (request: DownloadRequest, first: Part, offset: number, end: number): AsyncGenerator<Uint8Array> {
  const { digest, log, signal, sleep } = request
  let part = first
  let at = offset
  for (let breaks = 0; ;) {
    const startedAt = at
    try {
      for await (const chunk of fromOffset(part, at, end)) {
        at += chunk.length
        yield chunk
      }
      if (at === end) return
      throw new AppError('NETWORK', `the body of ${digest} ended early, at byte ${at} of ${end}`)
    } catch (error) {
      breaks = at - startedAt < PROGRESS_BYTES ? breaks + 1 : 1
      if (!part.isFramed || breaks > BREAKS_MAX || !isBreak(error)) throw error
      log.warn({ digest, owner: part.owner.address, at, end, reason: messageOf(error) }, 'download resumed')
    }
    if (breaks > 1) await pause(sleep, RESUME_MS, signal)
    part = await openPart(request, rotated(request.owners, part.owner), at, end)
    if (part.end < end) throw new AppError('CORRUPT', `${digest} has ${part.end} bytes at ${part.owner.address}, and more elsewhere`)
  }
}

/** The bytes of a part from `at` to `end`. Leaving early cuts the connection, so a part that ends there is read to its own end. */
async function * fromOffset (part: Part, at: number, end: number): AsyncGenerator<Uint8Array> {
  let position = part.start
  for await (const chunk of part.stream.chunks()) {
    const from = Math.max(at - position, 0)
    const to = Math.min(end - position, chunk.length)
    position += chunk.length
    if (position > part.end) throw new AppError('CORRUPT', `a body is longer than the ${part.end} bytes that ${part.owner.address} stated`)
    if (from < to) yield chunk.subarray(from, to)
    if (position >= end && part.end > end) return
  }
}

/** Asks the owners in turn, waiting for those that are fetching the blob; one that says nothing is not waited for. */
async function openPart (request: DownloadRequest, owners: readonly BlobSource[], start: number, end: number | undefined): Promise<Part> {
  const asked = await hedged(owners, {
    ask: async (owner, heard) => await openAt(request, owner, start, end, heard),
    isFinal: error => isAppError(error, 'CANCELLED') || isAppError(error, 'RANGE_NOT_SATISFIABLE'),
    onSpare: ({ stream }) => { stream.discard() },
    sleep: request.patience
  })
  if (asked.isGood) return asked.answer
  const { failures } = asked
  const absent = failures.find(failure => answeredStatus(failure) === 404)
  if (absent !== undefined) throw new AppError('BLOB_UNKNOWN', `no origin has ${request.digest}`, { cause: absent })
  const reasons = failures.map(messageOf).join('; ')
  throw new AppError('UNAVAILABLE', `all origins unavailable for ${request.digest}: ${reasons}`, { cause: failures.at(-1) })
}

async function openAt (
  request: DownloadRequest, owner: BlobSource, start: number, end: number | undefined, heard: () => void
): Promise<Part> {
  const { namespace, digest, signal } = request
  const range = start === 0 && end === undefined ? undefined : `bytes=${start}-${end === undefined ? '' : end - 1}`
  return await poll(async (): Promise<Polled<Part>> => {
    const stream = await owner.openBlob(namespace, digest, range, { signal })
    heard()
    if (stream.status === 200 || stream.status === 206) return { value: await partOf(request, owner, stream, start) }
    const refusal = await owner.refusalOf(digest, stream)
    if (stream.status !== 202) throw refusal
    return { pending: refusal }
  }, request)
}

async function partOf (request: DownloadRequest, owner: BlobSource, stream: HttpStream, start: number): Promise<Part> {
  if (stream.status === 206) {
    const stated = stream.header('content-range') ?? ''
    const [, first, last] = CONTENT_RANGE.exec(stated) ?? []
    if (Number(first) === start) return { owner, stream, start, end: Number(last) + 1, isFramed: stream.lengthBytes !== undefined }
    stream.discard()
    throw new AppError('UNAVAILABLE', `${owner.address} answered another range than the one from byte ${start}: "${stated.slice(0, 128)}"`)
  }
  if (stream.lengthBytes !== undefined) return { owner, stream, start: 0, end: stream.lengthBytes, isFramed: true }
  // Kraken's origins send all but the smallest blobs without a length.
  const stat = await owner.statLocal(request.namespace, request.digest, { signal: request.signal }).catch((error: unknown) => {
    stream.discard()
    throw error
  })
  if (stat !== undefined) return { owner, stream, start: 0, end: stat.sizeBytes, isFramed: false }
  stream.discard()
  throw new AppError('UNAVAILABLE', `${owner.address} does not say how large ${request.digest} is`)
}

const CONTENT_RANGE = /^bytes (\d{1,15})-(\d{1,15})\/(?:\d+|\*)$/

/** A connection that broke, as opposed to a caller who has had enough or to bytes that cannot be right. */
function isBreak (error: unknown): boolean { return isAppError(error, 'NETWORK') || isAppError(error, 'TIMED_OUT') }

/** All owners, those behind `last` first. */
function rotated (owners: readonly BlobSource[], last: BlobSource): BlobSource[] {
  const next = owners.indexOf(last) + 1
  return [...owners.slice(next), ...owners.slice(0, next)]
}
