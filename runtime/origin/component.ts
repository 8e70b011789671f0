import { statfs } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { createBlobClient } from '../../net/client/blob-client.js'
import { hostsAt, resolveHosts } from '../../net/client/hosts.js'
import { createHttp, type Http } from '../../net/client/http.js'
import { createOriginClient } from '../../net/client/origin-client.js'
import { systemSleep as sleep } from '../../net/client/upstream.js'
import { originApi, STORE_ID_HEADER } from '../../net/api/origin.js'
import { type Router } from '../../net/http/router.js'
import { listen } from '../../net/http/uws.js'
import { createHashPool, type HashPool } from '../../workers/pool.js'
import { Uploads } from '../../workers/upload-door.js'
import { BackendManager } from '../backend/manager.js'
import { readCertificates } from '../cluster/certificates.js'
import { Membership } from '../cluster/membership.js'
import { ownAddresses } from '../cluster/own-address.js'
import { ReconfigurableSwarm } from '../cluster/reconfigurable-swarm.js'
import { TaskGroup } from '../cluster/task-group.js'
import { UndoList } from '../cluster/undo-list.js'
import { type OriginConfig } from '../config/types.js'
import { systemClock as clock } from '../core/clock.js'
import { type RunningComponent } from '../core/component.js'
import { type Digest, hexOf } from '../core/digest.js'
import { messageOf } from '../core/errors.js'
import { seededPrng } from '../core/prng.js'
import { type Logger } from '../observe/log.js'
import { withTasks } from '../retry/routes.js'
import { TaskQueue } from '../retry/task-queue.js'
import { CasStore } from '../store/cas.js'
import { BlobBackend } from './blob-backend.js'
import { Blobs } from './blobs.js'
import { Cleanup, type DiskUsage } from './cleanup.js'
import { clearLeftovers } from '../store/leftovers.js'
import { OwedCopies } from './owed-copies.js'
import { type Replica } from './ports.js'
import { Pushes } from './pushes.js'
import { Refresh } from './refresh.js'
import { RemoteCopies, type RemoteOrigins } from './remote-copies.js'
import { Repair } from './repair.js'
import { Replication } from './replication.js'
import { type MissingCopies, originRouter } from './server.js'
import { storeIdOf, StoreWatch } from './store-id.js'
import { TagMarks, withTagMarks } from './tag-marks.js'
import { WriteBack } from './write-back.js'

/** The largest request body, as with the reference's front (http-api specification 2.1). A blob may come in several. */
const BODY_BYTES_MAX = 10 * 2 ** 30
/** Threads that sum up files whose metainfo is lost or is to be changed; what comes in is summed up on its way. */
const HASH_THREADS_MAX = 2

/**
 * Starts an origin: the blobs on this host's disk, served to clients over HTTP and to peers through the swarm, and kept in
 * as many copies as the cluster wants. It listens once it has found itself among the members.
 *
 *     server --+--> pushes -----> uploads (thread) --> cache directory <-- swarm (thread)
 *              |       +--------> replication -+
 *              +--> blobs ------> store, pool  +-----> other origins
 *              +--> refresh --> pushes         |
 *              +--> cleanup --> blobs          |
 *                                 repair ------+
 *
 * @throws AppError CONFIG_INVALID if this host is no member of its cluster; UNAVAILABLE if a port is taken; STORAGE
 */
