import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { StopRequest } from '../cli/stop-request.js'
import { parseFlags, stringFlag, intFlag } from '../config/flags.js'
import { parseSize } from '../config/values.js'
import { AppError } from '../core/errors.js'
import { AGENTS_MAX, type SystemPlan, planPorts } from '../up/layout.js'
import { describe } from '../up/command.js'
import { isHealthy, startSystem } from '../up/up.js'
import { demonstrate } from './demo.js'

const SIZE_BYTES_MAX = 16 * 1024 ** 3
const ORIGINS = 3
const FLAGS = {
  size: stringFlag('Size of the image, such as 200MB.', '200MB'),
  agents: intFlag(`Agents of a system started for this, 1 to ${AGENTS_MAX}.`, 2)
}

/**
 * `shoal demo`: uses the system that runs on the development ports, or starts one in a temporary folder on free ports and
 * ends it again. Returns the exit code.
 * @throws UsageError, and what starting and demonstrating throw
 */
export async function runDemo (args: readonly string[]): Promise<number> {
  const flags = parseFlags('shoal demo', FLAGS, {}, args)
  const sizeBytes = parseSize(flags.size)
  if (sizeBytes === undefined || sizeBytes < 1 || sizeBytes > SIZE_BYTES_MAX) {
    throw new AppError('CONFIG_INVALID', `--size ${flags.size} is no size: expected 1 to 16GB, such as 200MB`)
  }
  if (flags.agents < 1 || flags.agents > AGENTS_MAX) throw new AppError('CONFIG_INVALID', `--agents ${flags.agents} is out of range: expected 1 to ${AGENTS_MAX}`)
  const { signal } = new StopRequest()
  const running = planPorts({ origins: ORIGINS, agents: 2, portOffset: 0 })
  if (await isUp(running, signal)) {
    say('using the system that runs on the development ports')
    await demonstrate({ plan: running, sizeBytes, screen: process.stdout, signal })
    return 0
  }
  await demonstrateAlone(sizeBytes, flags.agents, signal)
  return 0
}

async function demonstrateAlone (sizeBytes: number, agents: number, signal: AbortSignal): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'shoal-demo-'))
  try {
    say(`starting a proxy, ${ORIGINS} origins, a tracker, a build-index and ${agents} agents in ${dataDir}`)
    const onEvent = (event: Parameters<typeof describe>[0]): void => {
      const line = describe(event)
      if (line !== undefined) say(line)
    }
    const system = await startSystem({ dataDir, origins: ORIGINS, agents, portOffset: 0, isOnFreePorts: true, onEvent, signal })
    try {
      await demonstrate({ plan: system.plan, sizeBytes, screen: process.stdout, signal })
    } finally {
      await system.stop()
    }
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
  }
  say('\nstopped everything and removed its data; "shoal up" starts a system to keep')
}

async function isUp ({ proxy, agents }: SystemPlan, signal: AbortSignal): Promise<boolean> {
  const ports = [proxy.port, ...agents.map(agent => agent.serverPort)]
  const answers = await Promise.all(ports.map(async port => await isHealthy(`http://127.0.0.1:${port}/health`, signal).catch(() => false)))
  return answers.every(Boolean)
}

function say (line: string): void { process.stdout.write(`${line}\n`) }
