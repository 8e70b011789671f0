import { createBlobClient } from '../../net/client/blob-client.js'
import { createHttp } from '../../net/client/http.js'
import { createTagClient } from '../../net/client/tag-client.js'
import { systemSleep } from '../../net/client/upstream.js'
import { type HttpServer } from '../../net/http/engine.js'
import { listen } from '../../net/http/uws.js'
import { Uploads } from '../../workers/upload-door.js'
import { readCertificates } from '../cluster/certificates.js'
import { UndoList } from '../cluster/undo-list.js'
import { type ProxyConfig } from '../config/types.js'
import { systemClock } from '../core/clock.js'
import { type RunningComponent } from '../core/component.js'
import { type Digest } from '../core/digest.js'
import { type Logger } from '../observe/log.js'
import { createRegistry } from '../registry/server.js'
import { CasStore } from '../store/cas.js'
import { clearLeftovers } from '../store/leftovers.js'
import { Preheater } from './notifications.js'
import { Prefetcher } from './prefetch.js'
import { RateLimit } from './rate-limit.js'
import { createProxyServer } from './server.js'
import { ProxyTransfer } from './transfer.js'

/** The largest request body, as with the reference's front (http-api specification 2.1). A layer may come in several. */
const BODY_BYTES_MAX = 10 * 2 ** 30
/** The server port takes small bodies only. */
const SERVER_BODY_BYTES_MAX = 8 * 1024 * 1024
/** For each client address, as with the reference's front (2.1). */
const LIMIT = { perSecond: 100, burst: 20 }
const NEVER = new AbortController().signal
/** How long running requests may go on when the proxy stops. */
const DRAIN_MS = 5_000

/**
 * Starts a proxy: the registry that images are pushed to, and that whoever has no agent pulls from.
 *
 *     port, port, ...  -->  registry --> transfer --> origins        blobs and manifests
 *                  |                      |   |
 *                  |                      |   +-----> build-indexes  tags
 *                  |                      +-> uploads (thread)       chunks until the origins have the blob
 *     server-port  +->  notifications --> preheater --> origins
 *                  +->  prefetches ----> prefetcher --> origins
 *
 * @throws AppError UNAVAILABLE if a port is taken; CONFIG_INVALID, STORAGE
 */
export async function startProxy (config: ProxyConfig, log: Logger): Promise<RunningComponent> {
  const { castore, memory } = config
  const undo = new UndoList(log)
  const beganMs = systemClock.wall()
  try {
    const { server: tls, client: clientTls } = readCertificates(config.tls)
    const staged = new CasStore({ cacheDir: castore.cacheDir, log })
    await staged.prepare()
    const staging = await Uploads.start({
      uploadDir: castore.uploadDir,
      cacheDir: castore.cacheDir,
      slotCount: memory.uploadSlots,
      pieceLengths: undefined,
      uploadTtlMs: castore.uploadTtlMs,
      // What counts is that the origins have it.
      isDurable: false
    })
    undo.add('uploads', async () => await staging.close())
    const http = createHttp(clientTls)
    undo.add('clients', async () => await http.close())
    const origins = createBlobClient({ hosts: config.origin, http, log })
    undo.add('origins', async () => await origins.close())
    const tags = createTagClient({ hosts: config.buildIndex, http, log })
    undo.add('build-indexes', async () => await tags.close())

    const transfer = new ProxyTransfer({ origins, tags, staging, staged, log })
    await transfer.clearStaged()
    // Nobody else is here yet.
    const exclusively = async <T>(_digest: Digest, work: () => Promise<T>): Promise<T> => await work()
    await clearLeftovers({ cacheDir: castore.cacheDir, beganMs, exclusively }, NEVER)
    const preheater = new Preheater({ origins, log, sleep: systemSleep })
    undo.add('preheater', async () => await preheater.close())
    const prefetcher = new Prefetcher({ origins, tags, sizes: config.prefetch, log })
    undo.add('prefetcher', async () => prefetcher.close())
    const own = { preheater, prefetcher, buildIndex: tags, origins, log }
    const registry = createRegistry({ reads: transfer, writes: transfer }, { log, records: tags.records, ...config.registry })
    const site = createProxyServer({ ...own, registry, limit: new RateLimit(LIMIT) })

    const servers = new Map<string, HttpServer>()
    undo.add('servers', async () => { await Promise.all([...servers.values()].map(async server => await server.close(DRAIN_MS))) })
    const serve = async (name: string, listening: Promise<HttpServer>): Promise<void> => { servers.set(name, await listening) }
    for (const [i, port] of config.ports.entries()) await serve(i === 0 ? 'port' : `port-${i + 1}`, listen(site, { port, bodyBytesMax: BODY_BYTES_MAX, tls }))
    if (config.serverPort !== 0) {
      await serve('server-port', listen(createProxyServer(own), { port: config.serverPort, bodyBytesMax: SERVER_BODY_BYTES_MAX }))
    }
    const ports = Object.fromEntries([...servers].map(([name, server]) => [name, server.port]))
    log.info(ports, 'proxy started')
    return { ports, stop: async () => await undo.run() }
  } catch (error) {
    await undo.run()
    throw error
  }
}
