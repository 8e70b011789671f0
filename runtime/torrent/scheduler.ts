import assert from 'node:assert/strict'
import { assertNever } from '../core/brand.js'
import { after, type Millis } from '../core/clock.js'
import { type ErrorCode } from '../core/errors.js'
import { type InfoHash } from '../core/infohash.js'
import { type PieceIndex } from '../core/lengths.js'
import { type PeerInfo } from '../core/peer.js'
import { AnnounceQueue } from './announce-queue.js'
import { type BlacklistEntry } from './blacklist.js'
import { type CloseReason, type Effect, type Event } from './events.js'
import { Peers, type PeersOptions } from './peers.js'
import { Pieces } from './pieces.js'
import { Torrent } from './torrent-state.js'

export type SchedulerOptions = PeersOptions

/** What happened since the start. */
export type SchedulerStats = Pieces['stats'] & { readonly peersBanned: number, readonly announces: number }

/** Announces that one tick may start; the rest wait for the next one. */
const ANNOUNCES_PER_TICK = 8
/** A download without any connection asks the tracker this often. */
const LONELY_INTERVAL_MS = 1_000
/** Peers of one handout that are kept; the reference hands out 50 and the origins. */
const KNOWN_PEERS_MAX = 200
/** So often may a whole blob turn out wrong before the download is given up. */
const INVALIDATIONS_MAX = 5

/*
 *   events --> Scheduler --> Peers      who is connected: dial, accept, refuse, close, blacklist
 *                  |    \--> Pieces     what is asked, served, taken: request, serve, receive, announce
 *                  |
 *                  +-- torrents come and go, the tracker is asked, time passes
 */

/**
 * Decides everything about peers and pieces, for all torrents of a process. Events go in with the time at which they
 * happened, effects come out; it opens no socket, starts no timer and reads no clock.
 */
export class Scheduler {
  readonly #torrents = new Map<InfoHash, Torrent>()
  /** Those that are not complete: the only ones for which a tick has work. */
  readonly #leeching = new Set<Torrent>()
  readonly #peers: Peers
  readonly #pieces: Pieces
  readonly #announces = new AnnounceQueue()
  #announceCount = 0
  #preemptAt: Millis | undefined

  constructor (readonly options: SchedulerOptions) {
    this.#peers = new Peers(options)
    this.#pieces = new Pieces(this.#peers)
  }

