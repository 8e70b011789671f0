import { join } from 'node:path'
import { type Test } from 'tap'
import { NO_BACKENDS } from '../../runtime/config/sections/backends.js'
import { scheduler } from '../../runtime/config/sections/scheduler.js'
import { hashring } from '../../runtime/config/sections/hashring.js'
import { type BackendsConfig, type UpstreamConfig } from '../../runtime/config/types.js'
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
}

/** Starts it, and stops it at the end of the test. */
export async function startLocalCluster (t: Test, { pieceBytes, sleep, hasTestfs = false }: LocalClusterOptions): Promise<LocalCluster> {
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
  const common = { zone: '', cluster: '', peerIp: HOST, peerPort: 0, peerIdPolicy: 'addr_hash' as const, scheduler: scheduler.schema.parse(SCHEDULER) }
  const ring = hashring.schema.parse({})
  const memory = { swarmSlots: 64, uploadSlots: 32 }

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
    backends: behind('blobs', 'identity'),
    memory
  }, noLog))
  const tracker = await running(startTracker({
    port: 0,
    announceIntervalMs: 3000,
    announceLimit: 50,
    handoutPolicy: 'completeness',
    peerTtlMs: 5 * 3600_000,
    originStore: { locationsTtlMs: 10_000, locationsErrorTtlMs: 1000, contextTtlMs: 10_000, unavailableTtlMs: 60_000 },
    origin: originHosts
  }, noLog))
  const buildIndex = await running(startBuildIndex({
    port: 0,
    store: stores(root, 'build-index'),
    tagTypes: [{ pattern: /.*/, type: 'docker' }],
    origin: originHosts,
    ...loneIndexConfig(join(root, 'build-index')),
    backends: behind('tags', 'docker_tag')
  }, noLog, { sleep }))
  const buildIndexHosts = upstream(must(buildIndex.port))
  const proxy = await running(startProxy({
    ports: [0, 0],
    serverPort: 0,
    castore: stores(root, 'proxy'),
    origin: originHosts,
    buildIndex: buildIndexHosts,
    prefetch: { blobBytesMin: 0, blobBytesMax: 50 * 2 ** 30 },
    registry: { canDelete: true, membership: 'shared' },
    memory
  }, noLog))
  const agent = await running(startAgent({
    ...common,
    inlineBytesMax: 0,
    serverPort: 0,
    registryPort: 0,
    store: { downloadDir: join(root, 'agent', 'download'), cacheDir: join(root, 'agent', 'cache') },
    tracker: { ...upstream(must(tracker.port)), ring },
    buildIndex: buildIndexHosts,
    docker: { host: `unix://${dockerSocket}`, version: '1.24' },
    memory
  }, noLog))
  return {
    dockerSocket,
    testfs: testfs?.port ?? 0,
    origin: originPort,
    originPeer: must(origin['peer-port']),
    tracker: must(tracker.port),
    buildIndex: must(buildIndex.port),
    proxy: [must(proxy.port), must(proxy['port-2'])],
    agentRegistry: must(agent['agent-registry-port']),
    agentServer: must(agent['agent-server-port'])
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
