import { INLINE_HEADER, isWelcome, joinInlined } from '../../net/api/inline.js'
import { COPY_HEADER, LEASE_HEADER, LOCATIONS_HEADER, originApi, PIECE_DIGESTS_HEADER, STORE_ID_HEADER } from '../../net/api/origin.js'
import { type Route } from '../../net/api/route.js'
import { withDebug } from '../../net/http/debug.js'
import { type HttpRequest, type Reply } from '../../net/http/engine.js'
import { statusOf } from '../../net/http/errors.js'
import { fileBody } from '../../net/http/file-body.js'
import { parseChunkRange, rangeReply } from '../../net/http/range.js'
import { BINARY_TYPE, json, ok, text, TEXT_TYPE } from '../../net/http/reply.js'
import { createRouter, type RouteHandler, type Router, type RouterOptions } from '../../net/http/router.js'
import { schedulerFromJson } from '../config/sections/scheduler-json.js'
import { type SchedulerConfig } from '../config/types.js'
import { type Digest } from '../core/digest.js'
import { AppError, isAppError, messageOf } from '../core/errors.js'
import { field, isRecord, parseFirstJson } from '../core/json.js'
import { type PeerContext, peerContextToJson } from '../core/peer.js'
import { type Blobs } from './blobs.js'
import { type Cleanup } from './cleanup.js'
import { readGoInt } from './go-text.js'
import { digestParam, hoursParam, localParam, respectParam, sizeHintOf, targetParam } from './parameters.js'
import { type Backend, type Placement } from './ports.js'
import { type Pushes } from './pushes.js'
import { type BeginOptions, type Refresh } from './refresh.js'

const BLOB_TYPE = 'application/octet-stream-v1'
const CONFIG_BYTES_MAX = 64 * 1024
const DUPLICATE_BODY_BYTES_MAX = 64 * 1024
/** What clients are told to wait before they ask again for a blob that is on its way. */
const ASK_AGAIN_HEADERS = { 'Retry-After': '1' }

/** Copies that owners have to get yet. */
export interface MissingCopies {
  /** Of blobs that were pushed here, on record until they are made. */
  readonly owed: number
  /** Blobs that were found to lack a copy at one of their owners, or may lack one. */
  readonly underRepair: number
}

export interface OriginServices {
  readonly blobs: Blobs
  readonly pushes: Pushes
  readonly refresh: Refresh
  readonly cleanup: Pick<Cleanup, 'deleteOld' | 'deleteDownTo'>
  readonly placement: Placement
  readonly backend: Backend | undefined
  /** What is told of us to trackers. */
  readonly peer: PeerContext
  /** Of our disk. */
  readonly storeId: string
  /** How many copies are known to be missing. */
  readonly missingCopies: () => MissingCopies
  /** Rejects, with the reason, while this origin cannot serve. */
  readonly checkReady: () => Promise<void>
  /** Serves the blobs to peers. */
  readonly swarm: { reconfigure (scheduler: SchedulerConfig): Promise<void> }
  /** Throws if what is pushed to a namespace could not be kept. */
  readonly checkNamespace: (namespace: string) => void
}

