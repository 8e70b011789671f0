import { AppError } from '../core/errors.js'
import { type PageQuery } from './tag-index.js'

/** Size of a page when only its beginning is given. */
const LIMIT_DEFAULT = 250

/** What the query of a list asks for. */
export interface ListQuery {
  readonly page: PageQuery
  /** As it was given, for the link to the next page. */
  readonly limit: string | undefined
}

/**
 * Reads `limit` and `offset` (http-api specification 7.4). A negative limit is none; without either the list is whole.
 * @throws AppError PARAMETER_INVALID for other keys, repeated ones, and a limit that is 0 or no integer
 */
export function parseListQuery (query: URLSearchParams): ListQuery {
  for (const key of query.keys()) {
    if ((key !== 'limit' && key !== 'offset') || query.getAll(key).length > 1) throw new AppError('PARAMETER_INVALID', `invalid query ${key}`)
  }
  const limit = query.get('limit') ?? undefined
  const offset = query.get('offset') ?? undefined
  const count = limit === undefined ? (offset === undefined ? Infinity : LIMIT_DEFAULT) : parseLimit(limit)
  return { limit, page: { limit: count < 0 ? Infinity : count, after: offset === undefined || offset === '' ? undefined : decodeToken(offset) } }
}

/** The query of the next page, keys sorted. */
export function nextQuery ({ limit }: ListQuery, after: string): string {
  return new URLSearchParams({ ...(limit === undefined ? {} : { limit }), offset: encodeToken(after) }).toString()
}

function parseLimit (text: string): number {
  const limit = /^[+-]?\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (Number.isNaN(limit)) throw new AppError('PARAMETER_INVALID', `invalid limit ${text.slice(0, 64)}: expected an integer`)
  if (limit === 0) throw new AppError('PARAMETER_INVALID', `invalid limit ${limit}`)
  return limit
}

/* A token is the last name of the page before: it stays good while tags come and go. */

function encodeToken (name: string): string { return Buffer.from(name).toString('base64url') }

function decodeToken (token: string): string { return Buffer.from(token, 'base64url').toString() }
