import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { request } from 'undici'
import { type Member, writeConfigs } from './config-files.js'
import { lockFolder } from './data-lock.js'
import { type SystemPlan, checkSameOrigins, planPorts, portsOf, readPlan, replacePorts, writePlan } from './layout.js'
import { checkPorts, freePorts } from './ports.js'
import { type ProcessEvent, type ProcessSpec } from './supervised-process.js'
import { Supervisor } from './supervisor.js'

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url))
const READY_TIMEOUT_MS = 120_000
const HEALTH_TIMEOUT_MS = 2_000

export interface SystemOptions {
  readonly dataDir: string
  readonly origins: number
  readonly agents: number
  /** Added to every development port. */
  readonly portOffset: number
  /** Any free ports instead; a folder that had some keeps them. */
  readonly isOnFreePorts: boolean
  readonly onEvent: (event: ProcessEvent) => void
  readonly signal?: AbortSignal
}

/** A local system while it runs. */
export interface System {
  readonly plan: SystemPlan
  readonly dataDir: string
  readonly members: readonly Member[]
  /** Process ids by member name. */
  readonly pids: Readonly<Record<string, number | undefined>>
  /** Stops every process; may be called twice. */
  stop (): Promise<void>
}

/**
 * Starts all roles, each as a process of its own, and returns when all are healthy. What was pushed to the same folder
 * before is there again.
 * @throws AppError UNAVAILABLE for a port that is taken, a folder in use or a process that does not start; CONFIG_INVALID
 *   for a folder that cannot be used; CANCELLED. Nothing is left running then
 */
export async function startSystem (options: SystemOptions): Promise<System> {
  const dataDir = resolve(options.dataDir)
  const plan = await choosePlan(options, dataDir)
  const unlock = lockFolder(dataDir)
  try {
    await checkPorts(portsOf(plan))
    return await superviseMembers(plan, dataDir, options, unlock)
  } catch (error) {
    unlock()
    throw error
  }
}

async function superviseMembers (plan: SystemPlan, dataDir: string, { onEvent, signal }: SystemOptions, unlock: () => void): Promise<System> {
  writePlan(dataDir, plan)
  const members = writeConfigs(plan, dataDir)
  const logDir = join(dataDir, 'logs')
  mkdirSync(logDir, { recursive: true })
  const supervisor = new Supervisor(members.map(member => specOf(member, logDir)), onEvent)
  supervisor.start()
  try {
    await supervisor.ready({ timeoutMs: READY_TIMEOUT_MS, signal })
  } catch (error) {
    await supervisor.stop()
    throw error
  }
  const stop = async (): Promise<void> => {
    await supervisor.stop()
    unlock()
  }
  return { plan, dataDir, members, stop, get pids () { return supervisor.pids } }
}

async function choosePlan ({ origins, agents, portOffset, isOnFreePorts }: SystemOptions, dataDir: string): Promise<SystemPlan> {
  const recorded = readPlan(dataDir)
  const planned = planPorts({ origins, agents, portOffset })
  if (!isOnFreePorts) {
    if (recorded !== undefined) checkSameOrigins(recorded, planned, dataDir)
    return planned
  }
  if (recorded !== undefined && recorded.origins.length === origins && recorded.agents.length === agents) return recorded
  const free = replacePorts(planned, await freePorts(portsOf(planned).length))
  return recorded?.origins.length === origins ? { ...free, origins: recorded.origins } : free
}

function specOf ({ name, role, configFile, flags, healthUrl, isFront }: Member, logDir: string): ProcessSpec {
  return {
    name,
    command: process.execPath,
    args: [MAIN, role, '--config', configFile, ...flags],
    logFile: join(logDir, `${name}.log`),
    stage: isFront ? 1 : 0,
    isHealthy: async signal => await isHealthy(healthUrl, signal)
  }
}

/** True if the server answers 200, over a connection that is closed again. */
export async function isHealthy (url: string, signal: AbortSignal): Promise<boolean> {
  const { statusCode, body } = await request(url, { reset: true, signal: AbortSignal.any([signal, AbortSignal.timeout(HEALTH_TIMEOUT_MS)]) })
  await body.dump()
  return statusCode === 200
}
