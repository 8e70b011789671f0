import { type HttpRequest, type Reply } from '../../net/http/engine.js'
import { registryError } from '../../net/http/errors.js'
import { AppError, isAppError, messageOf } from '../core/errors.js'
import { type Logger } from '../observe/log.js'

/** How many seconds clients are asked to wait when the cluster is unable at the moment. */
export const RETRY_AFTER = { 'Retry-After': '1' }

/** The answer to a request that failed. What is the world's or our fault is logged. */
export function errorReply (error: unknown, request: HttpRequest, log: Logger): Reply {
  const reply = toReply(isAppError(error, 'CANCELLED') ? afterCancel(error, request) : error)
  if (reply.status >= 500 && !request.signal.aborted) {
    log.warn({ method: request.method, path: request.rawPath, status: reply.status, error: messageOf(error) }, 'registry request failed')
  }
  return reply
}

/** True if the cluster may well be able to answer a little later. */
export function isOutage (error: unknown): boolean {
  return isAppError(error) && ['UNAVAILABLE', 'NETWORK', 'TIMED_OUT'].includes(error.code)
}

function toReply (error: unknown): Reply {
  if (isOutage(error) || isAppError(error, 'STORAGE_FULL')) {
    return registryError(error, { headers: RETRY_AFTER })
  }
  // Docker shows the message of such an answer and nothing else.
  if (isAppError(error, 'UNSUPPORTED')) return registryError(error, { message: error.message })
  if (isAppError(error, 'MANIFEST_BLOB_UNKNOWN') && Array.isArray(error.detail)) return registryError(error.detail.map(missingBlob))
  return registryError(error)
}

function missingBlob (digest: unknown): AppError { return new AppError('MANIFEST_BLOB_UNKNOWN', '', { detail: digest }) }

/** What was cancelled while the client is still there, a download of a blob being deleted for instance, can be tried again. */
function afterCancel (error: AppError, request: HttpRequest): AppError {
  return request.signal.aborted ? error : new AppError('UNAVAILABLE', error.message, { cause: error })
}
