import { withDebug } from '../../net/http/debug.js'
import { type Handler, type HttpRequest, type Reply } from '../../net/http/engine.js'
import { json, ok, text, TEXT_TYPE } from '../../net/http/reply.js'
import { createRouter, type Router } from '../../net/http/router.js'
import { buildIndexApi, TAG_VERSION_HEADER } from '../../net/api/build-index.js'
import { parseDigest, type Digest } from '../core/digest.js'
import { AppError, isAppError, messageOf } from '../core/errors.js'
import { field, isRecord, parseFirstJson } from '../core/json.js'
import { type Logger } from '../observe/log.js'
import { formatVersion, parseVersion, type TagVersion } from '../store/tag-version.js'
import { nextQuery, parseListQuery } from './list-query.js'
import { checkTag } from './tag-name.js'
import { type Page, type PageQuery } from './tag-index.js'

/** A duplicate replication may name every blob of an image, as Kraken's does. */
export const BODY_BYTES_MAX = 2 * 1024 * 1024
/** A duplicate put says when to write back. */
const PUT_BODY_BYTES_MAX = 64 * 1024
const DELAY_MAX_MS = 31 * 86_400_000

export interface PutOptions {
  /** Where the tag must point for it to be put. */
  readonly onlyIf?: Expected
  /** Has the tag copied to other clusters. */
  readonly isReplicated?: boolean
  /** Since when it points there, if another cluster says so. */
  readonly version?: TagVersion | undefined
}

/** What the routes call. */
export interface BuildIndexService {
  /**
   * Checks that the tag is complete, then points it at `digest`. With `onlyIf` only from there: of several such puts through
   * one build-index one succeeds, and the others know that they have to look again.
   * @throws AppError TAG_EXISTS if it points elsewhere
   */
  put (tag: string, digest: Digest, signal: AbortSignal, options?: PutOptions): Promise<void>
  /** Points the tag at `digest` because another build-index, which has checked it, says so; it may say since when. */
  putDuplicate (tag: string, digest: Digest, version: TagVersion | undefined, delayMs: number): Promise<void>
  /** Has the tag copied to the clusters that are to have it; false if there is no such tag. */
  replicate (tag: string, signal: AbortSignal): Promise<boolean>
  /** The same later, because another build-index has begun with it and may not come to its end. */
  replicateDuplicate (tag: string, delayMs: number): Promise<void>
  get (tag: string, signal: AbortSignal): Promise<Digest | undefined>
  /** By our own records alone. */
  version (tag: string): Promise<TagVersion | undefined>
  /** Deletes the tag, if it points at `digest` where one is named; false if it does not, or if there is none. */
  delete (tag: string, digest: Digest | undefined, signal: AbortSignal): Promise<boolean>
  page (prefix: string, query: PageQuery): Promise<Page> | Page
  /** `host:port` of the origins, as other clusters reach them. */
  readonly originAddress: string
  checkReadiness (signal: AbortSignal): Promise<void>
}

/** The HTTP surface of the build-index (http-api specification 7). */
export function createBuildIndexHandler (service: BuildIndexService, log: Logger): Handler { return buildIndexRouter(service, log).handle }

export function buildIndexRouter (service: BuildIndexService, log: Logger): Router {
  const site: Site = { service, log }
  const router = withDebug(createRouter({ component: 'build-index', misses: 'method-not-allowed', log }))
  router.on(buildIndexApi.health, () => text('OK\n'))
  router.on(buildIndexApi.readiness, async request => readiness(service, request))
  router.on(buildIndexApi.putTag, async (request, params, query) => putTag(site, request, params, query))
  router.on(buildIndexApi.putDuplicate, async (request, params) => putDuplicate(site, request, params))
  router.on(buildIndexApi.getTag, async ({ signal }, { tag }) => getTag(site, tag, signal))
  // The reference's front layer asks for the tag itself here, and remote replication depends on it (2.4).
  router.on(buildIndexApi.hasTag, async ({ signal }, { tag }) => getTag(site, tag, signal))
  router.on(buildIndexApi.tagVersion, async (_, { tag }) => {
    const version = await service.version(checkTag(tag))
    return version === undefined ? { status: 404 } : text(formatVersion(version))
  })
  router.on(buildIndexApi.deleteTag, async ({ signal }, { tag }, query) => deleteTag(site, tag, query.get('digest'), signal))
  router.on(buildIndexApi.replicate, async (request, { tag }) => replicate(site, request, tag))
  router.on(buildIndexApi.replicateDuplicate, async (request, params) => replicateDuplicate(site, request, params))
  router.on(buildIndexApi.repositoryTags, async (request, { repo }, query) => listRepository(service, request, repo, query))
  router.on(buildIndexApi.list, async (request, params, query) => list(service, request, params['*'], query))
  router.on(buildIndexApi.origin, () => text(service.originAddress))
  return router
}

