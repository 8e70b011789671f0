import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { startTestfs } from '../backend/testfs/server.js'
import { intFlag, parseFlags, stringFlag } from '../config/flags.js'
import { StopRequest } from './stop-request.js'

const FLAGS = {
  port: intFlag('Port of the file server; 0 for a free one.', 14_000),
  root: stringFlag('Folder of the files; by default a new one for temporary files.')
}

/**
 * `shoal testfs`: the storage backend for development, until Ctrl-C. Returns the exit code.
 * @throws UsageError, AppError UNAVAILABLE if the port is taken
 */
export async function runTestfs (args: readonly string[]): Promise<number> {
  const flags = parseFlags('shoal testfs', FLAGS, {}, args)
  const root = flags.root === '' ? await mkdtemp(join(tmpdir(), 'shoal-testfs-')) : resolve(flags.root)
  const stop = new StopRequest()
  const server = await startTestfs({ port: flags.port, root })
  process.stdout.write(`shoal testfs: port ${server.port}, files in ${root}\n`)
  await stop.requested
  await server.close()
  return 0
}
