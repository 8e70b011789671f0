import { createHttp } from '../../net/client/http.js'
import { createTagClient } from '../../net/client/tag-client.js'
import { createTrackerClient } from '../../net/client/tracker-client.js'
import { systemSleep } from '../../net/client/upstream.js'
import { type Handler, type HttpServer, type ServerTls } from '../../net/http/engine.js'
import { listen } from '../../net/http/uws.js'
import { readCertificates } from '../cluster/certificates.js'
import { ReconfigurableSwarm } from '../cluster/reconfigurable-swarm.js'
import { UndoList } from '../cluster/undo-list.js'
import { type AgentConfig } from '../config/types.js'
import { type RunningComponent } from '../core/component.js'
import { type Logger } from '../observe/log.js'
import { createRegistry } from '../registry/server.js'
import { CasStore } from '../store/cas.js'
import { onlyFrom } from './allow-list.js'
import { withBackup } from './backup.js'
import { AgentHealth } from './health.js'
import { Preloader } from './preload.js'
import { createAgentRegistry, createAgentServer } from './server.js'
import { AgentTransfer } from './transfer.js'

/** No request to an agent has a body that is looked at. */
const BODY_BYTES_MAX = 1024 * 1024
/** How long running requests may go on when the agent stops. */
const DRAIN_MS = 5_000

/**
 * Starts an agent: the registry that this host pulls from, and a peer that passes on what it has.
 *
 *     agent-registry-port  -->  registry --+
 *     agent-server-port    -->  server ----+-> transfer --> cache            what is complete here
 *                                                  |  +---> swarm (thread)   what is not, from the peers
 *                                                  +------> build-indexes    tags
 *     peer-port            -->  swarm (thread)
 *
 * @throws AppError UNAVAILABLE if a port is taken; STORAGE
 */
export async function startAgent (config: AgentConfig, log: Logger): Promise<RunningComponent> {
  const undo = new UndoList(log)
  try {
    const { server: tls, client: clientTls } = readCertificates(config.tls)
    const cache = new CasStore({ cacheDir: config.store.cacheDir, log })
    await cache.prepare()
    const swarm = await ReconfigurableSwarm.start({
      mode: 'leecher',
      ip: config.peerIp,
      port: config.peerPort,
      peerIdPolicy: config.peerIdPolicy,
      store: config.store,
      scheduler: config.scheduler,
      slotCount: config.memory.swarmSlots,
      tracker: config.tracker,
      clientTls,
      inlineBytesMax: config.inlineBytesMax
    }, log)
    undo.add('swarm', async () => await swarm.close())
    const http = createHttp(clientTls)
    undo.add('clients', async () => await http.close())
    const tracker = createTrackerClient(config.tracker, { http, log })
    undo.add('trackers', async () => await tracker.close())
    const tags = createTagClient({ hosts: config.buildIndex, http, log, health: 'passive' })
    undo.add('build-indexes', async () => await tags.close())

    const reads = new AgentTransfer({ swarm, cache, tracker, tags, sleep: systemSleep })
    const health = new AgentHealth({
      probe: async options => await swarm.probe(options),
      probeTimeoutMs: config.scheduler.probeTimeoutMs,
      buildIndex: tags,
      tracker,
      readinessTtlMs: config.readinessTtlMs
    })
    const pulls = createRegistry({ reads, writes: undefined }, { log, records: tags.records, membership: 'ignored', mirror: config.registry.mirror })
    const { backup: address, allowed = [] } = config
    const backup = address === undefined ? undefined : createHttp()
    undo.add('backup registry', async () => { await backup?.close() })
    const registry = createAgentRegistry({
      health, registry: backup === undefined || address === undefined ? pulls : withBackup(pulls, { address, http: backup, log }), log
    })
    const servers: HttpServer[] = []
    undo.add('servers', async () => { await Promise.all(servers.map(async server => await server.close(DRAIN_MS))) })
    const serve = async (handler: Handler, port: number, tls?: ServerTls): Promise<number> => {
      const server = await listen(handler, { port, bodyBytesMax: BODY_BYTES_MAX, tls })
      servers.push(server)
      return server.port
    }
    const registryPort = await serve(onlyFrom(allowed, registry), config.registryPort, tls)
    const preloader = new Preloader({ docker: config.docker, containerd: config.containerd, registryAddress: `127.0.0.1:${registryPort}`, log })
    const ports = {
      'agent-registry-port': registryPort,
      'agent-server-port': await serve(createAgentServer({ reads, swarm, tags, health, preloader, log }), config.serverPort),
      'peer-port': swarm.port
    }
    log.info({ ...ports, peerId: swarm.peerId }, 'agent started')
    return { ports, stop: async () => await undo.run() }
  } catch (error) {
    await undo.run()
    throw error
  }
}