export async function startOrigin (config: OriginConfig, log: Logger): Promise<RunningComponent> {
  const undos = new UndoList(log)
  try {
    const { server: tls, client: clientTls } = readCertificates(config.tls)
    const backends = new BackendManager(config.backends, { log })
    undos.add('backends', async () => { await backends.close() })
    const store = new CasStore({ cacheDir: config.castore.cacheDir, log })
    await store.prepare()
    const queue = await TaskQueue.open({ dir: config.taskDir, clock, sleep, prng: seededPrng(clock.wall()), log })
    undos.add('task queue', async () => { await queue.close() })
    const marks = await TagMarks.open(config.taskDir)
    undos.add('tag marks', async () => { await marks.close() })
    const pool = createHashPool({ threads: Math.min(HASH_THREADS_MAX, availableParallelism()) })
    undos.add('hash pool', async () => { await pool.close() })
    const [uploads, swarm] = await allDecided(startUploads(config, undos), startSwarm(config, undos, log))
    const http = createHttp(clientTls)
    undos.add('http', async () => { await http.close() })
    const storeId = await storeIdOf(config.castore.cacheDir)
    const stores = new StoreWatch(log)
    const placement = await joinCluster(config, http, stores, log)
    undos.add('membership', async () => { await placement.stop() })
    const tasks = new TaskGroup(log)
    undos.add('tasks', async () => { await tasks.close() })

    const router = withTagMarks(wire({ config, log, backends, store, storeId, stores, queue, pool, uploads, swarm, http, placement, tasks }), marks)
    const onFailure = (error: unknown, event: string): void => { log.warn({ error: messageOf(error) }, event) }
    const server = await listen(router.handle, { port: config.port, bodyBytesMax: BODY_BYTES_MAX, onFailure, tls })
    undos.add('server', async () => { await server.close() })
    log.info({ self: placement.self, port: server.port, peerPort: swarm.port, peerId: swarm.peerId }, 'origin started')
    return { ports: { 'blobserver-port': server.port, 'peer-port': swarm.port }, stop: async () => { await undos.run() } }
  } catch (error) {
    await undos.run()
    throw error
  }
}

interface Parts {
  readonly config: OriginConfig
  readonly log: Logger
  readonly backends: BackendManager
  readonly store: CasStore
  /** Of our disk. */
  readonly storeId: string
  /** The disks of the other members. */
  readonly stores: StoreWatch
  readonly queue: TaskQueue
  readonly pool: HashPool
  readonly uploads: Uploads
  readonly swarm: ReconfigurableSwarm
  readonly http: Http
  readonly placement: Membership
  readonly tasks: TaskGroup
}

/** Puts the services together and starts those that work by themselves. */
function wire (parts: Parts): Router {
  const { config, log, backends, store, storeId, stores, queue, pool, uploads, swarm, http, placement, tasks } = parts
  const { peerIp, zone, cluster, pieceLengths, castore, scheduler, durability } = config
  const beganMs = clock.wall()
  const replica = (address: string): Replica => createOriginClient(address, http)
  const isPinned = (digest: Digest): boolean => queue.pinCount(hexOf(digest)) > 0
  const blobs = new Blobs({ store, pool, unseed: async digest => await swarm.remove(digest), pieceLengths, isPinned, log })
  const copying = { placement, replica, content: async (digest: Digest) => await blobs.content(digest), tasks, sleep, log }
  const repair = new Repair({ ...copying, listLocal: () => blobs.list(), clock })
  const remember = (digest: Digest): void => { repair.remember(digest) }
  const staggerMs = config.duplicateWriteBackStaggerMs
  const isCopying = (owner: string, digest: Digest): boolean => replication.isCopying(owner, digest)
  const owed = new OwedCopies({ ...copying, queue, isCopying })
  const { copiesMin } = durability
  const replication: Replication = new Replication({
    ...copying, isAway: address => http.isGone(address), owed, staggerMs, copiesMin, prng: seededPrng(clock.wall())
  })
  const backend = backends.isConfigured ? new BlobBackend(backends) : undefined
  const writeBack = new WriteBack({
    queue,
    policy: config.writeBack,
    backends,
    content: copying.content,
    fetch: async (namespace, digest) => await refresh.begin(namespace, digest),
    log
  })
  const pushes = new Pushes({
    blobs, uploads, replication, writeBack: async (namespace, digest, delayMs) => { await writeBack.enqueue(namespace, digest, delayMs) }
  })
  const refresh: Refresh = new Refresh({
    ...copying,
    backend,
    copiesMin,
    backendBytesMax: config.refreshBytesMax === 0 ? undefined : config.refreshBytesMax,
    clock,
    store: async (digest, blob, bytesMax) => { await pushes.store(digest, blob, bytesMax) },
    onLanded: remember
  })

  const cleanup = new Cleanup({
    blobs,
    placement,
    bringToOwners: async (digest, signal) => { await repair.bringNow(digest, signal) },
    usage: async () => await diskUsage(castore.cacheDir),
    clock,
    log
  })

  repair.start()
  owed.start(tasks.signal)
  http.onReturn(address => { owed.hurry(address) })
  writeBack.start()
  const shareBandwidth = (): void => { backends.shareBandwidth(placement.healthy.length) }
  shareBandwidth()
  tasks.signal.addEventListener('abort', placement.onChange(shareBandwidth), { once: true })
  stores.onLoss(() => { repair.compareAll() })
  tasks.run('clear leftovers', async signal => {
    const exclusively = async <T>(digest: Digest, work: () => Promise<T>): Promise<T> => await blobs.lock.run(digest, work)
    const count = await clearLeftovers({ cacheDir: castore.cacheDir, beganMs, exclusively }, signal)
    if (count > 0) log.warn({ count }, 'leftovers of a crash removed')
  })
  const peer = { ip: peerIp, port: swarm.port, get id () { return swarm.peerId }, zone, cluster, isOrigin: true }
  const checkReady = async (): Promise<void> => {
    const signal = AbortSignal.timeout(scheduler.probeTimeoutMs)
    await Promise.all([swarm.probe({ signal }), backends.checkReadiness({ signal })])
  }
  const checkNamespace = (namespace: string): void => { writeBack.check(namespace) }
  const missingCopies = (): MissingCopies => ({ owed: owed.count, underRepair: repair.backlog })
  const connect = (remote: string): RemoteOrigins => createBlobClient({ hosts: { hosts: hostsAt(remote), health: config.health }, http, log })
  const remoteCopies = new RemoteCopies({ content: copying.content, connect, tasks, clock, sleep, log })
  const checks = { checkReady, checkNamespace }
  const services = { blobs, pushes, refresh, remoteCopies, cleanup, placement, backend, peer, storeId, missingCopies, swarm, ...checks }
  return withTasks(originRouter(services, { log }), queue)
}