/** What a tag is expected to point at; `none`: it is expected not to be there. */
export type Expected = Digest | 'none'

interface Site { readonly service: BuildIndexService, readonly log: Logger }

async function readiness (service: BuildIndexService, { signal }: HttpRequest): Promise<Reply> {
  try {
    await service.checkReadiness(signal)
    return text('OK\n')
  } catch (error) {
    return text(`not ready to serve traffic: ${messageOf(error)}`, 503)
  }
}

async function putTag ({ service, log }: Site, request: HttpRequest, params: TagParams, query: URLSearchParams): Promise<Reply> {
  const { tag, digest } = targetOf(params)
  return orFailure(log.child({ tag }), '', async () => {
    const isReplicated = booleanOf('replicate', query.get('replicate') ?? 'false')
    const onlyIf = query.get('onlyif')
    const version = parseVersion(request.header(TAG_VERSION_HEADER) ?? '')
    try {
      await service.put(tag, digest, request.signal, { isReplicated, version, ...onlyIf === null ? {} : { onlyIf: expectedOf(onlyIf) } })
    } catch (error) {
      if (!isAppError(error, 'TAG_EXISTS')) throw error
      return text(error.message, 409)
    }
    return ok()
  })
}

async function putDuplicate ({ service, log }: Site, request: HttpRequest, params: TagParams): Promise<Reply> {
  const { tag, digest } = targetOf(params)
  const bytes = await request.body.bytes(PUT_BODY_BYTES_MAX)
  return orFailure(log.child({ tag }), '', async () => {
    const message = parseFirstJson(Buffer.from(bytes).toString(), 'decode body')
    if (!isRecord(message) && message !== null) throw new AppError('BODY_INVALID', 'decode body: expected an object such as {"delay":0}')
    const delayMs = delayIn(message)
    await service.putDuplicate(tag, digest, parseVersion(request.header(TAG_VERSION_HEADER) ?? ''), delayMs)
    return ok()
  })
}

async function replicate ({ service, log }: Site, { signal }: HttpRequest, tag: string): Promise<Reply> {
  checkTag(tag)
  return orFailure(log.child({ tag }), '', async () => await service.replicate(tag, signal) ? ok() : { status: 404 })
}

/** Another build-index asks to see later to what it has begun itself (7.2). */
async function replicateDuplicate ({ service, log }: Site, { body }: HttpRequest, params: TagParams): Promise<Reply> {
  const tag = checkTag(params.tag)
  const bytes = await body.bytes(BODY_BYTES_MAX)
  return orFailure(log.child({ tag }), '', async () => {
    targetOf(params)
    const message = parseFirstJson(Buffer.from(bytes).toString(), 'decode body')
    checkReplication(message)
    await service.replicateDuplicate(tag, delayIn(message))
    return ok()
  })
}

async function getTag ({ service, log }: Site, tag: string, signal: AbortSignal): Promise<Reply> {
  checkTag(tag)
  return orFailure(log.child({ tag }), 'storage: ', async () => {
    try {
      const digest = await service.get(tag, signal)
      return digest === undefined ? { status: 404, headLengthBytes: 0 } : text(digest)
    } catch (error) {
      // Nothing is wrong with the tag: somebody else may know, or we in a moment.
      if (isAppError(error, 'UNAVAILABLE')) return { ...text(error.message, 503), headers: { 'Content-Type': TEXT_TYPE, 'Retry-After': '1' } }
      throw error
    }
  })
}

