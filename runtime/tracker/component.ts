import { randomInt } from 'node:crypto'
import { INLINE_BYTES_MAX } from '../../net/api/inline.js'
import { createBlobClient } from '../../net/client/blob-client.js'
import { createHttp } from '../../net/client/http.js'
import { createOriginClient } from '../../net/client/origin-client.js'
import { systemSleep } from '../../net/client/upstream.js'
import { listen } from '../../net/http/uws.js'
import { readCertificates } from '../cluster/certificates.js'
import { type TrackerConfig } from '../config/types.js'
import { systemClock } from '../core/clock.js'
import { type RunningComponent } from '../core/component.js'
import { messageOf } from '../core/errors.js'
import { seededPrng } from '../core/prng.js'
import { type Logger } from '../observe/log.js'
import { ANNOUNCE_BYTES_MAX } from './announce.js'
import { Announcer } from './announcer.js'
import { handout } from './handout.js'
import { MetaInfoSource } from './metainfo.js'
import { OriginStore } from './origin-store.js'
import { PeerStore } from './peer-store.js'
import { createTrackerHandler } from './server.js'

/** Peers remembered in all, which take about 0.4 GB then, and of one torrent. */
const PEERS_MAX = 1_000_000
const TORRENT_PEERS_MAX = 50_000

/** Starts a tracker: who has what, and the way to the origins' metainfo. */
export async function startTracker (config: TrackerConfig, log: Logger): Promise<RunningComponent> {
  const { server: tls, client: clientTls } = readCertificates(config.tls)
  const http = createHttp(clientTls)
  const origins = createBlobClient({ hosts: config.origin, http, log })
  const now = systemClock.now
  const metaInfos = new MetaInfoSource({
    locations: async (digest, signal) => origins.locations(digest, { signal }),
    metaInfoAt: async (address, namespace, digest, signal) =>
      createOriginClient(address, http).metaInfo(namespace, digest, { withPieceDigests: true, inlineBytes: INLINE_BYTES_MAX, signal }),
    now,
    sleep: systemSleep
  })
  const announcer = new Announcer({
    peers: new PeerStore({ ttlMs: config.peerTtlMs, torrentPeersMax: TORRENT_PEERS_MAX, peersMax: PEERS_MAX }),
    origins: new OriginStore({
      locations: async digest => origins.locations(digest),
      peerContext: async address => createOriginClient(address, http).peerContext()
    }, config.originStore, now),
    handout: (self, peers, owners, prng) => handout(config.handoutPolicy, self, peers, owners, config.announceLimit, prng),
    limit: config.announceLimit,
    intervalMs: config.announceIntervalMs,
    clock: systemClock,
    prng: seededPrng(randomInt(2 ** 32)),
    log
  })
  const handler = createTrackerHandler({
    announcer,
    metaInfo: async (namespace, digest) => metaInfos.get(namespace, digest),
    checkReadiness: async signal => origins.checkReadiness({ signal })
  }, log)
  const closeClients = async (): Promise<void> => {
    metaInfos.stop()
    await origins.close()
    await http.close()
  }
  const onFailure = (error: unknown, event: string): void => { log.warn({ reason: messageOf(error) }, event) }
  try {
    const server = await listen(handler, { port: config.port, bodyBytesMax: ANNOUNCE_BYTES_MAX, onFailure, tls })
    return {
      ports: { port: server.port },
      stop: async () => {
        await server.close()
        await closeClients()
      }
    }
  } catch (error) {
    await closeClients()
    throw error
  }
}
