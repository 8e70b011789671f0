#!/usr/bin/env node
import { ROLE_NAMES, isRoleName } from './cli/role-names.js'
import { version } from './cli/version.js'
import { UsageError } from './config/flags.js'
import { AppError, messageOf } from './core/errors.js'

const HELP = `shoal distributes container images and other large blobs to every host of a cluster, peer to peer.

  shoal up [--data DIR]         a whole system on this machine, ready to push to and pull from
  shoal demo [--size 200MB]     pushes an image through such a system and pulls it with all agents at once
  shoal ROLE --config FILE ...  one role of a cluster: ${ROLE_NAMES.join(', ')}
  shoal testfs [--port 14000]   a storage backend for development, without any protection
  shoal tasks list HOST:PORT    what an origin or a build-index still has to do; also retry and drop
  shoal config check ROLE FILE  says whether a role would start with this file
  shoal version
  shoal help

"shoal up --help" and "shoal ROLE --help" list their flags.`

process.exit(await main(process.argv.slice(2)))

/**
 * Runs one command and returns the exit code: 0, 1 for a failure, 2 for a command line that cannot be used. The code of a
 * command is loaded when it is used.
 */
async function main ([command = 'help', ...args]: readonly string[]): Promise<number> {
  try {
    if (isRoleName(command)) return await (await import('./cli/run-role.js')).runRole(command, args)
    switch (command) {
      case 'up': return await (await import('./up/command.js')).runUp(args)
      case 'demo': return await (await import('./demo/command.js')).runDemo(args)
      case 'testfs': return await (await import('./cli/testfs.js')).runTestfs(args)
      case 'tasks': return await (await import('./cli/tasks.js')).runTasks(args, say)
      case 'config': return (await import('./cli/check-config.js')).checkConfig(args, say)
      case 'version': case '--version': case '-version': return say(version())
      case 'help': case '--help': case '-help': case '-h': return say(HELP)
      default: throw new UsageError(`unknown command: ${command}\n\n${HELP}`, 2)
    }
  } catch (error) {
    if (error instanceof UsageError) {
      if (error.exitCode === 0) return say(error.message)
      process.stderr.write(`${error.message}\n`)
      return error.exitCode
    }
    process.stderr.write(`shoal ${command}: ${describe(error)}\n`)
    return 1
  }
}

function say (line: string): 0 {
  process.stdout.write(`${line}\n`)
  return 0
}

/** An error that nobody foresaw is told with its kind. */
function describe (error: unknown): string {
  return error instanceof Error && !(error instanceof AppError) ? `${error.name}: ${error.message}` : messageOf(error)
}