async function deleteTag ({ service, log }: Site, tag: string, digest: string | null, signal: AbortSignal): Promise<Reply> {
  checkTag(tag)
  const only = digest === null ? undefined : parseDigest(digest)
  return orFailure(log.child({ tag }), 'storage: ', async () => ({ status: await service.delete(tag, only, signal) ? 202 : 404 }))
}

/** @throws AppError DIGEST_INVALID */
function expectedOf (text: string): Expected { return text === 'none' ? 'none' : parseDigest(text) }

/** Bare tags; names that are not `repo:tag` are left out. */
async function listRepository (service: BuildIndexService, request: HttpRequest, repository: string, query: URLSearchParams): Promise<Reply> {
  const path = repository.replace(/^\/+|\/+$/g, '')
  return await pageOf(service, request, `${path}/_manifests/tags`, query, names => {
    const tags = names.map(name => name.slice(path.length + 1))
    return tags.filter(tag => !/[:/]/.test(tag))
  })
}

async function list (service: BuildIndexService, request: HttpRequest, prefix: string, query: URLSearchParams): Promise<Reply> {
  return await pageOf(service, request, prefix, query, names => names)
}

async function pageOf (
  service: BuildIndexService, request: HttpRequest, prefix: string, query: URLSearchParams, shown: (names: string[]) => string[]
): Promise<Reply> {
  const listQuery = parseListQuery(query)
  const { names, next } = await service.page(prefix, listQuery.page)
  const result = shown(names)
  const self = request.rawQuery === '' ? request.rawPath : `${request.rawPath}?${request.rawQuery}`
  return json({
    Links: { next: next === undefined ? '' : `${request.rawPath}?${nextQuery(listQuery, next)}`, self },
    size: result.length,
    result: result.length === 0 ? null : result
  }, { newline: true, type: TEXT_TYPE })
}

interface TagParams { readonly tag: string, readonly digest: string }

/** @throws AppError TAG_INVALID, DIGEST_INVALID */
function targetOf (params: TagParams): { tag: string, digest: Digest } {
  const tag = checkTag(params.tag)
  try {
    return { tag, digest: parseDigest(params.digest) }
  } catch (cause) {
    throw new AppError('DIGEST_INVALID', `parse digest: ${messageOf(cause)}`, { cause })
  }
}

/** `{"dependencies":["sha256:..."]|null,"delay":<ns>}`, in any case. @throws AppError BODY_INVALID, DIGEST_INVALID */
function checkReplication (message: unknown): void {
  if (!isRecord(message) && message !== null) throw new AppError('BODY_INVALID', 'decode body: expected an object such as {"dependencies":null,"delay":0}')
  const dependencies = field(message, 'dependencies') ?? []
  if (!Array.isArray(dependencies)) throw new AppError('BODY_INVALID', 'decode body: dependencies must be a list of digests')
  for (const dependency of dependencies) parseDigest(String(dependency))
}

/** `delay` in nanoseconds, as milliseconds; nobody means more than a month. */
function delayIn (message: unknown): number {
  const delay = field(message, 'delay')
  return typeof delay === 'number' && delay > 0 ? Math.min(delay / 1e6, DELAY_MAX_MS) : 0
}

const TRUE = ['1', 't', 'T', 'TRUE', 'true', 'True']
const FALSE = ['0', 'f', 'F', 'FALSE', 'false', 'False']

function booleanOf (key: string, value: string): boolean {
  if (TRUE.includes(value)) return true
  if (FALSE.includes(value)) return false
  throw new AppError('PARAMETER_INVALID', `parse query arg \`${key}\`: strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`)
}

/** These routes fail with 500 and the text, whatever it is; their clients take every other status for something else (7.2, 7.3). */
async function orFailure (log: Logger, prefix: string, work: () => Promise<Reply>): Promise<Reply> {
  try {
    return await work()
  } catch (error) {
    const reason = prefix + messageOf(error)
    log.warn({ reason }, 'tag request failed')
    return text(reason, 500)
  }
}