async function diskUsage (dir: string): Promise<DiskUsage> {
  const { bsize, blocks, bfree } = await statfs(dir)
  return { usedBytes: (blocks - bfree) * bsize, totalBytes: blocks * bsize }
}

async function startUploads ({ castore, memory, pieceLengths, durability }: OriginConfig, undos: UndoList): Promise<Uploads> {
  const { uploadDir, cacheDir, uploadTtlMs } = castore
  const { isDurable, reserveBytes } = durability
  const uploads = await Uploads.start({ uploadDir, cacheDir, uploadTtlMs, pieceLengths, slotCount: memory.uploadSlots, isDurable, reserveBytes })
  undos.add('uploads', async () => { await uploads.close() })
  return uploads
}

async function startSwarm (
  { castore, memory, peerIp, peerPort, peerIdPolicy, scheduler }: OriginConfig, undos: UndoList, log: Logger
): Promise<ReconfigurableSwarm> {
  const swarm = await ReconfigurableSwarm.start({
    mode: 'seeder',
    ip: peerIp,
    port: peerPort,
    peerIdPolicy,
    // A seeder downloads nothing; what it would have to put together would belong to the uploads.
    store: { downloadDir: castore.uploadDir, cacheDir: castore.cacheDir },
    scheduler,
    slotCount: memory.swarmSlots,
    tracker: undefined
  }, log)
  undos.add('swarm', async () => { await swarm.close() })
  return swarm
}

async function joinCluster (config: OriginConfig, http: Http, stores: StoreWatch, log: Logger): Promise<Membership> {
  const { members, hostname, port, health, ring } = config
  return await Membership.start({
    resolve: resolveHosts(members, { log }),
    canChange: members.dns !== undefined,
    ownAddresses: ownAddresses(hostname, port),
    probe: async (address, signal) => {
      const ask = { method: 'GET', address, path: originApi.health.path, signal, timeoutMs: health.timeoutMs } as const
      const { status, header } = await http.call(ask)
      if (status === 200) stores.saw(address, header(STORE_ID_HEADER))
      return status === 200
    },
    health,
    ring,
    sleep,
    log
  })
}

/** Both results, and a failure only when nothing is still starting. */
async function allDecided<A, B> (a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([a, b])
  return await Promise.all([a, b])
}
