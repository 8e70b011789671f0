import { createHash } from 'node:crypto'
import { uploadPath } from '../../net/api/registry.js'
import { type HttpRequest } from '../../net/http/engine.js'
import { AppError } from '../core/errors.js'

/*
 * Where an upload goes on. The `Location` carries a `_state`, as that of the reference does: it ties the upload to its
 * repository, and scripts rely on there being a query to which they can append `&digest=`. It needs no secret, since an
 * upload's UUID cannot be guessed, and being computed it holds across restarts and on every proxy.
 */

/** Path and query of an upload; no scheme and no host, so that it is right behind any proxy or port mapping. */
export function uploadLocation (repository: string, upload: string): string {
  return `${uploadPath(repository, upload)}?_state=${stateOf(repository, upload)}`
}

/**
 * @throws AppError UPLOAD_INVALID for a `_state` of another upload or repository, UPLOAD_UNKNOWN for a name that this
 *   registry never gives to an upload
 */
export function checkUploadUrl (request: HttpRequest, repository: string, upload: string): void {
  const state = new URLSearchParams(request.rawQuery).get('_state')
  if (state !== null && state !== stateOf(repository, upload)) {
    throw new AppError('UPLOAD_INVALID', 'the upload belongs to another repository, or its URL was altered; use the last Location as it is')
  }
  if (!UUID.test(upload)) throw unknownUpload(upload)
}

export function unknownUpload (upload: string): AppError {
  return new AppError('UPLOAD_UNKNOWN', `there is no upload ${upload.slice(0, 64)}: it was finished, cancelled or has expired`)
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

function stateOf (repository: string, upload: string): string {
  return createHash('sha256').update(`${repository}\n${upload}`).digest('base64url').slice(0, 22)
}