  /** Who is left alone at present, for each torrent. */
  blacklist (now: Millis): BlacklistEntry[] { return this.#peers.blacklist.entries(now) }

  /** Connections of a torrent, pending and active. */
  connCount (infoHash: InfoHash): number { return this.#torrents.get(infoHash)?.conns.size ?? 0 }

  get torrentCount (): number { return this.#torrents.size }

  get stats (): SchedulerStats { return { ...this.#pieces.stats, peersBanned: this.#peers.bannedCount, announces: this.#announceCount } }

  /** Applies one event that happened at `now` and appends what is to be done to `out`. */
  step (now: Millis, event: Event, out: Effect[]): void {
    switch (event.type) {
      case 'tick': return this.#tick(now, out)
      case 'torrentOpened': return this.#open(now, event, out)
      case 'torrentWanted': return this.#withTorrent(event.infoHash, torrent => this.#want(now, torrent, out))
      case 'torrentRead': return this.#withTorrent(event.infoHash, torrent => torrent.download?.readers.set(event.from))
      case 'torrentRemoved': return this.#withTorrent(event.infoHash, torrent => this.#forget(now, torrent, 'torrent-removed', out))
      case 'torrentVerified': return this.#withTorrent(event.infoHash, torrent => this.#complete(now, torrent, out))
      case 'piecesInvalidated': return this.#withTorrent(event.infoHash, torrent => this.#invalidate(now, torrent, event.pieces, out))
      case 'announced': return this.#announced(now, event.infoHash, event.peers, event.intervalMs, out)
      case 'announceFailed': return this.#announces.failed(event.infoHash, now, this.options.prng)
      case 'incoming': return this.#peers.admit(now, this.#torrents.get(event.infoHash), event, out)
      case 'handshaken': case 'handshakeFailed': case 'connClosed': return this.#connChanged(now, event, out)
      case 'pieceStored': {
        const complete = this.#pieces.stored(now, event.conn, event.piece, out)
        return complete === undefined ? undefined : this.#verify(complete, out)
      }
      case 'payloadDue': return this.#peers.withActive(event.conn, ({ download }, { id }) => download?.requests.due(id, event.piece, event.isDue, now))
      case 'pieceCorrupt': return this.#pieces.corrupt(now, event.conn, event.piece, out)
      case 'pieceDropped': return this.#pieces.dropped(now, event.conn, event.piece, out)
      case 'pieceAnnounced': case 'peerCompleted': case 'pieceRequested': case 'payloadStarted': case 'requestRefused':
        return this.#said(now, event, out)
      case 'shutdown':
        for (const torrent of [...this.#torrents.values()]) this.#forget(now, torrent, 'shutdown', out)
        return
      default: assertNever(event)
    }
  }

  /** Throws if an invariant does not hold; costs O(pieces x connections), for tests. */
  check (): void {
    let conns = 0
    for (const torrent of this.#torrents.values()) {
      torrent.check()
      conns += torrent.conns.size
      assert.equal(this.#leeching.has(torrent), !torrent.isSeeding)
    }
    assert.equal(this.#peers.connCount, conns, 'a connection without a torrent')
  }

  /** A connected peer has said something. */
  #said (now: Millis, event: Said, out: Effect[]): void {
    this.#peers.withActive(event.conn, (torrent, conn) => {
      switch (event.type) {
        case 'pieceAnnounced': return this.#pieces.announced(now, torrent, conn, event.piece, out)
        case 'peerCompleted': return this.#pieces.peerCompleted(now, torrent, conn, out)
        case 'pieceRequested': return this.#pieces.serve(now, torrent, conn, event.piece, out)
        case 'payloadStarted': return this.#pieces.arrive(now, torrent, conn, event.piece, out)
        case 'requestRefused': return this.#pieces.refused(now, torrent, conn, event.piece, out)
        default: assertNever(event)
      }
    })
  }

  /** A connection is ready, or gone: in both cases there may be somebody new to ask. */
  #connChanged (now: Millis, event: ConnChange, out: Effect[]): void {
    const { conn: id } = event
    if (event.type === 'handshaken') {
      this.#peers.withPending(id, (torrent, conn) => {
        this.#peers.establish(now, torrent, conn, event.peerHas, out)
        this.#pieces.ask(now, torrent, out)
      })
      return
    }
    this.#peers.withConn(id, (torrent, conn) => {
      this.#peers.remove(now, torrent, conn, event.reason)
      this.#pieces.ask(now, torrent, out)
      this.#peers.connect(now, torrent, out)
    })
  }

  // ---- torrents ----

  #open (now: Millis, event: EventOf<'torrentOpened'>, out: Effect[]): void {
    const { infoHash, lengths, have, wanted } = event
    const { self, config } = this.options
    assert(!this.#torrents.has(infoHash), `torrent ${infoHash} is opened twice`)
    assert(have.length === lengths.pieceCount, 'a bitfield has another length than its torrent')
    const isComplete = event.isVerified ?? (have.isFull && !wanted)
    assert(have.isFull || !isComplete, 'a torrent with gaps is called complete')
    const torrent = new Torrent(infoHash, lengths, have.clone(), self, config, isComplete, now)
    this.#torrents.set(infoHash, torrent)
    this.#peers.blacklist.clear(infoHash, now)
    if (isComplete) return this.#announceSoon(now, torrent, out)
    this.#leeching.add(torrent)
    if (have.isFull) return this.#verify(torrent, out)
    if (wanted) return this.#announceSoon(now, torrent, out)
    this.#announces.add(infoHash, now)
  }

  #want (now: Millis, torrent: Torrent, out: Effect[]): void {
    torrent.usedAt = now
    if (torrent.isLeeching) this.#announce(now, torrent, out)
  }

