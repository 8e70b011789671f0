import { AppError, isAppError, messageOf } from '../runtime/core/errors.js'
import { type JobFailure, type JobResult } from './jobs.js'

/** What is sent instead of an error: its code and message. Anything but an AppError is our own fault and becomes INTERNAL. */
export function failureOf (error: unknown): JobFailure {
  return isAppError(error)
    ? { ok: false, code: error.code, message: error.message }
    : { ok: false, code: 'INTERNAL', message: messageOf(error) }
}

/** Turns what came back into a value, or throws the AppError that was sent. */
export function unwrap<Output> (result: JobResult<Output>): Output {
  if (result.ok) return result.value
  throw new AppError(result.code, result.message)
}
