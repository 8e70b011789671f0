import { proxyApi } from '../../net/api/proxy.js'
import { withDebug } from '../../net/http/debug.js'
import { type Handler, type HttpRequest, type Reply } from '../../net/http/engine.js'
import { text, TEXT_TYPE } from '../../net/http/reply.js'
import { createRouter } from '../../net/http/router.js'
import { type Checked, missing } from '../cluster/readiness.js'
import { type Clock, systemClock } from '../core/clock.js'
import { type Logger } from '../observe/log.js'
import { type Preheater } from './notifications.js'
import { type Prefetcher } from './prefetch.js'
import { type RateLimit } from './rate-limit.js'

export interface ProxyServerOptions {
  readonly preheater: Pick<Preheater, 'notify'>
  readonly prefetcher: Pick<Prefetcher, 'serve'>
  readonly buildIndex: Checked
  readonly origins: Checked
  readonly log: Logger
  /** What the proxy ports serve beside the proxy's own routes; the server port has nothing else. */
  readonly registry?: Handler
  /** Of what costs the origins work, for each client; the server port has none, being for those who run the cluster. */
  readonly limit?: RateLimit
  readonly clock?: Clock
}

/** The proxy's own routes (http-api specification 4.1), in front of its registry. */
export function createProxyServer (options: ProxyServerOptions): Handler {
  const { preheater, prefetcher, buildIndex, origins, log, registry, limit, clock = systemClock } = options
  const limited = (handle: Handler): Handler => async request => isWithin(limit, request, clock) ? await handle(request) : TOO_MANY
  const router = createRouter({ component: 'proxy', misses: 'not-found', log, fallback: registry })
  if (registry === undefined) withDebug(router)
  return router
    .on(proxyApi.health, () => text('OK\n'))
    .on(proxyApi.readiness, async () => await readiness(buildIndex, origins))
    .on(proxyApi.notifications, limited(async request => await preheater.notify(request)))
    .on(proxyApi.prefetchV1, limited(async request => await prefetcher.serve(request, 'v1')))
    .on(proxyApi.prefetchV2, limited(async request => await prefetcher.serve(request, 'v2')))
    .handle
}

const TOO_MANY: Reply = {
  status: 429, headers: { 'Content-Type': TEXT_TYPE, 'Retry-After': '1' }, body: 'too many requests from this address: ask again in a second'
}

function isWithin (limit: RateLimit | undefined, { remoteAddress }: HttpRequest, clock: Clock): boolean {
  return limit === undefined || limit.admits(remoteAddress, clock.now())
}

async function readiness (buildIndex: Checked, origins: Checked): Promise<Reply> {
  const failures = await missing([['build index not ready', buildIndex], ['origin not ready', origins]])
  return failures.length === 0 ? text('OK\n') : text(`proxy not ready: ${failures.join('\n')}`, 503)
}
