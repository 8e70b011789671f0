import { proxyApi } from '../../net/api/proxy.js'
import { type CallOptions } from '../../net/client/clients.js'
import { type Handler, type Reply } from '../../net/http/engine.js'
import { text } from '../../net/http/reply.js'
import { createRouter } from '../../net/http/router.js'
import { messageOf } from '../core/errors.js'
import { type Logger } from '../observe/log.js'
import { type Preheater } from './notifications.js'

/** How long a dependency may take to say that it is ready. */
const READY_TIMEOUT_MS = 5_000

interface Checked { checkReadiness (options?: CallOptions): Promise<void> }

export interface ProxyServerOptions {
  readonly preheater: Pick<Preheater, 'notify'>
  readonly buildIndex: Checked
  readonly origins: Checked
  readonly log: Logger
  /** What the proxy ports serve beside the proxy's own routes; the server port has nothing else. */
  readonly registry?: Handler
}

/** The proxy's own routes (http-api specification 4.1), in front of its registry. */
export function createProxyServer ({ preheater, buildIndex, origins, log, registry }: ProxyServerOptions): Handler {
  return createRouter({ component: 'proxy', misses: 'not-found', log, fallback: registry })
    .on(proxyApi.health, () => text('OK\n'))
    .on(proxyApi.readiness, async () => await readiness(buildIndex, origins))
    .on(proxyApi.notifications, async request => await preheater.notify(request))
    .handle
}

async function readiness (buildIndex: Checked, origins: Checked): Promise<Reply> {
  const options = { signal: AbortSignal.timeout(READY_TIMEOUT_MS) }
  const failures = await Promise.all([
    failureOf('build index not ready', buildIndex.checkReadiness(options)),
    failureOf('origin not ready', origins.checkReadiness(options))
  ])
  const missing = failures.filter(failure => failure !== undefined)
  return missing.length === 0 ? text('OK\n') : text(`proxy not ready: ${missing.join('\n')}`, 503)
}

async function failureOf (what: string, check: Promise<void>): Promise<string | undefined> {
  try {
    await check
    return undefined
  } catch (error) {
    return `${what}: ${messageOf(error)}`
  }
}