  /** All pieces are stored. */
  #verify (torrent: Torrent, out: Effect[]): void {
    torrent.beginVerifying()
    this.#announces.remove(torrent.infoHash)
    out.push({ type: 'verifyTorrent', infoHash: torrent.infoHash })
  }

  /** The blob is right: the connected peers and the tracker are told. */
  #complete (now: Millis, torrent: Torrent, out: Effect[]): void {
    if (torrent.isSeeding) return
    torrent.completed()
    torrent.usedAt = now
    this.#leeching.delete(torrent)
    this.#peers.completed(now, torrent, out)
    this.#announces.remove(torrent.infoHash)
    this.#announceSoon(now, torrent, out)
  }

  /** The blob is wrong: what is suspected is fetched again, elsewhere. */
  #invalidate (now: Millis, torrent: Torrent, pieces: readonly PieceIndex[], out: Effect[]): void {
    const { download, infoHash } = torrent
    if (download === undefined) return
    const sources = download.invalidate(pieces)
    torrent.reopened()
    torrent.chooseWhomToTrust()
    // Origins vouch for the blob, so they are suspected only if nobody else had a hand in it.
    const strangers = sources.filter(source => !source.isOrigin)
    for (const source of strangers.length > 0 ? strangers : sources) this.#peers.ban(now, torrent, source, out)
    if (download.invalidations >= INVALIDATIONS_MAX) {
      const message = `the pieces of ${infoHash} match their sums and not the digest, after ${INVALIDATIONS_MAX} attempts: check the metainfo on its origins`
      return this.#fail(now, torrent, 'CORRUPT', message, out)
    }
    this.#announceSoon(now, torrent, out)
    this.#pieces.ask(now, torrent, out)
  }

  #fail (now: Millis, torrent: Torrent, code: ErrorCode, message: string, out: Effect[]): void {
    const { infoHash } = torrent
    this.#forget(now, torrent, 'torrent-removed', out)
    out.push({ type: 'failTorrent', infoHash, code, message, deleteFiles: true }, { type: 'forgetTorrent', infoHash })
  }

  #forget (now: Millis, torrent: Torrent, reason: CloseReason, out: Effect[]): void {
    this.#peers.closeAll(now, torrent, reason, out)
    this.#torrents.delete(torrent.infoHash)
    this.#leeching.delete(torrent)
    this.#announces.remove(torrent.infoHash)
  }

  // ---- the tracker ----

  /** Enters the torrent in the queue, where it stays until it is complete and the tracker has heard so, and asks at once. */
  #announceSoon (now: Millis, torrent: Torrent, out: Effect[]): void {
    if (this.options.isSeederOnly) return
    this.#announces.add(torrent.infoHash, now)
    this.#announce(now, torrent, out)
  }

  #announce (now: Millis, torrent: Torrent, out: Effect[]): void {
    if (this.options.isSeederOnly || !this.#announces.begin(torrent.infoHash, now)) return
    this.#announceCount++
    out.push({ type: 'announce', infoHash: torrent.infoHash, isComplete: torrent.isSeeding })
  }

  #announced (now: Millis, infoHash: InfoHash, peers: readonly PeerInfo[], intervalMs: number, out: Effect[]): void {
    const torrent = this.#torrents.get(infoHash)
    if (torrent === undefined || torrent.isSeeding) return this.#announces.remove(infoHash)
    this.#announces.answered(infoHash, now, intervalMs)
    torrent.known = withinLimit(peers)
    torrent.chooseWhomToTrust()
    this.#peers.connect(now, torrent, out)
  }

  #announceDue (now: Millis, out: Effect[]): void {
    for (const infoHash of this.#announces.due(now, ANNOUNCES_PER_TICK)) {
      const torrent = this.#torrents.get(infoHash)
      assert(torrent !== undefined, 'a torrent is announced that is not there')
      // New peers are of no use to a torrent that has no slot for them.
      const hasRoom = torrent.isSeeding || torrent.hasSlotFor(true) || torrent.leastUseful(now) !== undefined
      if (hasRoom) this.#announce(now, torrent, out)
      else this.#announces.skip(infoHash, now)
    }
  }

  // ---- time ----

  #tick (now: Millis, out: Effect[]): void {
    for (const torrent of this.#leeching) if (torrent.isLeeching) this.#attend(now, torrent, out)
    this.#announceDue(now, out)
    const { preemptionIntervalMs } = this.options.config
    this.#preemptAt ??= after(now, preemptionIntervalMs)
    if (now < this.#preemptAt) return
    this.#preemptAt = after(now, preemptionIntervalMs)
    for (const torrent of [...this.#torrents.values()]) this.#preempt(now, torrent, out)
    this.#peers.sweep(now)
  }

  /** Meets the deadlines of a download. */
  #attend (now: Millis, torrent: Torrent, out: Effect[]): void {
    this.#peers.expireHandshakes(now, torrent, out)
    this.#pieces.attend(now, torrent, out)
    this.#peers.connect(now, torrent, out)
    if (torrent.conns.slotsUsed === 0) this.#announces.hasten(torrent.infoHash, LONELY_INTERVAL_MS)
  }

  /** Enforces the limits of time (p2p specification 5.8, 6.10). */
  #preempt (now: Millis, torrent: Torrent, out: Effect[]): void {
    const { seederTtiMs, leecherTtiMs } = this.options.config
    if (torrent.isSeeding && now - torrent.usedAt >= seederTtiMs) {
      this.#forget(now, torrent, 'torrent-forgotten', out)
      out.push({ type: 'forgetTorrent', infoHash: torrent.infoHash })
    } else if (torrent.isLeeching && now - torrent.storedAt >= leecherTtiMs) {
      this.#timeOut(now, torrent, out)
    } else {
      this.#peers.preempt(now, torrent, out)
      this.#pieces.ask(now, torrent, out)
    }
  }

  #timeOut (now: Millis, torrent: Torrent, out: Effect[]): void {
    const seconds = Math.round(this.options.config.leecherTtiMs / 1000)
    const { have, lengths, infoHash, download } = torrent
    const progress = `${have.count} of ${lengths.pieceCount} pieces of ${infoHash} are here`
    if ((download?.droppedInRow ?? 0) > 0) {
      return this.#fail(now, torrent, 'STORAGE', `${progress}, and for ${seconds} s no other could be written: check the disk`, out)
    }
    this.#fail(now, torrent, 'TIMED_OUT', `${progress}, and for ${seconds} s no other arrived: check that its origins can be reached`, out)
  }

  /** A torrent that is gone is ignored: news of it may still be under way. */
  #withTorrent (infoHash: InfoHash, act: (torrent: Torrent) => void): void {
    const torrent = this.#torrents.get(infoHash)
    if (torrent !== undefined) act(torrent)
  }
}

type EventOf<T extends Event['type']> = Event & { readonly type: T }
type Said = EventOf<'pieceAnnounced' | 'peerCompleted' | 'pieceRequested' | 'payloadStarted' | 'requestRefused'>
type ConnChange = EventOf<'handshaken' | 'handshakeFailed' | 'connClosed'>

/** A tracker names the origins last, and they are the peers that can be relied on: of a handout that is too long others go. */
function withinLimit (peers: readonly PeerInfo[]): readonly PeerInfo[] {
  if (peers.length <= KNOWN_PEERS_MAX) return peers
  const origins = peers.filter(peer => peer.isOrigin).slice(0, KNOWN_PEERS_MAX)
  return [...peers.filter(peer => !peer.isOrigin).slice(0, KNOWN_PEERS_MAX - origins.length), ...origins]
}
