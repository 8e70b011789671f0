import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { localIp } from '../cluster/own-address.js'
import { agentRole } from '../config/roles/agent.js'
import { buildIndexRole } from '../config/roles/build-index.js'
import { originRole } from '../config/roles/origin.js'
import { proxyRole } from '../config/roles/proxy.js'
import { type Role } from '../config/roles/role.js'
import { trackerRole } from '../config/roles/tracker.js'
import { type LogLevel } from '../config/sections/common.js'
import { type RunningComponent } from '../core/component.js'
import { type Logger } from '../observe/log.js'
import { makeLog } from '../observe/pino.js'
import { type RoleName } from './role-names.js'
import { StopRequest } from './stop-request.js'
import { version } from './version.js'

/** A component gets this long to stop cleanly. */
export const STOP_LIMIT_MS = 10_000
const NO_ADDRESS = '127.0.0.1'

export const ROLES = {
  agent: agentRole, origin: originRole, tracker: trackerRole, proxy: proxyRole, 'build-index': buildIndexRole
} as const satisfies Record<RoleName, Role<unknown>>

/**
 * Runs one role until it is asked to stop, and returns the exit code.
 * @throws UsageError, AppError CONFIG_INVALID, and what the start of the component throws
 */
export async function runRole (name: RoleName, args: readonly string[]): Promise<number> {
  const stop = new StopRequest()
  const { start, logLevel, warnings, unused } = prepare(name, args)
  const log = makeLog({ level: logLevel, fields: { role: name } })
  crashLoudly(log)
  for (const warning of warnings) log.warn({ warning }, 'configuration key unknown')
  if (unused.length > 0) log.info({ keys: unused }, 'configuration keys without effect')
  const component = await Promise.race([start(log), stop.requested.then(() => undefined)])
  if (component === undefined) return 0
  log.info({ ports: component.ports, version: version() }, 'started')
  const reason = await stop.requested
  log.info({ reason }, 'stopping')
  const isStopped = await Promise.race([component.stop().then(() => true), sleep(STOP_LIMIT_MS, false, { ref: false })])
  if (isStopped) log.info({}, 'stopped')
  else log.warn({ limitMs: STOP_LIMIT_MS }, 'stopped before everything was closed')
  return 0
}

interface Prepared {
  readonly logLevel: LogLevel
  readonly warnings: readonly string[]
  readonly unused: readonly string[]
  start (log: Logger): Promise<RunningComponent>
}

/** Reads the configuration; the component's code is loaded only once it is sure that it will run. */
function prepare (name: RoleName, args: readonly string[]): Prepared {
  const bind = <C>(role: Role<C>, start: (config: C, log: Logger) => Promise<RunningComponent>): Prepared => {
    const { config, ...rest } = role.load(args, { ip: localIp() ?? NO_ADDRESS, name: hostname() })
    return { ...rest, start: async log => await start(config, log) }
  }
  switch (name) {
    case 'agent': return bind(ROLES.agent, async (config, log) => await (await import('../agent/component.js')).startAgent(config, log))
    case 'origin': return bind(ROLES.origin, async (config, log) => await (await import('../origin/component.js')).startOrigin(config, log))
    case 'tracker': return bind(ROLES.tracker, async (config, log) => await (await import('../tracker/component.js')).startTracker(config, log))
    case 'proxy': return bind(ROLES.proxy, async (config, log) => await (await import('../proxy/component.js')).startProxy(config, log))
    case 'build-index': return bind(ROLES['build-index'], async (config, log) => await (await import('../build-index/component.js')).startBuildIndex(config, log))
  }
}

/** After an error that nobody expected nothing can be trusted: it is logged, and the process ends to be started again. */
function crashLoudly (log: Logger): void {
  process.on('uncaughtException', (error, origin) => {
    log.error({ error, origin }, 'crashed')
    process.exit(1)
  })
}
