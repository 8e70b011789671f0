import { AppError } from '../../runtime/core/errors.js'
import { type HttpRequest, type Reply } from './engine.js'
import { textError } from './errors.js'

/** Part of a body, in bytes. */
export interface ByteRange {
  readonly offset: number
  readonly lengthBytes: number
}

/** What a `Range` header asks for, measured against a body. */
export type RangeRequest =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part', readonly range: ByteRange }
  | { readonly kind: 'unsatisfiable' }

/**
 * Reads a `Range` header for a body of `sizeBytes`. No header, another unit than bytes, and several ranges at once mean the
 * whole body; so does any range of an empty one. A malformed range is unsatisfiable, as in Docker's registry.
 */
export function parseRange (header: string | undefined, sizeBytes: number): RangeRequest {
  if (header === undefined || !header.startsWith('bytes=') || header.includes(',')) return { kind: 'whole' }
  const [, first = '', last = ''] = RANGE.exec(header) ?? []
  if (first === '' && last === '') return { kind: 'unsatisfiable' }
  if (sizeBytes === 0) return { kind: 'whole' }
  const start = first === '' ? Math.max(sizeBytes - Number(last), 0) : Number(first)
  const end = first === '' || last === '' ? sizeBytes : Math.min(Number(last) + 1, sizeBytes)
  if (start >= end) return { kind: 'unsatisfiable' }
  return { kind: 'part', range: { offset: start, lengthBytes: end - start } }
}

export interface RangeReplyOptions {
  readonly request: Pick<HttpRequest, 'method' | 'header'>
  /** Of the whole body. */
  readonly sizeBytes: number
  /** Of a 200; those about ranges are added. An `ETag` among them is what `If-Range` is compared with. */
  readonly headers: Readonly<Record<string, string>>
  /** Called once at most, and not for HEAD. */
  readonly body: (range: ByteRange) => Reply['body']
}

/** 200, 206 or 416 for a body that can be read from any offset; for HEAD the 200 without its body. */
export function rangeReply (options: RangeReplyOptions): Reply {
  const { request, sizeBytes, body } = options
  const headers = { ...options.headers, 'Accept-Ranges': 'bytes' }
  if (request.method === 'HEAD') return { status: 200, headers, headLengthBytes: sizeBytes }
  const asked = isRangeCurrent(request, options.headers.ETag) ? parseRange(request.header('range'), sizeBytes) : { kind: 'whole' as const }
  switch (asked.kind) {
    case 'whole': return { status: 200, headers, body: body({ offset: 0, lengthBytes: sizeBytes }) }
    case 'unsatisfiable': return rangeNotSatisfiable(sizeBytes)
    case 'part': {
      const { offset, lengthBytes } = asked.range
      const contentRange = `bytes ${offset}-${offset + lengthBytes - 1}/${sizeBytes}`
      return { status: 206, headers: { ...headers, 'Content-Range': contentRange }, body: body(asked.range) }
    }
  }
}

/** 416, which states the size so that the client can ask better. */
export function rangeNotSatisfiable (sizeBytes: number): Reply {
  const reply = textError(new AppError('RANGE_NOT_SATISFIABLE', `the range is outside of the ${sizeBytes} bytes of this content`))
  return { ...reply, headers: { ...reply.headers, 'Content-Range': `bytes */${sizeBytes}` } }
}

/**
 * Reads the `Content-Range: <start>-<end>` of an upload chunk, whose end is exclusive (http-api specification 5.3). A start
 * behind the end is an empty chunk.
 * @throws AppError RANGE_INVALID with the texts that Kraken's clients log
 */
export function parseChunkRange (header: string | undefined): ByteRange {
  if (header === undefined || header === '') throw new AppError('RANGE_INVALID', 'no Content-Range header')
  const shown = header.slice(0, 128)
  const [start = '', end, ...more] = header.split('-')
  if (end === undefined || more.length > 0) {
    throw new AppError('RANGE_INVALID', `cannot parse Content-Range header "${shown}": expected format "start-end"`)
  }
  const offset = parseBound('start', start, shown)
  return { offset, lengthBytes: Math.max(parseBound('end', end, shown) - offset, 0) }
}

/**
 * Reads the `Content-Range: <first>-<last>` of a registry upload, whose end is inclusive; the form of RFC 9110,
 * `bytes <first>-<last>/<size>`, is taken too.
 * @throws AppError RANGE_INVALID
 */
export function parseInclusiveRange (header: string): ByteRange {
  const [, first, last] = INCLUSIVE.exec(header.trim()) ?? []
  const offset = Number(first)
  const end = Number(last) + 1
  if (first === undefined || !Number.isSafeInteger(end) || offset >= end) {
    throw new AppError('RANGE_INVALID', `invalid Content-Range "${header.slice(0, 128)}": expected "<first byte>-<last byte>"`)
  }
  return { offset, lengthBytes: end - offset }
}

/** The chunk header that `parseChunkRange` reads. */
export function formatChunkRange ({ offset, lengthBytes }: ByteRange): string { return `${offset}-${offset + lengthBytes}` }

const RANGE = /^bytes=\s*(\d*)\s*-\s*(\d*)\s*$/
const INCLUSIVE = /^(?:bytes[ =]\s*)?(\d+)-(\d+)(?:\/(?:\d+|\*))?$/

/** A part of other content than the client knows is of no use to it (RFC 9110, 13.1.5). */
function isRangeCurrent (request: Pick<HttpRequest, 'header'>, etag: string | undefined): boolean {
  const condition = request.header('if-range')
  return condition === undefined || (condition === etag && !condition.startsWith('W/'))
}

/** As Go's `strconv.ParseInt`, whose words are part of the answer. */
function parseBound (which: 'start' | 'end', text: string, header: string): number {
  const prefix = `cannot parse ${which} of range in Content-Range header "${header}": strconv.ParseInt: parsing "${text.slice(0, 128)}"`
  if (!/^\+?\d+$/.test(text)) throw new AppError('RANGE_INVALID', `${prefix}: invalid syntax`)
  const bound = Number(text)
  if (!Number.isSafeInteger(bound)) throw new AppError('RANGE_INVALID', `${prefix}: value out of range`)
  return bound
}
