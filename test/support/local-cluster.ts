import { join } from 'node:path'
import { type Test } from 'tap'
import { NO_BACKENDS } from '../../runtime/config/sections/backends.js'
import { scheduler } from '../../runtime/config/sections/scheduler.js'
import { hashring } from '../../runtime/config/sections/hashring.js'
import { type BackendsConfig, type RegistryConfig, type UpstreamConfig } from '../../runtime/config/types.js'
import { type TlsConfig } from '../../runtime/config/sections/tls.js'
import { type RunningComponent } from '../../runtime/core/component.js'
import { startTestfs } from '../../runtime/backend/testfs/server.js'
import { startAgent } from '../../runtime/agent/component.js'
import { startBuildIndex } from '../../runtime/build-index/component.js'
import { noLog } from '../../runtime/observe/log.js'
import { startOrigin } from '../../runtime/origin/component.js'
import { startProxy } from '../../runtime/proxy/component.js'
import { startTracker } from '../../runtime/tracker/component.js'
import { freePorts } from '../../runtime/up/ports.js'
import { backendsConfig } from './backend-items.js'
import { must } from './must.js'
import { temporaryFolder } from './system.js'
import { loneIndexConfig, taskConfig } from './task-config.js'

const HOST = '127.0.0.1'
/** Peers stay on the blacklist for as long as a slow test takes. */
const SCHEDULER = { connstate: { blacklist_duration: '1h' } }

/** One of each role, in this process, on free ports of 127.0.0.1. */
export interface LocalCluster {
  readonly origin: number
  readonly originPeer: number
  readonly tracker: number
  readonly buildIndex: number
  /** Two ports that serve the same. */
  readonly proxy: readonly [number, number]
  readonly agentRegistry: number
  readonly agentServer: number
  /** Of all agents; the first is `agentRegistry`. */
  readonly agentRegistries: readonly number[]
  /** Where the agent looks for a Docker daemon; nobody listens there. */
  readonly dockerSocket: string
  /** The file server behind the origin and the build-index, if asked for. */
  readonly testfs: number
}

export interface LocalClusterOptions {
  readonly pieceBytes: number
  /** What build-index and others wait between tries; nothing, for tests that replay what failed for good. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>
  /** With a file server behind it: `blobs` with `identity`, `tags` with `docker_tag`. */
  readonly hasTestfs?: boolean
  /** Or with other backends, of the origin and of the build-index. */
  readonly backends?: { readonly blobs: BackendsConfig, readonly tags: BackendsConfig }
  /** Default 1. */
  readonly agents?: number
  /** Default plain HTTP everywhere. */
  readonly tls?: TlsConfig
  /** Default `plain`. */
  readonly mirror?: RegistryConfig['mirror']
}

