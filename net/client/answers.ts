import { AppError, type ErrorCode, isAppError } from '../../runtime/core/errors.js'
import { isRecord } from '../../runtime/core/json.js'
import { type HttpAnswer, type HttpHead } from './http.js'

/** An answer that is no success as an error; `detail` is `{ status, text }`, the text cut to 500 characters. */
export function refusal (what: string, { status, text }: { readonly status: number, readonly text: string }): AppError {
  const said = text.slice(0, 500)
  return new AppError(codeOf(status), `${what} answered ${status}${said === '' ? '' : `: ${said}`}`, { detail: { status, text: said } })
}

/** The answer, if its status is 200. @throws AppError by its status */
export function must200 (what: string, answer: HttpAnswer): HttpAnswer {
  if (answer.status !== 200) throw refusal(what, answer)
  return answer
}

/** The status of an answer that was turned into an error by `refusal`. */
export function answeredStatus (error: unknown): number | undefined {
  if (!isAppError(error) || !isRecord(error.detail)) return undefined
  return typeof error.detail.status === 'number' ? error.detail.status : undefined
}

/** The text of an answer that was turned into an error by `refusal`. */
export function answeredText (error: unknown): string {
  return isAppError(error) && isRecord(error.detail) && typeof error.detail.text === 'string' ? error.detail.text : ''
}

/** No HTTP answer: the one reason for which clients of trackers and build-indexes ask another host. */
export function isNetworkError (error: unknown): boolean { return isAppError(error, 'NETWORK') || isAppError(error, 'TIMED_OUT') }

/** Worth another try, here or elsewhere (http-api specification 1.8). */
export function isRetryable (error: unknown): boolean {
  return isNetworkError(error) || RETRYABLE.has(answeredStatus(error) ?? 0)
}

/** The number of bytes that an answer to HEAD states; 0 if it states none. */
export function statedSize (head: HttpHead): number {
  const size = Number(head.header('content-length') ?? 0)
  return Number.isSafeInteger(size) && size >= 0 ? size : 0
}

const RETRYABLE: ReadonlySet<number> = new Set([429, 502, 503, 504])

const CODES: Readonly<Record<number, ErrorCode>> = {
  401: 'UNAUTHORIZED',
  403: 'DENIED',
  404: 'BLOB_UNKNOWN',
  409: 'BLOB_EXISTS',
  413: 'BODY_TOO_LARGE',
  416: 'RANGE_NOT_SATISFIABLE',
  429: 'TOO_MANY_REQUESTS'
}

function codeOf (status: number): ErrorCode {
  return CODES[status] ?? (status >= 400 && status < 500 ? 'PARAMETER_INVALID' : 'UNAVAILABLE')
}