/** The blob server (http-api specification 5): each route is one call on a service. */
export function originRouter (services: OriginServices, options: Omit<RouterOptions, 'component' | 'misses'>): Router {
  const { blobs, pushes, refresh, cleanup, placement, backend, peer, storeId, missingCopies, checkReady, checkNamespace, swarm } = services
  const router = withDebug(createRouter({ ...options, component: 'blobserver', misses: 'not-found' }))

  const on = <const Path extends string>(route: Route<Path>, handler: RouteHandler<Path>): void => {
    router.on(route, async (request, params, query) => {
      try {
        return await handler(request, params, query)
      } catch (error) {
        return withoutText(error)
      }
    })
  }
  const start = async (digest: Digest, query: URLSearchParams): Promise<Reply> =>
    ({ status: 200, headers: { Location: await pushes.start(digest, sizeHintOf(query)) } })
  const patch = async (digest: Digest, upload: string, request: HttpRequest): Promise<Reply> => {
    await pushes.write(digest, upload, parseChunkRange(request.header('content-range')), request.body)
    return ok()
  }
  /** A call of a client's push, unless it comes from another origin. */
  const pushed = async (request: HttpRequest, namespace: string, param: string, work: (digest: Digest) => Promise<Reply>): Promise<Reply> => {
    const digest = digestParam(param)
    return await (request.header(COPY_HEADER) === undefined ? pushes.forClient(namespace, digest, work(digest)) : work(digest))
  }
  const commit = async (work: Promise<void>): Promise<Reply> => {
    try {
      await work
      return ok()
    } catch (error) {
      if (!isAppError(error, 'DIGEST_MISMATCH')) throw error
      throw new AppError('DIGEST_MISMATCH', `move upload file to cache: ${error.message}`, { cause: error })
    }
  }
  const fetchMissing = async (namespace: string, digest: Digest, options?: BeginOptions): Promise<Reply> =>
    await refresh.begin(namespace, digest, options) === 'pending' ? { status: 202, headers: ASK_AGAIN_HEADERS } : { status: 404 }

  on(originApi.health, () => {
    const reply = text('OK\n')
    return { ...reply, headers: { ...reply.headers, [STORE_ID_HEADER]: storeId } }
  })
  on(originApi.replication, () => json(missingCopies(), { newline: true }))
  on(originApi.readiness, async () => {
    await checkReady().catch((error: unknown) => { throw new AppError('UNAVAILABLE', `not ready to serve traffic: ${messageOf(error)}`, { cause: error }) })
    return text('OK\n')
  })
  on(originApi.configureScheduler, async ({ body }) => {
    const bytes = await body.bytes(CONFIG_BYTES_MAX)
    try {
      await swarm.reconfigure(schedulerFromJson(parseFirstJson(Buffer.from(bytes).toString(), 'json decode')))
      return ok()
    } catch (error) {
      // The reference's origins answer 500 where its agents answer 400 (5.1).
      if (isAppError(error, 'BODY_INVALID')) return text(error.message.replace(/^json decode/, 'decode body'), 500)
      throw error
    }
  })
  on(originApi.locations, (_, { digest }) =>
    ({ status: 200, headers: { [LOCATIONS_HEADER]: placement.locations(digestParam(digest)).join(',') } }))
  on(originApi.peerContext, () => json(peerContextToJson(peer), { newline: true, type: TEXT_TYPE }))

  on(originApi.startUpload, async (request, { namespace, digest }, query) => {
    if (request.header(COPY_HEADER) === undefined) checkNamespace(namespace)
    return await pushed(request, namespace, digest, async target => await start(target, query))
  })
  on(originApi.startTransfer, async (_, { digest }, query) => await start(digestParam(digest), query))
  on(originApi.patchUpload, async (request, { namespace, digest, uid }) =>
    await pushed(request, namespace, digest, async target => await patch(target, uid, request)))
  on(originApi.patchTransfer, async (request, { digest, uid }) => await patch(digestParam(digest), uid, request))
  on(originApi.commitTransfer, async (_, { digest, uid }) => await commit(pushes.commit(digestParam(digest), uid)))
  on(originApi.commitDuplicate, async (request, { namespace, digest, uid }) => {
    const target = digestParam(digest)
    const delayMs = delayIn(await request.body.bytes(DUPLICATE_BODY_BYTES_MAX))
    return await commit(pushes.commitCopy(namespace, target, uid, delayMs))
  })
  on(originApi.commitUpload, async (_, { namespace, digest, uid }) =>
    await commit(pushes.commitReplicated(namespace, digestParam(digest), uid)))

  on(originApi.download, async (request, { namespace, digest }) => {
    const target = digestParam(digest)
    const file = await blobs.open(target)
    if (file === undefined) return await fetchMissing(namespace, target)
    const { path, sizeBytes } = file
    return rangeReply({ request, sizeBytes, headers: { 'Content-Type': BLOB_TYPE }, body: range => fileBody(path, range.offset, range.lengthBytes) })
  })
  on(originApi.prefetch, async (request, { namespace, digest }) => {
    const target = digestParam(digest)
    return await blobs.has(target) ? ok() : await fetchMissing(namespace, target, { isLeased: request.header(LEASE_HEADER) !== undefined })
  })
  on(originApi.stat, async (_, { namespace, digest }, query) => {
    const target = digestParam(digest)
    const isLocal = localParam(query)
    const sizeBytes = await blobs.sizeOf(target) ?? (isLocal ? undefined : (await backend?.stat(namespace, target))?.sizeBytes)
    return sizeBytes === undefined ? { status: 404 } : { status: 200, headLengthBytes: sizeBytes }
  })
  on(originApi.metaInfo, async (request, { namespace, digest }) => {
    const target = digestParam(digest)
    const metaInfo = await blobs.metaInfo(target)
    if (metaInfo === undefined) return await fetchMissing(namespace, target)
    const list = request.header(PIECE_DIGESTS_HEADER) === undefined ? metaInfo.serialize() : metaInfo.serializeWithDigests()
    const blob = isWelcome(request.header(INLINE_HEADER), metaInfo.lengths.totalBytes) ? await blobs.read(target) : undefined
    if (blob === undefined) return text(list)
    const { headers, body } = joinInlined(list, blob)
    return { status: 200, headers: { ...headers, 'Content-Type': BINARY_TYPE }, body }
  })
  on(originApi.overwriteMetaInfo, async (_, { digest }, query) => {
    const target = digestParam(digest)
    const pieceBytes = readGoInt(query.get('piece_length') ?? '')
    if ('fault' in pieceBytes) throw new AppError('PARAMETER_INVALID', `invalid piece_length argument: ${pieceBytes.fault}`)
    await blobs.overwriteMetaInfo(target, pieceBytes.value).catch((error: unknown) => { throw asInternal(error) })
    return ok()
  })
  on(originApi.forceCleanup, async ({ signal }, _, query) => {
    const { deleted, errors } = await cleanup.deleteOld(hoursParam(query) * 3_600_000, signal)
    return json({ deleted: orNull(deleted), errors: orNull(errors) }, { newline: true, type: TEXT_TYPE })
  })
  on(originApi.forceCleanupToTarget, async ({ signal }, _, query) => {
    const percent = await cleanup.deleteDownTo(targetParam(query), respectParam(query), signal)
    return json({ new_util: percent }, { newline: true, type: TEXT_TYPE })
  })
  on(originApi.deleteBlob, async (_, { digest }) => {
    const isDeleted = await blobs.delete(digestParam(digest)).catch((error: unknown) => { throw asInternal(error) })
    return { status: isDeleted ? 202 : 404 }
  })
  return router
}

