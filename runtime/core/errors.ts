/**
 * Every failure that somebody outside the process can see has one of these codes. `net/http/errors.ts` maps a code to a
 * status; nothing else does.
 */
export type ErrorCode =
  // the caller's fault
  | 'DIGEST_INVALID' | 'TAG_INVALID' | 'NAME_INVALID' | 'RANGE_INVALID' | 'RANGE_NOT_SATISFIABLE' | 'PARAMETER_INVALID'
  | 'BODY_INVALID' | 'BODY_TOO_LARGE' | 'BODY_TOO_SHORT' | 'SIZE_INVALID' | 'DIGEST_MISMATCH'
  | 'BLOB_UNKNOWN' | 'TAG_UNKNOWN' | 'UPLOAD_UNKNOWN' | 'UPLOAD_INVALID' | 'MANIFEST_UNKNOWN' | 'MANIFEST_INVALID'
  | 'MANIFEST_BLOB_UNKNOWN' | 'NAME_UNKNOWN' | 'BLOB_EXISTS' | 'TAG_EXISTS' | 'RANGE_CONFLICT' | 'UNSUPPORTED' | 'DENIED'
  | 'UNAUTHORIZED' | 'TOO_MANY_REQUESTS'
  // the world's fault
  | 'UNAVAILABLE' | 'NETWORK' | 'TIMED_OUT' | 'STORAGE' | 'STORAGE_FULL' | 'CORRUPT' | 'CANCELLED' | 'CONFIG_INVALID'
  // ours
  | 'INTERNAL'

/** A failure with a code. Its message says what happened, to what and, where a person can act on it, what to do. */
export class AppError extends Error {
  override readonly name = 'AppError'
  constructor (readonly code: ErrorCode, message: string, options?: ErrorOptions & { detail?: unknown }) {
    super(message, options)
    this.detail = options?.detail
  }

  /** Structured detail for clients that get JSON errors (the registry). */
  readonly detail: unknown
}

/** True for an AppError with this code, or with any code if none is named. */
export function isAppError (error: unknown, code?: ErrorCode): error is AppError {
  return error instanceof AppError && (code === undefined || error.code === code)
}

/** The message of anything that was thrown. */
export function messageOf (error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The `code` of a failed system call (`ENOENT`, ...), or undefined. */
export function systemCodeOf (error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
