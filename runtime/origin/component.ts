import { availableParallelism } from 'node:os'
import { createHttp } from '../../net/client/http.js'
import { createOriginClient } from '../../net/client/origin-client.js'
import { resolveHosts } from '../../net/client/hosts.js'
import { systemSleep as sleep } from '../../net/client/upstream.js'
import { listen } from '../../net/http/uws.js'
import { createHashPool } from '../../workers/pool.js'
import { Swarm } from '../../workers/swarm-door.js'
import { Uploads } from '../../workers/upload-door.js'
import { Membership } from '../cluster/membership.js'
import { ownAddresses } from '../cluster/own-address.js'
import { TaskGroup } from '../cluster/task-group.js'
import { type OriginConfig } from '../config/types.js'
import { systemClock } from '../core/clock.js'
import { type RunningComponent } from '../core/component.js'
import { messageOf } from '../core/errors.js'
import { seededPrng } from '../core/prng.js'
import { type Logger } from '../observe/log.js'
import { CasStore } from '../store/cas.js'
import { Blobs } from './blobs.js'
import { clearLeftovers } from './leftovers.js'
import { type Backend } from './ports.js'
import { Pushes } from './pushes.js'
import { Refresh } from './refresh.js'
import { Repair } from './repair.js'
import { Replication } from './replication.js'
import { originRouter } from './server.js'

/** The largest request body, as with the reference's front (http-api specification 2.1). A blob may come in several. */
const BODY_BYTES_MAX = 10 * 2 ** 30
const HASH_THREADS_MAX = 2

/**
 * Starts an origin: the blobs on this host's disk, served to clients over HTTP and to peers through the swarm, and kept in
 * as many copies as the cluster wants.
 *
 *     server --> pushes ---> uploads (thread) ---> store
 *            |      +------> replication ----+
 *            +-> blobs ----> store, pool     +--> other origins
 *            +-> refresh ---> pushes --------+
 *     swarm (thread) ------> store     repair: compares, and copies what is missing
 *
 * @throws AppError CONFIG_INVALID if this host is no member of its cluster; UNAVAILABLE if a port is taken; STORAGE
 */
export async function startOrigin (config: OriginConfig, log: Logger, { backend }: { backend?: Backend } = {}): Promise<RunningComponent> {
  const { castore, pieceLengths, memory } = config
  const started: Array<() => Promise<unknown>> = []
  let stopped: Promise<void> | undefined
  const stop = async (): Promise<void> => {
    stopped ??= undoAll(started, log)
    await stopped
  }
  try {
    const store = new CasStore({ cacheDir: castore.cacheDir, log })
    await store.prepare()
    const pool = createHashPool({ threads: Math.min(HASH_THREADS_MAX, availableParallelism()) })
    started.push(async () => { await pool.close() })
    const [uploads, swarm] = await Promise.all(await settled([
      own(Uploads.start({
        uploadDir: castore.uploadDir,
        cacheDir: castore.cacheDir,
        slotCount: memory.uploadSlots,
        pieceLengths,
        uploadTtlMs: castore.uploadTtlMs,
        isDurable: true
      })),
      own(Swarm.start({
        mode: 'seeder',
        ip: config.peerIp,
        port: config.peerPort,
        peerIdPolicy: config.peerIdPolicy,
        store: { downloadDir: castore.uploadDir, cacheDir: castore.cacheDir },
        scheduler: config.scheduler,
        slotCount: memory.swarmSlots,
        tracker: undefined
      }))
    ]))
    const http = createHttp()
    started.push(async () => { await http.close() })
    const placement = await Membership.start({
      resolve: resolveHosts(config.members, { log }),
      canChange: config.members.dns !== undefined,
      ownAddresses: ownAddresses(config.hostname, config.port),
      probe: async (address, signal) => await http.isHealthy(address, { signal, timeoutMs: config.health.timeoutMs }),
      health: config.health,
      ring: config.ring,
      sleep,
      log
    })
    started.push(async () => { await placement.stop() })

    const tasks = new TaskGroup(log)
    started.push(async () => { await tasks.close() })
    const replica = (address: string) => createOriginClient(address, http)
    const blobs = new Blobs({ store, pool, unseed: async digest => await swarm.remove(digest), pieceLengths, log })
    const content = blobs.content.bind(blobs)
    const repair = new Repair({ placement, replica, content, listLocal: () => blobs.list(), tasks, clock: systemClock, sleep, log })
    const replication = new Replication({
      placement,
      replica,
      content,
      staggerMs: config.duplicateWriteBackStaggerMs,
      leaveToRepair: digest => { repair.remember(digest) },
      tasks,
      sleep,
      prng: seededPrng(Date.now()),
      log
    })
    const pushes = new Pushes({ blobs, uploads, replication })
    const refresh = new Refresh({
      placement,
      replica,
      backend,
      store: async (digest, stream) => { await pushes.store(digest, stream) },
      onLanded: digest => { repair.remember(digest) },
      tasks,
      clock: systemClock,
      log
    })
    const { peerIp, zone, cluster, port } = config
    const peer = { ip: peerIp, port: swarm.port, id: swarm.peerId, zone, cluster, isOrigin: true }
    const checkReady = async (): Promise<void> => { await swarm.probe({ signal: AbortSignal.timeout(config.scheduler.probeTimeoutMs) }) }
    const router = originRouter({ blobs, pushes, refresh, placement, backend, peer, checkReady }, { log })
    const server = await listen(router.handle, { port, bodyBytesMax: BODY_BYTES_MAX })
    started.push(async () => { await server.close() })
    repair.start()
    tasks.run('clear leftovers', async signal => {
      const count = await clearLeftovers(castore.cacheDir, systemClock, signal)
      if (count > 0) log.warn({ count }, 'entries without data removed')
    })
    log.info({ self: placement.self, port: server.port, peerPort: swarm.port, peerId: swarm.peerId }, 'origin started')
    return { ports: { 'blobserver-port': server.port, 'peer-port': swarm.port }, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Undoes what was started, the last first; what cannot be undone does not keep the rest running. */
async function undoAll (started: ReadonlyArray<() => Promise<unknown>>, log: Logger): Promise<void> {
  for (const undo of started.toReversed()) {
    await undo().catch((error: unknown) => { log.error({ error: messageOf(error) }, 'part of the origin did not stop') })
  }
}
