import { AppError } from '../../runtime/core/errors.js'

/*
 * A small blob in one answer with its metainfo: what costs is the round trips, not the bytes. Whoever asks for metainfo says
 * how much of the blob is welcome behind it; who does not know of this, as Kraken, answers as ever.
 *
 *   request     shoal-inline: 65536                at most so many bytes
 *   answer      shoal-inline: 312                  length of the metainfo
 *               | metainfo, JSON, 312 bytes | the blob, to the end |
 */

/** Request and response header. */
export const INLINE_HEADER = 'shoal-inline'
/** What goes through trackers at most: a larger blob is worth the connections that a swarm takes. */
export const INLINE_BYTES_MAX = 64 * 1024

/** Whether the caller that sent this header wants a blob of this size; not if it does not say, or not clearly. */
export function isWelcome (header: string | undefined, sizeBytes: number): boolean {
  return header !== undefined && /^\d{1,9}$/.test(header) && sizeBytes <= Math.min(Number(header), INLINE_BYTES_MAX)
}

/**
 * Metainfo and blob as one body, and the headers that say so. A cache in between knows answers by their address alone, and
 * must not give this one to somebody who did not ask for it.
 */
export function joinInlined (metaInfo: string, blob: Uint8Array): { readonly headers: Record<string, string>, readonly body: Uint8Array } {
  const head = Buffer.from(metaInfo)
  return { headers: { [INLINE_HEADER]: String(head.length), 'Cache-Control': 'no-store' }, body: Buffer.concat([head, blob]) }
}

/**
 * The two parts of an answer; no `blob` if the answer is only metainfo.
 * @throws AppError CORRUPT if the header does not fit the body
 */
export function splitInlined (
  what: string, header: string | undefined, body: Buffer
): { readonly metaInfo: string, readonly blob: Uint8Array | undefined } {
  if (header === undefined) return { metaInfo: body.toString('utf8'), blob: undefined }
  const length = /^\d{1,9}$/.test(header) ? Number(header) : NaN
  if (!(length <= body.length) || body.length - length > INLINE_BYTES_MAX) {
    throw new AppError('CORRUPT', `${what} is said to be ${header.slice(0, 20)} of ${body.length} bytes`)
  }
  // A copy: the rest of the body need not be kept, nor cloned on the way to other threads.
  return { metaInfo: body.toString('utf8', 0, length), blob: new Uint8Array(body.subarray(length)) }
}