/** Starts it, and stops it at the end of the test. */
export async function startLocalCluster (t: Test, options: LocalClusterOptions): Promise<LocalCluster> {
  const { pieceBytes, sleep, hasTestfs = false, backends, mirror = 'plain' } = options
  const root = temporaryFolder(t)
  const dockerSocket = join(root, 'docker.sock')
  const started: RunningComponent[] = []
  t.teardown(async () => { for (const component of started.toReversed()) await component.stop() })
  const running = async (starting: Promise<RunningComponent>): Promise<RunningComponent['ports']> => {
    const component = await starting
    started.push(component)
    return component.ports
  }
  const testfs = hasTestfs ? await startTestfs({ port: 0, root: join(root, 'testfs'), host: HOST }) : undefined
  t.teardown(async () => { await testfs?.close() })
  const behind = (folder: string, namePath: string): BackendsConfig => testfs === undefined
    ? NO_BACKENDS
    : backendsConfig([{ namespace: '.*', backend: { testfs: { addr: `${HOST}:${testfs.port}`, root: folder, name_path: namePath } } }])
  const [originPort = 0] = await freePorts(1)
  const originHosts = upstream(originPort)
  const secure = options.tls === undefined ? {} : { tls: options.tls }
  const common = { ...secure, zone: '', cluster: '', peerIp: HOST, peerPort: 0, peerIdPolicy: 'addr_hash' as const, scheduler: scheduler.schema.parse(SCHEDULER) }
  const ring = hashring.schema.parse({})
  const memory = { swarmSlots: 64, uploadSlots: 32 }
  const registry: RegistryConfig = { canDelete: true, membership: 'shared', mirror }

  const origin = await running(startOrigin({
    ...common,
    hostname: HOST,
    port: originPort,
    castore: stores(root, 'origin'),
    members: originHosts.hosts,
    health: originHosts.health,
    ring,
    pieceLengths: [{ minBlobBytes: 0, pieceBytes }],
    duplicateWriteBackStaggerMs: 1_800_000,
    ...taskConfig(join(root, 'origin')),
    refreshBytesMax: 0,
    backends: backends?.blobs ?? behind('blobs', 'identity'),
    memory
  }, noLog))
  const tracker = await running(startTracker({
    ...secure,
    port: 0,
    announceIntervalMs: 3000,
    announceLimit: 50,
    handoutPolicy: 'completeness',
    peerTtlMs: 5 * 3600_000,
    originStore: { locationsTtlMs: 10_000, locationsErrorTtlMs: 1000, contextTtlMs: 10_000, unavailableTtlMs: 60_000 },
    origin: originHosts
  }, noLog))
  const buildIndex = await running(startBuildIndex({
    ...secure,
    port: 0,
    store: stores(root, 'build-index'),
    tagTypes: [{ pattern: /.*/, type: 'docker' }],
    origin: originHosts,
    ...loneIndexConfig(join(root, 'build-index')),
    backends: backends?.tags ?? behind('tags', 'docker_tag')
  }, noLog, { sleep }))
  const buildIndexHosts = upstream(must(buildIndex.port))
  const proxy = await running(startProxy({
    ...secure,
    ports: [0, 0],
    serverPort: 0,
    castore: stores(root, 'proxy'),
    origin: originHosts,
    buildIndex: buildIndexHosts,
    prefetch: { blobBytesMin: 0, blobBytesMax: 50 * 2 ** 30 },
    registry,
    memory
  }, noLog))
  const startOneAgent = async (name: string): Promise<RunningComponent['ports']> => await running(startAgent({
    ...common,
    inlineBytesMax: 0,
    serverPort: 0,
    registryPort: 0,
    store: { downloadDir: join(root, name, 'download'), cacheDir: join(root, name, 'cache') },
    tracker: { ...upstream(must(tracker.port)), ring },
    buildIndex: buildIndexHosts,
    docker: { host: `unix://${dockerSocket}`, version: '1.24' },
    containerd: { address: join(root, 'containerd.sock') },
    memory,
    registry
  }, noLog))
  const agents: Array<RunningComponent['ports']> = []
  for (let i = 0; i < (options.agents ?? 1); i++) agents.push(await startOneAgent(`agent-${i + 1}`))
  const agent = must(agents[0])
  return {
    dockerSocket,
    testfs: testfs?.port ?? 0,
    origin: originPort,
    originPeer: must(origin['peer-port']),
    tracker: must(tracker.port),
    buildIndex: must(buildIndex.port),
    proxy: [must(proxy.port), must(proxy['port-2'])],
    agentRegistry: must(agent['agent-registry-port']),
    agentServer: must(agent['agent-server-port']),
    agentRegistries: agents.map(ports => must(ports['agent-registry-port']))
  }
}

function upstream (port: number): UpstreamConfig {
  return {
    hosts: { static: [`${HOST}:${port}`], dns: undefined, ttlMs: 5000 },
    health: { failsMax: 3, passesMin: 2, timeoutMs: 3000, intervalMs: 10_000 }
  }
}

function stores (root: string, name: string): { uploadDir: string, cacheDir: string, uploadTtlMs: number } {
  return { uploadDir: join(root, name, 'upload'), cacheDir: join(root, name, 'cache'), uploadTtlMs: 3_600_000 }
}
