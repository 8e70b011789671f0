import { type Digest, parseDigest } from '../core/digest.js'
import { AppError, isAppError } from '../core/errors.js'
import { readGoBool, readGoInt } from './go-text.js'
import { BLOB_BYTES_MAX } from './pushes.js'

/*
 * The parameters of the blob server's routes (http-api specification 5), refused in the reference's words.
 */

export function digestParam (param: string): Digest {
  try {
    return parseDigest(param)
  } catch (error) {
    if (!isAppError(error)) throw error
    throw new AppError(error.code, `parse digest: ${error.message}`, { cause: error })
  }
}

/** The size that the client expects to send; it is a hint, so anything that is no size is as good as none. */
export function sizeHintOf (query: URLSearchParams): number | undefined {
  const read = readGoInt(query.get('size') ?? '')
  return 'value' in read && read.value >= 0 && read.value <= BLOB_BYTES_MAX ? read.value : undefined
}

export function localParam (query: URLSearchParams): boolean {
  const param = query.get('local') ?? ''
  const read = readGoBool(param === '' ? 'false' : param)
  if ('fault' in read) throw new AppError('INTERNAL', `parse arg \`local\` as bool: ${read.fault}`)
  return read.value
}

/** @throws AppError PARAMETER_INVALID */
export function hoursParam (query: URLSearchParams): number {
  const param = query.get('ttl_hr') ?? ''
  if (param === '') throw new AppError('PARAMETER_INVALID', 'query arg ttl_hr required')
  const read = readGoInt(param)
  if ('fault' in read) throw new AppError('PARAMETER_INVALID', `invalid ttl_hr: ${read.fault.replace('ParseInt', 'Atoi')}`)
  if (read.value < 0) throw new AppError('PARAMETER_INVALID', `invalid ttl_hr: ${read.value} is less than 0`)
  return read.value
}

/** @throws AppError PARAMETER_INVALID */
export function targetParam (query: URLSearchParams): number {
  const read = readGoInt(query.get('target_util_percent') ?? '')
  if ('fault' in read) throw new AppError('PARAMETER_INVALID', `invalid target_util_percent: ${read.fault}`)
  if (read.value < 0 || read.value > 99) throw new AppError('PARAMETER_INVALID', `invalid target_util_percent: ${read.value} is not from 0 to 99`)
  return read.value
}

/** @throws AppError PARAMETER_INVALID */
export function respectParam (query: URLSearchParams): boolean {
  const read = readGoBool(query.get('respect_eviction_ban') ?? '')
  if ('fault' in read) throw new AppError('PARAMETER_INVALID', `invalid respect_eviction_ban: ${read.fault}`)
  return read.value
}
