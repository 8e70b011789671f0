import { AppError } from '../core/errors.js'

/** What a client asked for of a sorted list: at most `limit` names behind `last`. */
export interface PageRequest {
  /** `undefined`: all. */
  readonly limit: number | undefined
  /** Exclusive; '' for the beginning. It need not be in the list. */
  readonly last: string
}

export interface Page {
  readonly names: readonly string[]
  /** More names follow the last one of this page. */
  readonly hasMore: boolean
}

/**
 * Reads `n` and `last` (http-api specification 9.3).
 * @throws AppError PARAMETER_INVALID if `n` is no count
 */
export function parsePageRequest (query: URLSearchParams): PageRequest {
  const n = query.get('n') ?? ''
  const last = query.get('last') ?? ''
  if (n === '') return { limit: undefined, last }
  if (!/^\d{1,15}$/.test(n)) throw new AppError('PARAMETER_INVALID', `n must be a number from 0 on, not "${n.slice(0, 32)}"`)
  return { limit: Number(n), last }
}

/** Cuts the page out of `names`, which come in any order and more than once; sorts by code unit, as other registries do. */
export function pageOf (names: readonly string[], { limit, last }: PageRequest): Page {
  const following = [...new Set(names)].filter(name => name > last).sort(byCodeUnit)
  const page = limit === undefined ? following : following.slice(0, limit)
  return { names: page, hasMore: page.length > 0 && page.length < following.length }
}

/** The `Link` header that leads to what follows `page`; no header on the last page. */
export function linkHeader (path: string, request: PageRequest, page: Page): Record<string, string> {
  const last = page.names.at(-1)
  if (!page.hasMore || last === undefined) return {}
  return { Link: `<${path}?last=${encodeURIComponent(last)}&n=${request.limit ?? page.names.length}>; rel="next"` }
}

/** The repositories of `repository:tag` names, each once; other names are none of the registry's. */
export function repositoriesOf (names: readonly string[]): string[] {
  return [...new Set(names.filter(name => name.includes(':')).map(name => name.slice(0, name.lastIndexOf(':'))))]
}

function byCodeUnit (a: string, b: string): number { return a < b ? -1 : a > b ? 1 : 0 }
