import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Test } from 'tap'
import { parse, stringify } from 'yaml'
import { agentApi } from '../../net/api/agent.js'
import { type Digest } from '../../runtime/core/digest.js'
import { isRecord } from '../../runtime/core/json.js'
import { logTail } from '../../runtime/up/log-tail.js'
import { freePorts } from '../../runtime/up/ports.js'
import { type ProcessEvent } from '../../runtime/up/supervised-process.js'
import { Supervisor } from '../../runtime/up/supervisor.js'
import { isHealthy, startSystem, type System } from '../../runtime/up/up.js'
import { type SwarmStats } from '../../workers/jobs.js'
import { call } from './http-call.js'
import { must } from './must.js'

const MAIN = fileURLToPath(new URL('../../runtime/main.js', import.meta.url))
const START_LIMIT_MS = 60_000

/** An agent of a test, by its ports on 127.0.0.1. */
export interface TestAgent {
  /** As in `System.pids`. */
  readonly name: string
  readonly registryPort: number
  readonly serverPort: number
}

/** All roles as processes of their own, on free ports, until the test is over. */
export interface TestSystem {
  readonly dataDir: string
  /** The registry to push to. */
  readonly proxyPort: number
  readonly agents: readonly TestAgent[]
  readonly plan: System['plan']
  /** Kills a process the hard way, at once. Resolves when it was started again and is healthy. */
  kill (name: string): Promise<void>
  /** Stops every process; the data stays until the end of the test. */
  stop (): Promise<void>
}

export interface TestSystemOptions {
  /** Default 2, and each blob is kept by two of them. */
  readonly origins?: number
  readonly agents?: number
  /** A folder in which another system of this test ran before; by default a new one. */
  readonly dataDir?: string
}

/** Starts a system; when the test fails, the ends of all logs are printed. */
export async function startTestSystem (t: Test, options: TestSystemOptions = {}): Promise<TestSystem> {
  const { origins = 2, agents = 2, dataDir = temporaryFolder(t) } = options
  const events = new Events()
  const system = await startSystem({ dataDir, origins, agents, portOffset: 0, isOnFreePorts: true, onEvent: event => { events.tell(event) } })
  t.teardown(async () => {
    await system.stop()
    if (!t.passing()) printLogs(dataDir)
  })
  return {
    dataDir,
    proxyPort: system.plan.proxy.port,
    agents: system.plan.agents.map(({ registryPort, serverPort }, i) => ({ name: `agent-${i + 1}`, registryPort, serverPort })),
    plan: system.plan,
    kill: async name => {
      const back = events.next(event => event.type === 'healthy' && event.name === name)
      process.kill(must(system.pids[name], `the process id of ${name}`), 'SIGKILL')
      await back
    },
    stop: async () => { await system.stop() }
  }
}

export interface AgentBesideOptions {
  /** Default the one of the system. */
  readonly trackerPort?: number
  /** Blocks of its file beside those of the first one, or in their place. */
  readonly blocks?: Readonly<Record<string, unknown>>
}

/** Another agent of the system, configured as its first one but for what the options say. */
export async function startAgentBeside (
  t: Test, { dataDir, plan }: TestSystem, { trackerPort = plan.tracker.port, blocks = {} }: AgentBesideOptions
): Promise<TestAgent> {
  const [registryPort = 0, serverPort = 0, peerPort = 0] = await freePorts(3)
  const folder = temporaryFolder(t)
  const configFile = join(folder, 'agent.yaml')
  const content: unknown = parse(readFileSync(join(dataDir, 'config', 'agent-1.yaml'), 'utf8'))
  if (!isRecord(content)) throw new Error('the configuration of agent-1 is no map')
  const store = { download_dir: join(folder, 'download'), cache_dir: join(folder, 'cache') }
  const tracker = { hosts: { static: [`127.0.0.1:${trackerPort}`] } }
  writeFileSync(configFile, stringify({ ...content, store, tracker, ...blocks }))
  const ports = ['--peer-port', peerPort, '--agent-server-port', serverPort, '--agent-registry-port', registryPort].map(String)
  const name = 'agent-beside'
  const logFile = join(folder, `${name}.log`)
  const supervisor = new Supervisor([{
    name,
    command: process.execPath,
    args: [MAIN, 'agent', '--config', configFile, '--peer-ip', '127.0.0.1', '--cluster', 'local', ...ports],
    logFile,
    isHealthy: async signal => await isHealthy(`http://127.0.0.1:${serverPort}/health`, signal)
  }], () => {})
  t.teardown(async () => {
    await supervisor.stop()
    if (!t.passing()) printLog(logFile)
  })
  supervisor.start()
  await supervisor.ready({ timeoutMs: START_LIMIT_MS })
  return { name, registryPort, serverPort }
}

/** What the agent's peer thread has counted since the process began. */
export async function swarmStats ({ serverPort }: TestAgent): Promise<SwarmStats> {
  const { status, body } = await call(serverPort, 'GET', agentApi.stats.path)
  if (status !== 200) throw new Error(`${agentApi.stats.path} was answered ${status}`)
  const stats: SwarmStats = JSON.parse(body.toString())
  return stats
}

/** Makes an agent forget a blob, on its disk as well. */
export async function forget ({ serverPort }: TestAgent, digest: Digest): Promise<void> {
  const { status } = await call(serverPort, 'DELETE', `/blobs/${digest}`)
  if (status !== 200) throw new Error(`deleting ${digest} was answered ${status}`)
}

/**
 * What a person would have to look into: lines of the logs that are errors, or that no log wrote, such as the platform's
 * warnings.
 */
export function troublesIn ({ dataDir }: TestSystem): string[] {
  const folder = join(dataDir, 'logs')
  return readdirSync(folder).flatMap(file => readFileSync(join(folder, file), 'utf8').split('\n').filter(isTrouble).map(line => `${file}: ${line}`))
}

function isTrouble (line: string): boolean { return line !== '' && !/^\{"level":"(debug|info|warn)"/.test(line) }

/** A new folder, removed at the end of the test. */
export function temporaryFolder (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-test-'))
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
  return folder
}

/** Hands on what the supervisor says. */
class Events {
  #waiting: Array<{ readonly isIt: (event: ProcessEvent) => boolean, readonly resolve: () => void }> = []

  tell (event: ProcessEvent): void {
    const met = this.#waiting.filter(({ isIt }) => isIt(event))
    this.#waiting = this.#waiting.filter(waiter => !met.includes(waiter))
    for (const { resolve } of met) resolve()
  }

  async next (isIt: (event: ProcessEvent) => boolean): Promise<void> {
    await new Promise<void>(resolve => this.#waiting.push({ isIt, resolve }))
  }
}

function printLogs (dataDir: string): void {
  const folder = join(dataDir, 'logs')
  for (const file of readdirSync(folder)) printLog(join(folder, file))
}

function printLog (file: string): void { console.error(`--- ${file} ends with:\n${logTail(file)}`) }
