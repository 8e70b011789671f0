import { accessSync, constants, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Test } from 'tap'
import { freePorts } from '../../runtime/up/ports.js'
import { Supervisor } from '../../runtime/up/supervisor.js'
import { isHealthy } from '../../runtime/up/up.js'
import { Command } from './command.js'
import { temporaryFolder } from './system.js'

const START_LIMIT_MS = 60_000
/** Where skopeo remembers, for root, which registry has which blob; it then does not send what it believes is there. */
const KNOWN_BLOBS_FILE = '/var/lib/containers/cache/blob-info-cache-v1.boltdb'

/**
 * True if these programs are installed. If not, says so on standard output and makes the whole file one skipped test; it
 * must then return.
 */
export function arePresent (t: Test, ...programs: readonly string[]): boolean {
  const missing = programs.filter(program => !isInstalled(program))
  if (missing.length === 0) return true
  const reason = `${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} not installed`
  console.log(`not run: ${reason}`)
  t.plan(0, reason)
  return false
}

/** The same for programs that only root can run. */
export function canRunAsRoot (t: Test, ...programs: readonly string[]): boolean {
  if (!arePresent(t, ...programs)) return false
  if (process.getuid?.() === 0) return true
  const reason = `only root can run ${programs.join(', ')}`
  console.log(`not run: ${reason}`)
  t.plan(0, reason)
  return false
}

export function isInstalled (program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some(folder => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** Runs a program, which must succeed, and returns what it said. */
export async function run (t: Test, program: string, args: readonly string[], env?: NodeJS.ProcessEnv): Promise<string> {
  const { code, text } = await Command.run(t, program, args, { env })
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}:\n${text}`)
  return text
}

/** skopeo in an environment of its own, so that it knows nothing from before. */
export class Skopeo {
  readonly #home: string

  constructor (readonly t: Test) {
    this.#home = temporaryFolder(t)
    if (process.getuid?.() === 0) rmSync(KNOWN_BLOBS_FILE, { force: true })
  }

  async run (...args: readonly string[]): Promise<string> {
    const env = { PATH: process.env['PATH'], HOME: this.#home, XDG_DATA_HOME: this.#home, XDG_RUNTIME_DIR: this.#home, TMPDIR: this.#home }
    return await run(this.t, 'skopeo', ['--insecure-policy', ...args], env)
  }

  /** Copies with all platforms and with every digest as it is. Registries are spoken to over plain HTTP. */
  async copy (source: string, target: string): Promise<void> {
    await this.run('copy', '--all', '--preserve-digests', '--src-tls-verify=false', '--dest-tls-verify=false', source, target)
  }
}

/** Starts Docker's registry with an empty store, until the end of the test; it deletes what it is told to. @returns its port on 127.0.0.1 */
export async function startDockerRegistry (t: Test): Promise<number> {
  const folder = temporaryFolder(t)
  const [port = 0] = await freePorts(1)
  const configFile = join(folder, 'config.yml')
  writeFileSync(configFile, JSON.stringify({
    version: 0.1, log: { level: 'warn' }, storage: { filesystem: { rootdirectory: join(folder, 'data') }, delete: { enabled: true } }, http: { addr: `127.0.0.1:${port}` }
  }))
  const supervisor = new Supervisor([{
    name: 'docker-registry',
    command: 'docker-registry',
    args: ['serve', configFile],
    logFile: join(folder, 'docker-registry.log'),
    isHealthy: async signal => await isHealthy(`http://127.0.0.1:${port}/v2/`, signal)
  }], () => {})
  t.teardown(async () => { await supervisor.stop() })
  supervisor.start()
  await supervisor.ready({ timeoutMs: START_LIMIT_MS })
  return port
}
