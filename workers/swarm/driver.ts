import { stat } from 'node:fs/promises'
import { type Clock } from '../../runtime/core/clock.js'
import { type Digest } from '../../runtime/core/digest.js'
import { AppError, isAppError, messageOf } from '../../runtime/core/errors.js'
import { type InfoHash } from '../../runtime/core/infohash.js'
import { assertNever } from '../../runtime/core/brand.js'
import { type PieceIndex } from '../../runtime/core/lengths.js'
import { type PeerInfo } from '../../runtime/core/peer.js'
import { type PeerId } from '../../runtime/core/peer-id.js'
import { seededPrng } from '../../runtime/core/prng.js'
import { type SlotQueue } from '../../runtime/core/slot-queue.js'
import { type ConnId, type Effect, type Event } from '../../runtime/torrent/events.js'
import { type KeptBlob } from '../../runtime/store/download.js'
import { Scheduler } from '../../runtime/torrent/scheduler.js'
import { type TrackerClient } from '../../net/client/clients.js'
import { type Link, type PeerMessage } from '../../net/peer/link.js'
import { type HashPool } from '../pool.js'
import { type OpenedBlob, type SwarmEvents, type SwarmOptions, type SwarmStats } from '../jobs.js'
import { Connections, type ConnectionsOwner } from './connections.js'
import { type Reception, Receiver, type ReceiverOwner } from './receiver.js'
import { suspects, Torrent, type Torrents } from './torrents.js'

export interface DriverParts {
  readonly options: SwarmOptions
  readonly self: { readonly peerId: PeerId, readonly port: number }
  readonly clock: Clock
  readonly seed: number
  readonly torrents: Torrents
  readonly receiveSlots: SlotQueue
  readonly sendSlots: SlotQueue
  readonly pool: HashPool
  readonly tracker: TrackerClient | undefined
  readonly emit: <E extends keyof SwarmEvents>(event: E, payload: SwarmEvents[E]) => void
  /** A broken invariant: nothing here can be relied on any more. */
  readonly crash: (error: unknown) => void
}

/**
 * The only loop of the swarm thread: takes an event, lets the scheduler decide, performs the effects. It decides nothing
 * about peers and pieces by itself; it translates between messages, files and events, and keeps time.
 *
 *   a piece is requested   scheduler `request` -> `#perform`
 *   ... verified, stored   `payloadStarted` -> Receiver -> `receptionDone`
 *   ... served             `pieceRequested` -> scheduler `serve` -> `#serve`
 */
export class Driver implements ConnectionsOwner, ReceiverOwner {
  readonly #scheduler: Scheduler
  readonly #receiver: Receiver
  readonly #connections: Connections
  readonly #queue: Event[] = []
  readonly #effects: Effect[] = []
  /** The pieces of an unfinished download that came from origins, which vouch for the blob. */
  readonly #fromOrigins = new Map<InfoHash, Set<number>>()
  readonly #abort = new AbortController()
  #nextConn = 1
  #nextReader = 1
  #isRunning = false
  #isStopped = false
  #bytesServed = 0

