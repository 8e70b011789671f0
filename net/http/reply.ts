import { goJson } from '../../runtime/core/json.js'
import { type Reply } from './engine.js'

export const TEXT_TYPE = 'text/plain; charset=utf-8'
export const BINARY_TYPE = 'application/octet-stream'
export const JSON_TYPE = 'application/json'

/** A short text, typed as the reference's server does by itself; '' becomes an empty reply without a type. */
export function text (body: string, status = 200): Reply {
  return body === '' ? { status } : { status, headers: { 'Content-Type': TEXT_TYPE }, body }
}

/** 200 with nothing in it: what Kraken's clients take for success (http-api specification 1.6). */
export function ok (): Reply { return { status: 200 } }

export interface JsonOptions {
  /** Ends the text with a newline, as Go's encoder does. */
  readonly newline?: boolean
  /** Many of Kraken's routes set no type and so answer JSON as plain text: pass `TEXT_TYPE` there. */
  readonly type?: string
  readonly status?: number
}

/** JSON with Go's escapes (http-api specification 1.4). */
export function json (value: unknown, options: JsonOptions = {}): Reply {
  return {
    status: options.status ?? 200,
    headers: { 'Content-Type': options.type ?? JSON_TYPE },
    body: goJson(value) + (options.newline === true ? '\n' : '')
  }
}

/** The answer to a path that no route has. */
export function notFound (): Reply {
  return {
    status: 404,
    headers: { 'Content-Type': TEXT_TYPE, 'X-Content-Type-Options': 'nosniff' },
    body: '404 page not found\n'
  }
}

/**
 * The type that Go's server writes for a body whose handler set none: readable text or not. `start` is the beginning of the
 * body; 512 bytes are looked at. The signatures of images and archives that Go knows are left out, because a blob or a JSON
 * text is nothing to show in a browser.
 */
export function sniffType (start: Uint8Array): string {
  for (const byte of start.subarray(0, 512)) if (isBinary(byte)) return BINARY_TYPE
  return TEXT_TYPE
}

/** Control characters other than tab, line feed, form feed, carriage return and escape. */
function isBinary (byte: number): boolean {
  return byte <= 0x08 || byte === 0x0b || (byte >= 0x0e && byte <= 0x1a) || (byte >= 0x1c && byte <= 0x1f)
}

/** The query of a request, decoded leniently: a broken escape stays as it is. */
export function parseQuery (rawQuery: string): URLSearchParams { return new URLSearchParams(rawQuery) }
