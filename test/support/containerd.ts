import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Test } from 'tap'
import { logTail } from '../../runtime/up/log-tail.js'
import { Supervisor } from '../../runtime/up/supervisor.js'
import { callGrpc, readFirstString, writeString } from './grpc.js'
import { run } from './programs.js'

const START_LIMIT_MS = 60_000

/** A containerd of a test, with everything of its own, until the end of the test. */
export class Containerd {
  private constructor (readonly t: Test, readonly folder: string) {}

  static async start (t: Test): Promise<Containerd> {
    // The paths of unix sockets are short.
    const folder = mkdtempSync(join(tmpdir(), 'shoal-ctr-'))
    const daemon = new Containerd(t, folder)
    mkdirSync(daemon.hostsDir)
    const configFile = join(folder, 'config.toml')
    writeFileSync(configFile, daemon.#config())
    const logFile = join(folder, 'containerd.log')
    const supervisor = new Supervisor([{
      name: 'containerd',
      command: 'containerd',
      args: ['--config', configFile],
      logFile,
      isHealthy: async signal => await isAnswering(daemon.socket, signal)
    }], () => {})
    t.teardown(async () => {
      await supervisor.stop()
      if (!t.passing()) console.error(`--- containerd ends with:\n${logTail(logFile)}`)
      rmSync(folder, { recursive: true, force: true })
    })
    supervisor.start()
    await supervisor.ready({ timeoutMs: START_LIMIT_MS })
    return daemon
  }

  get socket (): string { return join(this.folder, 'c.sock') }

  /** Where it looks for a `hosts.toml` for each registry. */
  get hostsDir (): string { return join(this.folder, 'certs.d') }

  /** Sends what is asked of any registry, or of this one, to another address first. */
  mirror (address: string, upstream = '_default'): void {
    const folder = join(this.hostsDir, upstream)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'hosts.toml'), `[host."http://${address}"]\n  capabilities = ["pull", "resolve"]\n`)
  }

  /** `ctr`, which must succeed. */
  async ctr (...args: readonly string[]): Promise<string> {
    return await run(this.t, 'ctr', ['--address', this.socket, '--namespace', 'tests', ...args])
  }

  /** Digests of images by their names, of one of its namespaces. */
  async images (namespace = 'tests'): Promise<ReadonlyMap<string, string>> {
    const table = await run(this.t, 'ctr', ['--address', this.socket, '--namespace', namespace, 'images', 'list'])
    const rows = table.split('\n').slice(1).map(line => line.trim().split(/\s+/))
    return new Map(rows.map(([name = '', , digest = '']) => [name, digest]))
  }

  /** As kubelet has it done. @returns the image's id @throws Error with what containerd said */
  async criPull (image: string): Promise<string> {
    const spec = writeString(1, image)
    const answer = await callGrpc(this.socket, '/runtime.v1.ImageService/PullImage', Buffer.concat([Buffer.from([0x0a, spec.length]), spec]))
    return readFirstString(answer)
  }

  #config (): string {
    const absent = ['btrfs', 'zfs', 'devmapper', 'aufs'].map(name => `"io.containerd.snapshotter.v1.${name}"`)
    return `
version = 2
root = "${this.folder}/root"
state = "${this.folder}/state"
disabled_plugins = [${absent.join(', ')}]
[grpc]
  address = "${this.socket}"
[ttrpc]
  address = "${this.socket}.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "${this.hostsDir}"
`
  }
}

async function isAnswering (socket: string, signal: AbortSignal): Promise<boolean> {
  try {
    await promisify(execFile)('ctr', ['--address', socket, 'version'], { signal })
    return true
  } catch {
    return false
  }
}