  constructor (readonly parts: DriverParts) {
    const allocateConn = (): ConnId => this.#nextConn++ as ConnId
    this.#scheduler = new Scheduler({
      config: parts.options.scheduler,
      self: parts.self.peerId,
      prng: seededPrng(parts.seed),
      isSeederOnly: parts.options.mode === 'seeder',
      allocateConn
    })
    const { clock, torrents, receiveSlots, sendSlots, crash, options: { scheduler: { conn: { handshakeTimeoutMs } } } } = parts
    this.#connections = new Connections({
      peerId: parts.self.peerId, handshakeTimeoutMs, clock, torrents, receiveSlots, sendSlots, allocateConn, crash
    }, this)
    this.#receiver = new Receiver(receiveSlots, parts.pool, this)
  }

  // ---- calls from the main thread ----

  async download (namespace: string, digest: Digest): Promise<{ sizeBytes: number }> {
    const torrent = await this.#want(namespace, digest)
    if (!(torrent instanceof Torrent)) return { sizeBytes: torrent.sizeBytes }
    requireKept(torrent)
    if (torrent.isComplete) return { sizeBytes: torrent.metaInfo.lengths.totalBytes }
    return await torrent.wait()
  }

  async open (namespace: string, digest: Digest): Promise<OpenedBlob> {
    const torrent = await this.#want(namespace, digest)
    if (!(torrent instanceof Torrent)) return { ...torrent, isComplete: true, reader: 0, pieceBytes: torrent.sizeBytes, verified: [] }
    requireKept(torrent)
    const reader = this.#nextReader++
    const { isComplete, readable: verified, stored: { path }, metaInfo: { lengths: { totalBytes: sizeBytes, pieceBytes } } } = torrent
    if (!isComplete) torrent.readers.set(reader, undefined)
    return { sizeBytes, path, isComplete, reader, pieceBytes, verified }
  }

  read (digest: Digest, reader: number, offset: number): void {
    const torrent = this.parts.torrents.byDigest(digest)
    if (torrent?.readers.has(reader) !== true) return
    torrent.readers.set(reader, torrent.metaInfo.lengths.index(Math.floor(offset / torrent.metaInfo.lengths.pieceBytes)))
    this.#orderFor(torrent)
  }

  release (digest: Digest, reader: number): void {
    const torrent = this.parts.torrents.byDigest(digest)
    if (torrent?.readers.delete(reader) === true) this.#orderFor(torrent)
  }

  /** Tells the scheduler where the blob is read. */
  #orderFor ({ infoHash, readers }: Torrent): void {
    this.dispatch({ type: 'torrentRead', infoHash, from: [...readers.values()].filter(piece => piece !== undefined) })
  }

  async remove (digest: Digest): Promise<boolean> {
    await this.parts.torrents.cancel(digest)
    const torrent = this.parts.torrents.byDigest(digest)
    if (torrent !== undefined) this.#drop(torrent, new AppError('CANCELLED', `${digest} was deleted while it was being downloaded`))
    return await this.parts.torrents.parts.store.remove(digest)
  }

  blacklist (): Array<{ peerId: string, infoHash: string, remainingMs: number }> {
    return this.#scheduler.blacklist(this.parts.clock.now())
  }

  stats (): SwarmStats {
    const { bytesFromOrigins, bytesFromAgents, bytesDiscarded: duplicateBytes, piecesCorrupt: corruptPieces } = this.#scheduler.stats
    return {
      torrents: this.parts.torrents.size,
      conns: this.#connections.size,
      bytesFromOrigins,
      bytesFromAgents,
      bytesServed: this.#bytesServed,
      duplicateBytes,
      corruptPieces,
      peersCutOff: this.#connections.cutOff,
      slotsLeased: this.parts.receiveSlots.slab.leasedCount + this.parts.sendSlots.slab.leasedCount
    }
  }

  /** A torrent has come into memory. */
  opened (torrent: Torrent, isWanted: boolean): void {
    const { infoHash, metaInfo: { lengths }, stored } = torrent
    const { isComplete: isVerified } = torrent
    this.dispatch({ type: 'torrentOpened', infoHash, lengths, have: stored.have.clone(), wanted: isWanted && !isVerified, isVerified })
  }

  /** Resolves once every file is closed; what waits for the hash pool is given up when that is closed. */
  async stop (): Promise<void> {
    if (this.#isStopped) return
    this.dispatch({ type: 'shutdown' })
    this.#isStopped = true
    this.#abort.abort()
    this.#connections.stop()
    for (const torrent of [...this.parts.torrents.values()]) this.#end(torrent, new AppError('CANCELLED', 'the process is shutting down'))
    await this.parts.torrents.close()
  }

  /** Called every 100 ms or so. */
  tick (): void {
    this.dispatch({ type: 'tick' })
    this.#connections.tick()
  }

  // ---- events in, effects out ----

  dispatch (event: Event): void {
    if (this.#isStopped) return
    this.#queue.push(event)
    if (this.#isRunning) return
    this.#isRunning = true
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        this.#scheduler.step(this.parts.clock.now(), next, this.#effects)
        for (const effect of this.#effects.splice(0)) this.#perform(effect)
      }
    } catch (error) {
      this.parts.crash(error)
    } finally {
      this.#isRunning = false
    }
  }

  #perform (effect: Effect): void {
    switch (effect.type) {
      case 'announce': return this.#announce(effect.infoHash, effect.isComplete)
      case 'dial': return this.#connections.dial(effect.conn, effect.infoHash, effect.peer, effect.neighbours)
      case 'accept': return this.#connections.accept(effect.conn, effect.neighbours)
      case 'refuse': return this.#connections.close(effect.conn, effect.reason)
      case 'close': return this.#connections.close(effect.conn, effect.reason)
      case 'request': return this.#onLink(effect.conn, (link, torrent) => {
        link.send({ type: 'pieceRequest', index: effect.piece, offset: 0, length: torrent.metaInfo.lengths.sizeOf(effect.piece) })
      })
      case 'serve': return this.#onLink(effect.conn, (link, torrent) => this.#serve(link, torrent, effect.piece))
      case 'sendError': return this.#onLink(effect.conn, link => link.send({ type: 'error', index: effect.piece, code: 0, text: effect.text }))
      case 'sendPieceAnnounce': return this.#onLink(effect.conn, link => link.send({ type: 'announcePiece', index: effect.piece }))
      case 'sendComplete': return this.#onLink(effect.conn, link => link.send({ type: 'complete' }))
      case 'receive': return this.#onLink(effect.conn, (link, torrent) => this.#receiver.begin(link, torrent, effect.piece))
      case 'discard': return this.#onLink(effect.conn, link => link.skip())
      case 'verifyTorrent': return this.#verify(effect.infoHash)
      case 'failTorrent': return this.#fail(effect.infoHash, new AppError(effect.code, effect.message), effect.deleteFiles)
      case 'forgetTorrent': return this.#withTorrent(effect.infoHash, torrent => this.#end(torrent, undefined))
      default: assertNever(effect)
    }
  }

  #announce (infoHash: InfoHash, isComplete: boolean): void {
    const { tracker, self, options } = this.parts
    const torrent = this.parts.torrents.byHash(infoHash)
    if (tracker === undefined || torrent === undefined) return
    const announced: PeerInfo = { id: self.peerId, ip: options.ip, port: self.port, isOrigin: false, isComplete }
    tracker.announce(torrent.digest, infoHash, announced, { signal: this.#abort.signal }).then(
      ({ peers, intervalMs }) => this.dispatch({ type: 'announced', infoHash, peers, intervalMs }),
      () => this.dispatch({ type: 'announceFailed', infoHash })
    ).catch(this.parts.crash)
  }

  #verify (infoHash: InfoHash): void {
    this.#withTorrent(infoHash, torrent => {
      const release = torrent.hold()
      this.#complete(torrent).catch((error: unknown) => {
        this.#fail(infoHash, isAppError(error) ? error : new AppError('STORAGE', messageOf(error), { cause: error }), false)
        this.dispatch({ type: 'torrentRemoved', infoHash })
      }).finally(release)
    })
  }

  async #complete (torrent: Torrent): Promise<void> {
    const { metaInfo, stored, infoHash } = torrent
    if (!torrent.isTrusted) {
      const { path } = stored
      const { digest, pieceSums: crcs, pieceDigests: sha256s, lengths: { pieceBytes } } = metaInfo
      const { isGood, badPieces } = await this.parts.pool.run('verifyFile', { path, digest, pieceBytes, crcs, sha256s })
      if (torrent.isRetired) return
      if (!isGood) {
        const pieces = badPieces.flatMap(n => metaInfo.lengths.index(n) ?? [])
        const guilty = pieces.length > 0 ? pieces : suspects(torrent, this.#fromOrigins.get(infoHash) ?? new Set())
        await stored.invalidate(guilty)
        for (const piece of guilty) this.#fromOrigins.get(infoHash)?.delete(piece)
        this.dispatch({ type: 'piecesInvalidated', infoHash, pieces: guilty })
        return
      }
    }
    await stored.complete()
    if (torrent.isRetired) return
    this.#fromOrigins.delete(infoHash)
    this.dispatch({ type: 'torrentVerified', infoHash })
    this.#settle(torrent, undefined)
  }

  #fail (infoHash: InfoHash, error: AppError, deleteFiles: boolean): void {
    this.#withTorrent(infoHash, torrent => {
      this.#end(torrent, error)
      if (deleteFiles) this.parts.torrents.parts.store.remove(torrent.digest).catch(() => {})
    })
  }

  /** Takes a torrent from everybody, the scheduler included. */
  #drop (torrent: Torrent, error: AppError): void {
    this.dispatch({ type: 'torrentRemoved', infoHash: torrent.infoHash })
    this.#end(torrent, error)
  }

  /** Forgets a torrent: who waits gets the error, connections that are left are closed. */
  #end (torrent: Torrent, error: AppError | undefined): void {
    this.#connections.closeAllOf(torrent)
    this.parts.torrents.drop(torrent)
    this.#fromOrigins.delete(torrent.infoHash)
    this.#settle(torrent, error ?? (torrent.isComplete ? undefined : new AppError('CANCELLED', `the download of ${torrent.digest} was given up`)))
  }

  #settle (torrent: Torrent, error: AppError | undefined): void {
    torrent.settle(error)
    if (torrent.readers.size === 0) return
    torrent.readers.clear()
    this.parts.emit('ended', { digest: torrent.digest, error: error === undefined ? undefined : { code: error.code, message: error.message } })
  }

  async #want (namespace: string, digest: Digest): Promise<Torrent | KeptBlob> {
    const known = this.parts.torrents.byDigest(digest)
    if (known?.isComplete === true && !await isFile(known.stored.path) && !known.isRetired) {
      this.#drop(known, new AppError('CANCELLED', `the file of ${digest} was deleted`))
    }
    const torrent = await this.parts.torrents.obtain(namespace, digest)
    if (!(torrent instanceof Torrent)) return torrent
    if (torrent.isRetired) throw new AppError('CANCELLED', `${digest} was deleted meanwhile`)
    if (torrent === known && !torrent.isComplete) this.dispatch({ type: 'torrentWanted', infoHash: torrent.infoHash })
    return torrent
  }

  // ---- what connections bring ----

  /** A connection comes in; undefined to turn it away. */
  admit (): Link | undefined { return this.#connections.admit() }

  message (link: Link, torrent: Torrent, message: PeerMessage): void {
    const conn = link.id
    switch (message.type) {
      case 'pieceRequest': {
        const piece = torrent.metaInfo.lengths.index(message.index)
        if (piece !== undefined && message.offset === 0 && message.length === torrent.metaInfo.lengths.sizeOf(piece)) {
          return this.dispatch({ type: 'pieceRequested', conn, piece })
        }
        const text = piece === undefined
          ? `invalid piece index ${message.index}: num pieces = ${torrent.metaInfo.lengths.pieceCount}`
          : 'reading / writing chunk of piece not supported'
        return link.send({ type: 'error', index: message.index, code: 0, text })
      }
      case 'announcePiece': return this.#about(torrent, message.index, piece => this.dispatch({ type: 'pieceAnnounced', conn, piece }))
      case 'error':
        if (message.code !== 0) return
        return this.#about(torrent, message.index, piece => this.dispatch({ type: 'requestRefused', conn, piece }))
      case 'complete': return this.dispatch({ type: 'peerCompleted', conn })
      case 'cancelPiece': case 'unknown': return
      default: assertNever(message)
    }
  }

  /** Indices that no piece has are ignored where the reference ignores them. */
  #about (torrent: Torrent, index: number, act: (piece: PieceIndex) => void): void {
    const piece = torrent.metaInfo.lengths.index(index)
    if (piece !== undefined) act(piece)
  }

  payloadStarted (
    link: Link, torrent: Torrent, { index, offset, length }: { readonly index: number, readonly offset: number, readonly length: number }
  ): void {
    const piece = torrent.metaInfo.lengths.index(index)
    if (piece === undefined || offset !== 0 || length !== torrent.metaInfo.lengths.sizeOf(piece)) {
      link.close('protocol-violation')
      return
    }
    this.dispatch({ type: 'payloadStarted', conn: link.id, piece })
  }

  payloadDone (link: Link): void { this.#receiver.finish(link) }

  gone (link: Link): void { this.#receiver.abandon(link) }

  receptionDue (link: Link, piece: PieceIndex, isDue: boolean): void { this.dispatch({ type: 'payloadDue', conn: link.id, piece, isDue }) }

  receptionDone (link: Link, torrent: Torrent, piece: PieceIndex, outcome: Reception): void {
    if (torrent.isRetired) return
    const conn = link.id
    switch (outcome) {
      case 'stored': {
        if (this.#connections.isToOrigin(link)) this.#noteFromOrigin(torrent, piece)
        this.dispatch({ type: 'pieceStored', conn, piece })
        if (torrent.isTrusted && torrent.readers.size > 0) this.parts.emit('verified', { digest: torrent.digest, piece })
        return
      }
      case 'corrupt': return this.dispatch({ type: 'pieceCorrupt', conn, piece })
      case 'dropped': return this.dispatch({ type: 'pieceDropped', conn, piece })
      default: assertNever(outcome)
    }
  }

  #serve (link: Link, torrent: Torrent, piece: PieceIndex): void {
    const length = torrent.metaInfo.lengths.sizeOf(piece)
    const position = torrent.metaInfo.lengths.offsetOf(piece)
    link.sendPiece(piece, { fd: torrent.stored.fd, position, length }, () => { this.#bytesServed += length })
  }

  #noteFromOrigin ({ infoHash }: Torrent, piece: PieceIndex): void {
    this.#fromOrigins.set(infoHash, (this.#fromOrigins.get(infoHash) ?? new Set()).add(piece))
  }

  #onLink (id: ConnId, act: (link: Link, torrent: Torrent) => void): void {
    const found = this.#connections.find(id)
    if (found !== undefined) act(found.link, found.torrent)
  }

  #withTorrent (infoHash: InfoHash, act: (torrent: Torrent) => void): void {
    const torrent = this.parts.torrents.byHash(infoHash)
    if (torrent !== undefined) act(torrent)
  }
}

async function isFile (path: string): Promise<boolean> {
  return await stat(path).then(stats => stats.isFile(), () => false)
}

/** Nobody would ever tell of the end of a torrent that is forgotten already. @throws AppError CANCELLED */
function requireKept (torrent: Torrent): void {
  if (torrent.isRetired) throw new AppError('CANCELLED', `${torrent.digest} was deleted while it was being opened`)
}