/** Go writes an empty list as `null`. */
function orNull (list: readonly string[]): readonly string[] | null { return list.length === 0 ? null : list }

/** `{"Delay":<ns>}`, in milliseconds. @throws AppError INTERNAL */
function delayIn (bytes: Uint8Array): number {
  try {
    const body = parseFirstJson(Buffer.from(bytes).toString(), 'decode body')
    const delay = field(body, 'Delay') ?? 0
    if ((body !== null && !isRecord(body)) || typeof delay !== 'number' || !Number.isInteger(delay)) {
      throw new AppError('BODY_INVALID', 'decode body: expected {"Delay":<nanoseconds>}')
    }
    return Math.max(0, delay / 1e6)
  } catch (error) {
    throw asInternal(error)
  }
}

/** Where the reference answers 500 to what is the caller's fault, and its clients know these failures by that. */
function asInternal (error: unknown): unknown {
  return isAppError(error) ? new AppError('INTERNAL', error.message, { cause: error }) : error
}

/** These answers have no text; Kraken's clients look at their status alone. */
function withoutText (error: unknown): Reply {
  if (isAppError(error, 'BLOB_EXISTS') || isAppError(error, 'UPLOAD_UNKNOWN') || isAppError(error, 'BLOB_UNKNOWN')) return { status: statusOf(error) }
  throw error
}
