import { type TagClient } from '../../net/client/clients.js'
import { agentApi } from '../../net/api/agent.js'
import { withDebug } from '../../net/http/debug.js'
import { type Handler, type HttpRequest, type Reply } from '../../net/http/engine.js'
import { statusOf } from '../../net/http/errors.js'
import { json, ok, text, TEXT_TYPE } from '../../net/http/reply.js'
import { createRouter, type RouteHandler } from '../../net/http/router.js'
import { type SwarmCalls, type SwarmStats } from '../../workers/jobs.js'
import { schedulerFromJson } from '../config/sections/scheduler-json.js'
import { type SchedulerConfig } from '../config/types.js'
import { type Digest, digestFromHex, parseDigest, parseDigestHex } from '../core/digest.js'
import { AppError, isAppError, messageOf } from '../core/errors.js'
import { idToJson } from '../core/id-bytes.js'
import { parseFirstJson } from '../core/json.js'
import { type Logger } from '../observe/log.js'
import { serveBlob } from '../registry/blobs.js'
import { isOutage, RETRY_AFTER } from '../registry/errors.js'
import { type RegistryReads } from '../registry/transfer.js'
import { type AgentHealth } from './health.js'
import { type Preloader } from './preload.js'

const CONFIG_BYTES_MAX = 64 * 1024

/** What the agent server needs of the swarm. */
export interface SwarmControl {
  remove (digest: Digest): Promise<boolean>
  blacklist (): Promise<SwarmCalls['blacklist']['output']>
  stats (): Promise<SwarmStats>
  reconfigure (scheduler: SchedulerConfig): Promise<void>
}

export interface AgentServerOptions {
  readonly reads: RegistryReads
  readonly swarm: SwarmControl
  readonly tags: Pick<TagClient, 'get'>
  readonly health: AgentHealth
  readonly preloader: Pick<Preloader, 'preload'>
  readonly log: Logger
}

/** The agent's own API (http-api specification 3.1). */
export function createAgentServer ({ reads, swarm, tags, health, preloader, log }: AgentServerOptions): Handler {
  const download = async (request: HttpRequest, params: { namespace: string, digest: string }): Promise<Reply> => {
    const digest = digestParameter(params.digest)
    try {
      return await serveBlob({ reads, writes: undefined }, request, { repository: params.namespace, digest, name: digest })
    } catch (error) {
      return downloadFailure(error, request, log)
    }
  }
  const preload: RouteHandler<typeof agentApi.preload.path> = async ({ signal }, { tag }, query) =>
    await preloader.preload({ tag, runtime: query.get('runtime') ?? '', namespace: query.get('namespace') ?? '', signal })
  const router = withDebug(createRouter({ component: 'agent', misses: 'not-found', log }))
    .on(agentApi.health, async () => await health.live())
    .on(agentApi.readiness, async () => await health.ready())
    .on(agentApi.getTag, async (request, { tag }) => {
      const digest = await tags.get(tag, { signal: request.signal }).catch((error: unknown) => {
        throw new AppError('INTERNAL', `get tag: ${messageOf(error)}`, { cause: error })
      })
      return digest === undefined ? { status: 404 } : text(digest)
    })
    .on(agentApi.download, download)
    .on(agentApi.stat, download)
    .on(agentApi.deleteBlob, async (_, { digest }) => {
      await swarm.remove(digestParameter(digest)).catch((error: unknown) => {
        throw new AppError('INTERNAL', `remove torrent: ${messageOf(error)}`, { cause: error })
      })
      return ok()
    })
    .on(agentApi.preload, preload)
    .on(agentApi.postPreload, preload)
    .on(agentApi.configureScheduler, async ({ body }) => {
      const bytes = await body.bytes(CONFIG_BYTES_MAX)
      await swarm.reconfigure(schedulerFromJson(parseFirstJson(Buffer.from(bytes).toString(), 'json decode')))
      return ok()
    })
    .on(agentApi.blacklist, async () => json(blacklistJson(await swarm.blacklist()), { type: TEXT_TYPE, newline: true }))
    .on(agentApi.stats, async () => json(await swarm.stats(), { newline: true }))
  return router.handle
}

export interface AgentRegistryOptions {
  readonly health: AgentHealth
  readonly registry: Handler
  readonly log: Logger
}

/** The registry port: the registry, and the agent's health for whoever looks for it there (2.1). */
export function createAgentRegistry ({ health, registry, log }: AgentRegistryOptions): Handler {
  return createRouter({ component: 'agent-registry', misses: 'not-found', log, fallback: registry })
    .on(agentApi.health, async () => await health.live())
    .on(agentApi.readiness, async () => await health.ready())
    .handle
}

/** `null` if it is empty, and nanoseconds, as Go writes them (1.5). */
function blacklistJson (entries: SwarmCalls['blacklist']['output']): object[] | null {
  if (entries.length === 0) return null
  return entries.map(({ peerId, infoHash, remainingMs }) =>
    ({ peer_id: idToJson(peerId), info_hash: idToJson(infoHash), remaining: Math.round(remainingMs * 1_000_000) }))
}

/** Scripts leave out the algorithm. @throws AppError DIGEST_INVALID */
function digestParameter (value: string): Digest {
  try {
    return /^[0-9a-fA-F]{64}$/.test(value) ? digestFromHex(parseDigestHex(value)) : parseDigest(value)
  } catch (error) {
    throw new AppError('DIGEST_INVALID', `parse digest: ${messageOf(error)}`, { cause: error })
  }
}

/** An unknown blob is an empty 404; what may work in a moment is 503, where the reference has 500 (B23). */
function downloadFailure (error: unknown, request: HttpRequest, log: Logger): Reply {
  if (isAppError(error, 'BLOB_UNKNOWN')) return { status: 404 }
  const isTemporary = isOutage(error) || (isAppError(error, 'CANCELLED') && !request.signal.aborted)
  const status = isTemporary ? 503 : statusOf(error)
  if (!request.signal.aborted) log.warn({ path: request.rawPath, status, error: messageOf(error) }, 'download failed')
  const reply = text(`download torrent: ${messageOf(error)}`, status)
  return isTemporary ? { ...reply, headers: { ...reply.headers, ...RETRY_AFTER } } : reply
}
