import { AppError, messageOf } from './errors.js'

/*
 * JSON as Go's encoding/json reads and writes it (http-api specification 1.4): keys match without regard to case,
 * unknown keys are ignored, null is the zero value; writers escape <, > and &.
 */

export type JsonRecord = Readonly<Record<string, unknown>>

export function isRecord (value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * Parses `text`.
 * @throws AppError BODY_INVALID with the reference's words where its clients log them: `EOF` for no text at all,
 *   `unexpected EOF` for a text that is cut off, `invalid character ...` for one that is no JSON from its first character
 */
export function parseJson (text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new AppError('BODY_INVALID', `${what}: ${faultOf(text, cause)}`, { cause })
  }
}

/** The first JSON value in `text`; what follows it is ignored, as by the reference's request decoders. @throws AppError BODY_INVALID */
export function parseFirstJson (text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    const end = isTrailing(cause) ? positionOf(cause) : undefined
    return parseJson(end === undefined ? text : text.slice(0, end), what)
  }
}

/** The member called `key`, exactly or else in any case; undefined if there is none or `value` is no object. */
export function field (value: unknown, key: string): unknown {
  if (!isRecord(value)) return undefined
  if (Object.hasOwn(value, key)) return value[key]
  const lower = key.toLowerCase()
  const found = Object.keys(value).find(candidate => candidate.toLowerCase() === lower)
  return found === undefined ? undefined : value[found]
}

/** `JSON.stringify` with Go's escapes of <, > and &. */
export function goJson (value: unknown): string {
  return JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/* V8 tells the kinds of syntax errors apart by their texts only. */

function isTrailing (cause: unknown): boolean { return messageOf(cause).startsWith('Unexpected non-whitespace character after JSON') }

function positionOf (cause: unknown): number | undefined {
  const position = / at position (\d+)/.exec(messageOf(cause))?.[1]
  return position === undefined ? undefined : Number(position)
}

function faultOf (text: string, cause: unknown): string {
  const first = text.trimStart().charAt(0)
  if (first === '') return 'EOF'
  if (!/[-{["0-9tfn]/.test(first)) return `invalid character ${quoteChar(first)} looking for beginning of value`
  const isCut = /end of JSON|Unterminated/.test(messageOf(cause)) || (positionOf(cause) ?? 0) >= text.length
  return isCut ? 'unexpected EOF' : 'invalid JSON'
}

/** A character as Go's `strconv.Quote` shows it, between single quotes. */
function quoteChar (char: string): string {
  const code = char.charCodeAt(0)
  if (char === "'") return "'\\''"
  return code < 0x20 || code === 0x7f ? `'\\x${code.toString(16).padStart(2, '0')}'` : `'${char}'`
}
