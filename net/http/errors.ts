import { type AppError, type ErrorCode, isAppError, messageOf } from '../../runtime/core/errors.js'
import { goJson } from '../../runtime/core/json.js'
import { type Reply } from './engine.js'

/** The one place where a code becomes a status. */
export const STATUS = {
  DIGEST_INVALID: 400,
  TAG_INVALID: 400,
  NAME_INVALID: 400,
  RANGE_INVALID: 400,
  RANGE_NOT_SATISFIABLE: 416,
  PARAMETER_INVALID: 400,
  BODY_INVALID: 400,
  BODY_TOO_LARGE: 413,
  BODY_TOO_SHORT: 400,
  SIZE_INVALID: 400,
  DIGEST_MISMATCH: 400,
  BLOB_UNKNOWN: 404,
  TAG_UNKNOWN: 404,
  UPLOAD_UNKNOWN: 404,
  UPLOAD_INVALID: 404,
  MANIFEST_UNKNOWN: 404,
  MANIFEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 400,
  NAME_UNKNOWN: 404,
  BLOB_EXISTS: 409,
  TAG_EXISTS: 409,
  RANGE_CONFLICT: 416,
  UNSUPPORTED: 405,
  DENIED: 403,
  UNAUTHORIZED: 401,
  TOO_MANY_REQUESTS: 429,
  UNAVAILABLE: 503,
  NETWORK: 502,
  TIMED_OUT: 504,
  STORAGE: 500,
  // Not 507: uploaders go on to the next origin only after 429, 502, 503 and 504.
  STORAGE_FULL: 503,
  CORRUPT: 500,
  // Nobody is left to read it; the number is the one that nginx logs for a client that hung up.
  CANCELLED: 499,
  CONFIG_INVALID: 500,
  INTERNAL: 500
} as const satisfies Record<ErrorCode, number>

/** The status of anything that was thrown. */
export function statusOf (error: unknown): number { return isAppError(error) ? STATUS[error.code] : STATUS.INTERNAL }

/** The plain text with which Kraken's own routes fail: the message alone, without a newline (http-api specification 1.6). */
export function textError (error: unknown): Reply {
  const message = messageOf(error)
  const status = statusOf(error)
  return message === '' ? { status } : { status, headers: { 'Content-Type': 'text/plain; charset=utf-8' }, body: message }
}

/** What may replace parts of a registry error. */
export interface RegistryErrorOptions {
  /** Replaces the standard text of the first error. */
  readonly message?: string
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * The JSON envelope with which registry routes fail (http-api specification 8.2); the first error decides the status. An
 * AppError's `detail` goes out as it is; without one its message does, unless that says nothing beyond the standard text.
 * Of anything else that was thrown nothing is told.
 */
export function registryError (errors: unknown, options: RegistryErrorOptions = {}): Reply {
  const list: unknown[] = Array.isArray(errors) ? errors : [errors]
  const entries = list.map((error, i) => entryOf(error, i === 0 ? options.message : undefined))
  return {
    status: registryStatusOf(list[0]),
    headers: { 'Content-Type': 'application/json', ...options.headers },
    body: goJson({ errors: entries }) + '\n'
  }
}

interface RegistryCode {
  readonly code: string
  readonly message: string
  /** Where it differs from `STATUS`. */
  readonly status?: number
}

const UNKNOWN: RegistryCode = { code: 'UNKNOWN', message: 'unknown error', status: 500 }
const UNAVAILABLE: RegistryCode = { code: 'UNAVAILABLE', message: 'service unavailable', status: 503 }
const DIGEST_INVALID: RegistryCode = { code: 'DIGEST_INVALID', message: 'provided digest did not match uploaded content' }
const SIZE_INVALID: RegistryCode = { code: 'SIZE_INVALID', message: 'provided length did not match content length' }
const UPLOAD_INVALID: RegistryCode = { code: 'BLOB_UPLOAD_INVALID', message: 'blob upload invalid' }
const RANGE_INVALID: RegistryCode = { code: 'RANGE_INVALID', message: 'invalid content range' }
const DENIED: RegistryCode = { code: 'DENIED', message: 'requested access to the resource is denied' }

const REGISTRY = {
  DIGEST_INVALID,
  TAG_INVALID: { code: 'TAG_INVALID', message: 'manifest tag did not match URI' },
  NAME_INVALID: { code: 'NAME_INVALID', message: 'invalid repository name' },
  RANGE_INVALID,
  RANGE_NOT_SATISFIABLE: RANGE_INVALID,
  PARAMETER_INVALID: { code: 'PAGINATION_NUMBER_INVALID', message: 'invalid number of results requested' },
  BODY_INVALID: UPLOAD_INVALID,
  BODY_TOO_LARGE: SIZE_INVALID,
  BODY_TOO_SHORT: SIZE_INVALID,
  SIZE_INVALID,
  DIGEST_MISMATCH: DIGEST_INVALID,
  BLOB_UNKNOWN: { code: 'BLOB_UNKNOWN', message: 'blob unknown to registry' },
  TAG_UNKNOWN: { code: 'MANIFEST_UNKNOWN', message: 'manifest unknown' },
  UPLOAD_UNKNOWN: { code: 'BLOB_UPLOAD_UNKNOWN', message: 'blob upload unknown to registry' },
  UPLOAD_INVALID,
  MANIFEST_UNKNOWN: { code: 'MANIFEST_UNKNOWN', message: 'manifest unknown' },
  MANIFEST_INVALID: { code: 'MANIFEST_INVALID', message: 'manifest invalid' },
  MANIFEST_BLOB_UNKNOWN: { code: 'MANIFEST_BLOB_UNKNOWN', message: 'blob unknown to registry' },
  NAME_UNKNOWN: { code: 'NAME_UNKNOWN', message: 'repository name not known to registry' },
  BLOB_EXISTS: DENIED,
  TAG_EXISTS: DENIED,
  RANGE_CONFLICT: RANGE_INVALID,
  UNSUPPORTED: { code: 'UNSUPPORTED', message: 'The operation is unsupported.' },
  DENIED,
  UNAUTHORIZED: { code: 'UNAUTHORIZED', message: 'authentication required' },
  TOO_MANY_REQUESTS: { code: 'TOOMANYREQUESTS', message: 'too many requests' },
  UNAVAILABLE,
  NETWORK: UNAVAILABLE,
  TIMED_OUT: UNAVAILABLE,
  STORAGE: UNKNOWN,
  STORAGE_FULL: { ...UNAVAILABLE, status: 507 },
  CORRUPT: UNKNOWN,
  CANCELLED: { code: 'UNKNOWN', message: 'unknown error' },
  CONFIG_INVALID: UNKNOWN,
  INTERNAL: UNKNOWN
} as const satisfies Record<ErrorCode, RegistryCode>

function registryCodeOf (error: unknown): RegistryCode { return isAppError(error) ? REGISTRY[error.code] : UNKNOWN }

function registryStatusOf (error: unknown): number { return registryCodeOf(error).status ?? statusOf(error) }

function entryOf (error: unknown, message: string | undefined): object {
  const standard = registryCodeOf(error)
  const text = message ?? standard.message
  const detail = isAppError(error) ? detailOf(error, text) : {}
  return detail === undefined ? { code: standard.code, message: text } : { code: standard.code, message: text, detail }
}

/** "None for UNSUPPORTED": dockerd looks at the text of such an answer, and it is the same for everybody. */
function detailOf (error: AppError, text: string): unknown {
  if (error.detail !== undefined) return error.detail
  return error.code === 'UNSUPPORTED' || error.message === '' || error.message === text ? undefined : error.message
}
