import { AppError } from '../../runtime/core/errors.js'

/*
 * Request paths are decoded in two stages (http-api specification 1.2). Escapes stand for bytes, not for characters, so in
 * between paths are byte strings: each character is one byte, U+0000 to U+00FF.
 */

/** A path between the two stages, as byte strings. */
export interface DecodedPath {
  /** What is split at its slashes and compared with the routes. */
  readonly routed: string
  /** The path decoded once; a `*` takes its value from here. */
  readonly once: string
}

/**
 * The first stage: a path that Go would have escaped in the same way is routed decoded, any other as it came.
 * @returns undefined for a broken escape or a control character, which Go's server refuses before any handler
 */
export function decodePath (rawPath: string): DecodedPath | undefined {
  const raw = toBytes(rawPath)
  if (hasControl(raw)) return undefined
  if (!raw.includes('%')) return { routed: raw, once: raw }
  if (brokenEscape(raw) !== undefined) return undefined
  const once = unescape(raw)
  return { routed: escapePath(once) === raw ? once : raw, once }
}

/**
 * The second stage, for one captured segment.
 * @throws AppError PARAMETER_INVALID if it is empty or badly escaped
 */
export function decodeParam (name: string, segment: string): string {
  if (segment === '') throw new AppError('PARAMETER_INVALID', `param ${name} is required`)
  const broken = brokenEscape(segment)
  if (broken !== undefined) throw new AppError('PARAMETER_INVALID', `path unescape ${name}: invalid URL escape "${broken}"`)
  return toText(name, segment.includes('%') ? unescape(segment) : segment)
}

/** A byte string as text. @throws AppError PARAMETER_INVALID if it is not UTF-8: replacements would make different names equal */
export function toText (name: string, bytes: string): string {
  if (isAscii(bytes)) return bytes
  try {
    return utf8.decode(Buffer.from(bytes, 'latin1'))
  } catch (cause) {
    throw new AppError('PARAMETER_INVALID', `path unescape ${name}: invalid UTF-8`, { cause })
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const HEX_PAIR = /^%[0-9A-Fa-f]{2}$/
/** What Go's path encoding leaves alone. */
const PLAIN = /[^A-Za-z0-9\-_.~$&+,/:;=@]/g

function toBytes (text: string): string { return isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1') }

function isAscii (text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false
  return true
}

function hasControl (bytes: string): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes.charCodeAt(i) < 0x20 || bytes.charCodeAt(i) === 0x7f) return true
  return false
}

/** The first escape that is none, as Go quotes it: the `%` and what follows, three characters at most. */
function brokenEscape (bytes: string): string | undefined {
  for (let at = bytes.indexOf('%'); at !== -1; at = bytes.indexOf('%', at + 3)) {
    const escaped = bytes.slice(at, at + 3)
    if (!HEX_PAIR.test(escaped)) return escaped
  }
  return undefined
}

function unescape (bytes: string): string {
  return bytes.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

function escapePath (bytes: string): string {
  return bytes.replace(PLAIN, c => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
}
