import { type Clock, systemClock } from '../../runtime/core/clock.js'
import { isAppError, messageOf } from '../../runtime/core/errors.js'
import { type Logger } from '../../runtime/observe/log.js'
import { type Params, type Route } from '../api/route.js'
import { type Handler, type HttpRequest, type Reply } from './engine.js'
import { statusOf, textError } from './errors.js'
import { decodeParam, decodePath, toText } from './path.js'
import { notFound, parseQuery, text } from './reply.js'

export { decodePath } from './path.js'

/** The parameters of a path; what a `*` at its end took is called `*`. */
export type RouteParams<Path extends string> = Params<Path> & (Path extends `${string}*` ? { readonly '*': string } : unknown)

export type RouteHandler<Path extends string = string> =
  (request: HttpRequest, params: RouteParams<Path>, query: URLSearchParams) => Promise<Reply> | Reply

/** One request that was answered, for metrics: `endpoint` is a route's static segments joined by dots, '' for a miss. */
export interface Answered {
  readonly endpoint: string
  readonly method: string
  readonly status: number
  /** Until the reply was ready to be sent. */
  readonly tookMs: number
}

export interface RouterOptions {
  /** Named in log lines. */
  readonly component: string
  /** What a known path answers to an unlisted method: the 404 of an unknown path, or an empty 405 (http-api specification 1.6). */
  readonly misses: 'not-found' | 'method-not-allowed'
  readonly log: Logger
  /** Takes all that no route matches, instead of the misses. */
  readonly fallback?: Handler
  readonly observe?: (answered: Answered) => void
  readonly clock?: Clock
}

export function createRouter (options: RouterOptions): Router { return new Router(options) }

/**
 * Finds the handler of a request and turns whatever it throws into a reply. Static segments win over parameters; HEAD is
 * served only where a route lists it.
 */
export class Router {
  readonly #options: RouterOptions
  readonly #clock: Clock
  readonly #entries: Entry[] = []

  constructor (options: RouterOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  on<const Path extends string> (route: Route<Path>, handler: RouteHandler<Path>): this {
    this.#entries.push(entryOf(route, (request, captured) => {
      // The parameters are those that the path names: this is where their type is made.
      return handler(request, captured as RouteParams<Path>, parseQuery(request.rawQuery))
    }))
    this.#entries.sort(byPrecedence)
    return this
  }

  /** For `listen`. Never throws, and never rejects. */
  readonly handle: Handler = request => {
    const startedAt = this.#clock.now()
    const answered = (endpoint: string, reply: Reply): Reply => {
      this.#options.observe?.({ endpoint, method: request.method, status: reply.status, tookMs: this.#clock.now() - startedAt })
      return reply
    }
    const match = this.#match(request)
    const endpoint = match.endpoint
    try {
      const reply = match.run()
      if (!(reply instanceof Promise)) return answered(endpoint, reply)
      return reply.catch((error: unknown) => this.#failed(request, error)).then(reply => answered(endpoint, reply))
    } catch (error) {
      return answered(endpoint, this.#failed(request, error))
    }
  }

  #match (request: HttpRequest): { endpoint: string, run: () => Promise<Reply> | Reply } {
    const path = decodePath(request.rawPath)
    if (path === undefined) return { endpoint: '', run: () => text('400 Bad Request', 400) }
    const segments = path.routed.split('/')
    let isKnown = false
    for (const entry of this.#entries) {
      if (!fits(entry, segments, path.routed)) continue
      isKnown = true
      if (entry.method !== request.method) continue
      return { endpoint: entry.endpoint, run: () => entry.run(request, capture(entry, segments, path.once)) }
    }
    const { fallback, misses } = this.#options
    if (fallback !== undefined) return { endpoint: '', run: () => fallback(request) }
    const miss = isKnown && misses === 'method-not-allowed' ? { status: 405 } : notFound()
    return { endpoint: '', run: () => miss }
  }

  #failed (request: HttpRequest, error: unknown): Reply {
    const { component, log } = this.#options
    const fields = { component, method: request.method, path: request.rawPath.slice(0, 512), reason: messageOf(error) }
    if (!isAppError(error)) log.error({ ...fields, stack: error instanceof Error ? error.stack : undefined }, 'request crashed')
    else if (statusOf(error) >= 500) log.warn({ ...fields, code: error.code }, 'request failed')
    else log.debug({ ...fields, code: error.code }, 'request refused')
    return textError(error)
  }
}

interface Entry {
  readonly method: string
  readonly endpoint: string
  /** Static text, or a parameter's name. */
  readonly segments: ReadonlyArray<{ readonly text: string, readonly isParam: boolean }>
  /** The path up to and including the slash before the `*`, for routes that end in one. */
  readonly prefix: string | undefined
  readonly run: (request: HttpRequest, captured: Readonly<Record<string, string>>) => Promise<Reply> | Reply
}

function entryOf (route: Route, run: Entry['run']): Entry {
  const prefix = route.path.endsWith('/*') ? route.path.slice(0, -1) : undefined
  if (prefix?.includes('{') === true) throw new Error(`route ${route.path} has parameters before its *`)
  const segments = route.path.split('/').map(segment => {
    const name = /^\{(\w+)\}$/.exec(segment)?.[1]
    return name === undefined ? { text: segment, isParam: false } : { text: name, isParam: true }
  })
  const isNamed = ({ text, isParam }: { text: string, isParam: boolean }): boolean => !isParam && text !== '' && text !== '*'
  const endpoint = segments.filter(isNamed).map(segment => segment.text).join('.')
  return { method: route.method, endpoint, segments, prefix, run }
}

function fits (entry: Entry, segments: readonly string[], routed: string): boolean {
  if (entry.prefix !== undefined) return routed.startsWith(entry.prefix)
  if (entry.segments.length !== segments.length) return false
  return entry.segments.every(({ text, isParam }, i) => {
    if (!isParam) return text === segments[i]
    return i < segments.length - 1 || segments[i] !== ''
  })
}

/** @throws AppError PARAMETER_INVALID */
function capture (entry: Entry, segments: readonly string[], once: string): Record<string, string> {
  if (entry.prefix !== undefined) return { '*': toText('*', once.slice(entry.prefix.length)) }
  const captured: Record<string, string> = {}
  for (const [i, { text: name, isParam }] of entry.segments.entries()) {
    if (isParam) captured[name] = decodeParam(name, segments[i] ?? '')
  }
  return captured
}

/** Static before parameter, parameter before `*`, decided by the first segment in which two routes differ. */
function byPrecedence (a: Entry, b: Entry): number {
  if (a.prefix !== undefined || b.prefix !== undefined) return (a.prefix === undefined ? 0 : 1) - (b.prefix === undefined ? 0 : 1)
  for (let i = 0; i < Math.min(a.segments.length, b.segments.length); i++) {
    const isParam = Number(a.segments[i]?.isParam) - Number(b.segments[i]?.isParam)
    if (isParam !== 0) return isParam
  }
  return 0
}
