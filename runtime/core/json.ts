import { AppError } from './errors.js'

/*
 * JSON as Go's encoding/json reads and writes it (http-api specification 1.4): keys match without regard to case,
 * unknown keys are ignored, null is the zero value; writers escape <, > and &.
 */

export type JsonRecord = Readonly<Record<string, unknown>>

export function isRecord (value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Parses `text` or throws AppError BODY_INVALID with `unexpected EOF` texts like the reference's. */
export function parseJson (text: string, what: string): unknown {
  if (text.length === 0) throw new AppError('BODY_INVALID', `${what}: EOF`)
  try {
    return JSON.parse(text)
  } catch (cause) {
    const truncated = cause instanceof SyntaxError && /end of (JSON|data)|Unterminated/i.test(cause.message)
    throw new AppError('BODY_INVALID', `${what}: ${truncated ? 'unexpected EOF' : 'invalid JSON'}`, { cause })
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
