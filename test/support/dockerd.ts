import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test } from 'tap'
import { logTail } from '../../runtime/up/log-tail.js'
import { Supervisor } from '../../runtime/up/supervisor.js'
import { Command, type CommandEnd } from './command.js'

const START_LIMIT_MS = 60_000

/** A Docker daemon of a test, with everything of its own and without a network for containers, until the end of the test. */
export class Dockerd {
  private constructor (readonly t: Test, readonly folder: string) {}

  /** @param mirror - `host:port` of a registry that stands in front of the daemon's own one */
  static async start (t: Test, mirror: string): Promise<Dockerd> {
    // The paths of unix sockets are short.
    const folder = mkdtempSync(join(tmpdir(), 'shoal-docker-'))
    const daemon = new Dockerd(t, folder)
    const logFile = join(folder, 'dockerd.log')
    const supervisor = new Supervisor([{
      name: 'dockerd',
      command: 'dockerd',
      args: [
        '--data-root', join(folder, 'data'), '--exec-root', join(folder, 'exec'), '--pidfile', join(folder, 'pid'), '--host', daemon.host,
        '--iptables=false', '--ip6tables=false', '--bridge=none', '--storage-driver=vfs', '--registry-mirror', `http://${mirror}`
      ],
      logFile,
      isHealthy: async signal => await isAnswering(daemon.socket, signal)
    }], () => {})
    t.teardown(async () => {
      await supervisor.stop()
      if (!t.passing()) console.error(`--- dockerd ends with:\n${logTail(logFile)}`)
      rmSync(folder, { recursive: true, force: true })
    })
    supervisor.start()
    await supervisor.ready({ timeoutMs: START_LIMIT_MS })
    return daemon
  }

  get socket (): string { return join(this.folder, 'd.sock') }

  get host (): string { return `unix://${this.socket}` }

  /** `docker`, which must succeed. */
  async run (...args: readonly string[]): Promise<string> {
    const { code, text } = await this.try(...args)
    if (code !== 0) throw new Error(`docker ${args.join(' ')} ended with ${code}:\n${text}`)
    return text.trim()
  }

  async try (...args: readonly string[]): Promise<CommandEnd> {
    const env = { PATH: process.env['PATH'], HOME: this.folder, DOCKER_CONFIG: this.folder, DOCKER_BUILDKIT: '0' }
    return await Command.run(this.t, 'docker', ['--host', this.host, ...args], { env })
  }

  async idOf (image: string): Promise<string> { return await this.run('image', 'inspect', '--format', '{{.Id}}', image) }

  /** Digests by which it knows an image. */
  async digestsOf (image: string): Promise<string> { return await this.run('image', 'inspect', '--format', '{{join .RepoDigests " "}}', image) }
}

async function isAnswering (socketPath: string, signal: AbortSignal): Promise<boolean> {
  return await new Promise(resolve => {
    const asking = request({ socketPath, path: '/_ping', signal, agent: false }, response => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    asking.on('error', () => resolve(false))
    asking.end()
  })
}
