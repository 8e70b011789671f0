import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type MessagePort } from 'node:worker_threads'
import { systemClock } from '../runtime/core/clock.js'
import { type Digest } from '../runtime/core/digest.js'
import { AppError, type ErrorCode, isAppError, messageOf, systemCodeOf } from '../runtime/core/errors.js'
import { makePeerId } from '../runtime/core/peer-id.js'
import { Slab } from '../runtime/core/slab.js'
import { SlotQueue } from '../runtime/core/slot-queue.js'
import { DownloadStore } from '../runtime/store/download.js'
import { type TrackerClient } from '../net/client/clients.js'
import { createTrackerClient } from '../net/client/tracker-client.js'
import { type Link } from '../net/peer/link.js'
import { listen, type PeerListener } from '../net/peer/socket.js'
import { serveCalls } from './channel.js'
import { type SwarmCalls, type SwarmEvents, type SwarmOptions } from './jobs.js'
import { createHashPool } from './pool.js'
import { Driver } from './swarm/driver.js'
import { type Found, Torrents } from './swarm/torrents.js'

/** Pieces arrive in slots of this size; a larger piece takes several. */
export const RECEIVE_SLOT_BYTES = 256 * 1024
/*
 * Sending: two blocks a link, and room for 32 links at once; more take turns. A peer that takes nothing is cut off, so a
 * block always comes free. Receiving and sending never share slots: two nodes could otherwise wait for each other.
 */
const SEND_SLOT_BYTES = 1024 * 1024
const SEND_SLOTS = 2 * 32
const TICK_MS = 100
/** How long to ask for metainfo that the origins are still fetching, and how long a tracker that does not answer well. */
const METAINFO_POLL = { firstMs: 200, factor: 1.3, lastMs: 5_000, pendingMs: 15 * 60_000, failingMs: 8_000 }
const MENDS_ITSELF: ReadonlySet<ErrorCode> = new Set(['NETWORK', 'UNAVAILABLE', 'TIMED_OUT'])

interface AskOptions { readonly inlineBytes: number | undefined, readonly signal: AbortSignal }

/** The swarm service: peer sockets, the scheduler and the files of torrents, in one thread. */
export async function runSwarm (port: MessagePort, options: SwarmOptions): Promise<void> {
  const receiveSlab = Slab.create(options.slotCount, RECEIVE_SLOT_BYTES)
  const pool = createHashPool({ threads: options.hashThreads, slab: receiveSlab.memory })
  const tracker = options.tracker === undefined ? undefined : createTrackerClient(options.tracker, { tls: options.clientTls })
  const torrents = new Torrents({
    store: new DownloadStore(options.store),
    fetchMetaInfo: (namespace, digest, signal) => pollMetaInfo(tracker, namespace, digest, { inlineBytes: options.inlineBytesMax, signal }),
    publish: async (digest, entry) => (await pool.run('keepBlob', { digest, ...entry })).isGood,
    pieceBytesMax: options.slotCount * RECEIVE_SLOT_BYTES,
    opened: (torrent, isWanted) => driver.opened(torrent, isWanted)
  })
  const listener = await listenForPeers(options.port, () => driver.admit())
  const self = { peerId: makePeerId(options.peerIdPolicy, options.ip, listener.port), port: listener.port }
  const driver = new Driver({
    options,
    self,
    clock: systemClock,
    seed: randomInt(0xffff_ffff),
    torrents,
    receiveSlots: new SlotQueue(receiveSlab),
    sendSlots: new SlotQueue(Slab.create(SEND_SLOTS, SEND_SLOT_BYTES)),
    pool,
    tracker,
    emit: (event, payload) => emit(event, payload),
    crash: error => { setImmediate(() => { throw error }) }
  })
  const ticker = setInterval(() => driver.tick(), TICK_MS)
  let close = (): void => {}
  const closed = new Promise<void>(resolve => { close = resolve })
  const emit = serveCalls<SwarmCalls, SwarmEvents>(port, {
    self: () => self,
    download: async ({ namespace, digest }) => await driver.download(namespace, digest),
    open: async ({ namespace, digest }) => await driver.open(namespace, digest),
    read: ({ digest, reader, offset }) => { driver.read(digest, reader, offset); return {} },
    release: ({ digest, reader }) => { driver.release(digest, reader); return {} },
    remove: async ({ digest }) => ({ existed: await driver.remove(digest) }),
    probe: () => ({}),
    blacklist: () => driver.blacklist(),
    stats: () => driver.stats()
  }, async () => {
    clearInterval(ticker)
    const stopped = driver.stop()
    await listener.close()
    await pool.close()
    await stopped
    await tracker?.close()
    close()
  })
  await closed
}

async function listenForPeers (port: number, admit: () => Link | undefined): Promise<PeerListener> {
  try {
    return await listen(port, () => {
      const link = admit()
      return link === undefined ? undefined : { receiver: link, attach: socket => link.attach(socket) }
    })
  } catch (cause) {
    const why = systemCodeOf(cause) === 'EADDRINUSE' ? 'another program listens there: stop it or choose another --peer-port' : messageOf(cause)
    throw new AppError('UNAVAILABLE', `cannot listen for peers on port ${port}: ${why}`, { cause })
  }
}

/**
 * Asks until there is an answer: through 202 for as long as the origins may need to fetch the blob, and through failures
 * for as long as a tracker may need to be started again.
 */
async function pollMetaInfo (tracker: TrackerClient | undefined, namespace: string, digest: Digest, options: AskOptions): Promise<Found> {
  if (tracker === undefined) throw new AppError('BLOB_UNKNOWN', `${digest} is not here, and a seeder does not download`)
  const { firstMs, factor, lastMs, pendingMs, failingMs } = METAINFO_POLL
  const startedAt = systemClock.now()
  for (let waitMs = firstMs; ; waitMs = Math.min(waitMs * factor, lastMs)) {
    const answer = await askOnce(tracker, namespace, digest, options)
    if ('metaInfo' in answer) return answer
    if (systemClock.now() - startedAt + waitMs > (answer.isPending ? pendingMs : failingMs)) throw answer.error
    await sleep(waitMs, undefined, { signal: options.signal }).catch(() => { throw new AppError('CANCELLED', `the search for ${digest} was stopped`) })
  }
}

/** The metainfo, or why there is none yet. @throws AppError BLOB_UNKNOWN and all that waiting does not mend */
async function askOnce (
  tracker: TrackerClient, namespace: string, digest: Digest, options: AskOptions
): Promise<Found | { isPending: boolean, error: AppError }> {
  try {
    const answer = await tracker.metaInfo(namespace, digest, options)
    if (answer.status === 'found') return answer
    if (answer.status === 'pending') return { isPending: true, error: new AppError('TIMED_OUT', `the origins are still fetching ${digest}`) }
  } catch (error) {
    if (!isAppError(error) || !MENDS_ITSELF.has(error.code)) throw error
    return { isPending: false, error }
  }
  throw new AppError('BLOB_UNKNOWN', `no origin has ${digest}`)
}
