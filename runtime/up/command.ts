import { StopRequest } from '../cli/stop-request.js'
import { type FlagValues, boolFlag, intFlag, parseFlags, stringFlag } from '../config/flags.js'
import { AppError, isAppError } from '../core/errors.js'
import { AGENTS_MAX, ORIGINS_MAX } from './layout.js'
import { readyPage } from './page.js'
import { type ProcessEvent } from './supervised-process.js'
import { sampleImage } from './sample-image.js'
import { startSystem } from './up.js'

export const UP_FLAGS = {
  data: stringFlag('Folder for data, configuration and logs; made if it is not there.', 'data'),
  origins: intFlag(`Origins, 1 to ${ORIGINS_MAX}.`, 3),
  agents: intFlag(`Agents, 1 to ${AGENTS_MAX}.`, 2),
  'port-offset': intFlag('Added to every port.'),
  'free-ports': boolFlag('Use any free ports; a folder that had some keeps them.')
}

/**
 * `shoal up`: a whole system on this machine until Ctrl-C. Returns the exit code.
 * @throws UsageError, and what `startSystem` throws
 */
export async function runUp (args: readonly string[]): Promise<number> {
  const flags = parseFlags('shoal up', UP_FLAGS, {}, args)
  checkCounts(flags)
  const stop = new StopRequest()
  const startedAt = performance.now()
  process.stdout.write('shoal: starting ...\n')
  try {
    const system = await startSystem({
      dataDir: flags.data,
      origins: flags.origins,
      agents: flags.agents,
      portOffset: flags['port-offset'],
      isOnFreePorts: flags['free-ports'],
      onEvent: event => { report(event) },
      signal: stop.signal
    })
    process.stdout.write(readyPage(system, await sampleImage(system.dataDir), performance.now() - startedAt))
    await stop.requested
    process.stdout.write('\nshoal: stopping ...\n')
    await system.stop()
    process.stdout.write('shoal: stopped\n')
    return 0
  } catch (error) {
    if (isAppError(error, 'CANCELLED')) return 0
    throw error
  }
}

/** One line for what a person should know about. */
export function describe (event: ProcessEvent): string | undefined {
  switch (event.type) {
    case 'healthy': return event.isRestart ? `${event.name} is back` : undefined
    case 'ended': return `${event.name} ended (${event.how}); starting it again in ${event.restartInMs / 1000} s`
    case 'gaveUp': return undefined
  }
}

function report (event: ProcessEvent): void {
  const line = describe(event)
  if (line !== undefined) process.stdout.write(`shoal: ${line}\n`)
}

function checkCounts ({ origins, agents, 'port-offset': offset }: FlagValues<typeof UP_FLAGS>): void {
  const check = (flag: string, value: number, min: number, max: number): void => {
    if (value < min || value > max) throw new AppError('CONFIG_INVALID', `--${flag} ${value} is out of range: expected ${min} to ${max}`)
  }
  check('origins', origins, 1, ORIGINS_MAX)
  check('agents', agents, 1, AGENTS_MAX)
  check('port-offset', offset, -14_000, 40_000)
}
