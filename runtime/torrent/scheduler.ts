import assert from 'node:assert/strict'
import { assertNever } from '../core/brand.js'
import { after, type Millis } from '../core/clock.js'
import { type SchedulerConfig } from '../config/sections/scheduler.js'
import { type InfoHash } from '../core/infohash.js'
import { type PieceIndex } from '../core/lengths.js'
import { type PeerInfo } from '../core/peer.js'
import { type PeerId } from '../core/peer-id.js'
import { type Prng } from '../core/prng.js'
import { AnnounceQueue } from './announce-queue.js'
import { ask, type Asking, hedge, originsAreBusy } from './asking.js'
import { Blacklist, type BlacklistEntry } from './blacklist.js'
import { type ActiveConn, type Conn, type PendingConn, type Source } from './conn-table.js'
import { type CloseReason, type ConnId, type Effect, type Event } from './events.js'
import { Torrent } from './torrent-state.js'

export interface SchedulerOptions {
  readonly config: SchedulerConfig
  readonly self: PeerId
  readonly prng: Prng
  /** An origin: never dials, never announces. */
  readonly isSeederOnly: boolean
  /** Numbers the connections that we dial; the driver numbers those that come in from the same counter. */
  readonly allocateConn: () => ConnId
}

/** What happened since the start. Bytes are piece bytes. */
export interface SchedulerStats {
  bytesFromOrigins: number
  bytesFromAgents: number
  bytesServed: number
  bytesDiscarded: number
  piecesCorrupt: number
  piecesHedged: number
  peersBanned: number
  announces: number
}

/** Announces that one tick may start; the rest wait for the next one. */
const ANNOUNCES_PER_TICK = 8
/** A download without any connection asks the tracker this often. */
const LONELY_INTERVAL_MS = 1_000
/** How long a connection may take from the dial to both handshakes, in handshake timeouts (connect, write, read). */
const HANDSHAKE_STEPS = 4
/** A peer that refuses this many announced pieces, and more than it delivered, is cut off. */
const REFUSALS_MAX = 8
/** Payloads that nobody asked for which one connection may bring. */
const UNSOLICITED_MAX = 8
/** So often may a whole blob turn out wrong before the download is given up. */
const INVALIDATIONS_MAX = 5
/** How long the outcome of a piece may follow the end of its connection. */
const AFTERMATH_MS = 60_000

/** A connection that ended while pieces were on their way from it to the disk. */
interface Departed { readonly torrent: Torrent, readonly source: Source, readonly pieces: ReadonlySet<PieceIndex>, readonly until: Millis }

/**
 * Decides everything about peers and pieces, for all torrents of a process. Events go in with the time at which they
 * happened, effects come out; it opens no socket, starts no timer and reads no clock.
 */
export class Scheduler {
  readonly stats: SchedulerStats = {
    bytesFromOrigins: 0, bytesFromAgents: 0, bytesServed: 0, bytesDiscarded: 0, piecesCorrupt: 0, piecesHedged: 0, peersBanned: 0, announces: 0
  }

  readonly #torrents = new Map<InfoHash, Torrent>()
  /** Those that are not complete: the only ones for which a tick has work. */
  readonly #leeching = new Set<Torrent>()
  readonly #byConn = new Map<ConnId, Torrent>()
  readonly #departed = new Map<ConnId, Departed>()
  readonly #announces = new AnnounceQueue()
  readonly #blacklist: Blacklist
  #preemptAt: Millis | undefined

  constructor (readonly options: SchedulerOptions) { this.#blacklist = new Blacklist(options.config.connState.blacklistMs) }

  /** Who is left alone at present, for each torrent. */
  blacklist (now: Millis): BlacklistEntry[] { return this.#blacklist.entries(now) }

  /** Connections of a torrent, pending and active. */
  connCount (infoHash: InfoHash): number { return this.#torrents.get(infoHash)?.conns.size ?? 0 }

  get torrentCount (): number { return this.#torrents.size }

  /** Applies one event that happened at `now` and appends what is to be done to `out`. */
  step (now: Millis, event: Event, out: Effect[]): void {
    switch (event.type) {
      case 'tick': return this.#tick(now, out)
      case 'torrentOpened': return this.#open(now, event, out)
      case 'torrentWanted': return this.#withTorrent(event.infoHash, torrent => this.#want(now, torrent, out))
      case 'torrentRemoved': return this.#withTorrent(event.infoHash, torrent => this.#forget(now, torrent, 'torrent-removed', out))
      case 'announced': return this.#announced(now, event.infoHash, event.peers, event.intervalMs, out)
      case 'announceFailed': return this.#announces.failed(event.infoHash, now, this.options.prng)
      case 'incoming': return this.#admit(now, event, out)
      case 'handshaken': return this.#withPending(event.conn, (torrent, conn) => this.#establish(now, torrent, conn, event.peerHas, out))
      case 'handshakeFailed':
      case 'connClosed': return this.#withConn(event.conn, (torrent, conn) => this.#lost(now, torrent, conn, event.reason, out))
      case 'pieceAnnounced': return this.#withActive(event.conn, (torrent, conn) => {
        if (torrent.peerGained(conn, event.piece)) this.#ask(now, torrent, out)
      })
      case 'peerCompleted': return this.#withActive(event.conn, (torrent, conn) => this.#peerCompleted(now, torrent, conn, out))
      case 'pieceRequested': return this.#withActive(event.conn, (torrent, conn) => this.#serve(now, torrent, conn, event.piece, out))
      case 'payloadStarted': return this.#withActive(event.conn, (torrent, conn) => this.#arrive(now, torrent, conn, event.piece, out))
      case 'pieceStored': return this.#stored(now, event.conn, event.piece, out)
      case 'pieceCorrupt': return this.#corrupt(now, event.conn, event.piece, out)
      case 'pieceDropped': return this.#dropped(now, event.conn, event.piece, out)
      case 'requestRefused': return this.#withActive(event.conn, (torrent, conn) => this.#refused(now, torrent, conn, event.piece, out))
      case 'piecesInvalidated': return this.#withTorrent(event.infoHash, torrent => this.#invalidate(now, torrent, event.pieces, out))
      case 'torrentVerified': return this.#withTorrent(event.infoHash, torrent => this.#complete(now, torrent, out))
      case 'shutdown': return this.#shutdown(now, out)
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
    assert.equal(this.#byConn.size, conns, 'a connection without a torrent')
  }

  // ---- torrents ----

  #open (now: Millis, event: Event & { type: 'torrentOpened' }, out: Effect[]): void {
    const { infoHash, lengths, have, wanted } = event
    const { self, config } = this.options
    assert(!this.#torrents.has(infoHash), `torrent ${infoHash} is opened twice`)
    assert(have.length === lengths.pieceCount, 'a bitfield has another length than its torrent')
    const isComplete = event.isVerified ?? (have.isFull && !wanted)
    assert(have.isFull || !isComplete, 'a torrent with gaps is called complete')
    const torrent = new Torrent(infoHash, lengths, have.clone(), self, config, isComplete, now)
    this.#torrents.set(infoHash, torrent)
    this.#blacklist.clear(infoHash, now)
    if (isComplete) return this.#announceComplete(now, torrent, out)
    this.#leeching.add(torrent)
    if (have.isFull) return this.#verify(torrent, out)
    this.#announces.add(infoHash, now)
    if (wanted) this.#announce(now, torrent, out)
  }

  #want (now: Millis, torrent: Torrent, out: Effect[]): void {
    torrent.usedAt = now
    if (torrent.isLeeching) this.#announce(now, torrent, out)
  }

  #verify (torrent: Torrent, out: Effect[]): void {
    assert(torrent.have.isFull)
    torrent.beginVerifying()
    this.#announces.remove(torrent.infoHash)
    out.push({ type: 'verifyTorrent', infoHash: torrent.infoHash })
  }

  /** The blob is right: peers that lack pieces hear of it, those that need nothing are let go, the tracker is told once. */
  #complete (now: Millis, torrent: Torrent, out: Effect[]): void {
    if (torrent.isSeeding) return
    assert(torrent.have.isFull, 'a torrent with gaps is called complete')
    torrent.completed()
    torrent.usedAt = now
    this.#leeching.delete(torrent)
    this.#blacklist.clear(torrent.infoHash, now)
    for (const conn of [...torrent.conns.active.values()]) {
      if (conn.has.isFull) this.#close(now, torrent, conn, 'both-complete', out)
      else out.push({ type: 'sendComplete', conn: conn.id })
    }
    this.#announces.remove(torrent.infoHash)
    this.#announceComplete(now, torrent, out)
  }

  #invalidate (now: Millis, torrent: Torrent, pieces: readonly PieceIndex[], out: Effect[]): void {
    const { download } = torrent
    if (download === undefined) return
    const sources = download.invalidate(pieces)
    torrent.reopened()
    torrent.chooseWhomToTrust()
    // Origins vouch for the blob, so they are suspected only if nobody else had a hand in it.
    const strangers = sources.filter(source => !source.isOrigin)
    for (const source of strangers.length > 0 ? strangers : sources) this.#banSource(now, torrent, source, out)
    if (download.invalidations >= INVALIDATIONS_MAX) {
      return this.#fail(now, torrent, 'CORRUPT', `the pieces of ${torrent.infoHash} match their sums but not the digest, after ${INVALIDATIONS_MAX} attempts: check the metainfo on its origins`, out)
    }
    this.#announces.add(torrent.infoHash, now)
    this.#ask(now, torrent, out)
  }

  #fail (now: Millis, torrent: Torrent, code: 'TIMED_OUT' | 'STORAGE' | 'CORRUPT', message: string, out: Effect[]): void {
    const { infoHash } = torrent
    this.#forget(now, torrent, 'torrent-removed', out)
    out.push({ type: 'failTorrent', infoHash, code, message, deleteFiles: true }, { type: 'forgetTorrent', infoHash })
  }

  #forget (now: Millis, torrent: Torrent, reason: CloseReason, out: Effect[]): void {
    for (const conn of allConns(torrent)) this.#close(now, torrent, conn, reason, out)
    this.#torrents.delete(torrent.infoHash)
    this.#leeching.delete(torrent)
    this.#announces.remove(torrent.infoHash)
    for (const [conn, departed] of this.#departed) if (departed.torrent === torrent) this.#departed.delete(conn)
  }

  #shutdown (now: Millis, out: Effect[]): void {
    for (const torrent of [...this.#torrents.values()]) this.#forget(now, torrent, 'shutdown', out)
  }

  // ---- the tracker ----

  #announce (now: Millis, torrent: Torrent, out: Effect[]): void {
    if (this.options.isSeederOnly || !this.#announces.begin(torrent.infoHash, now)) return
    this.stats.announces++
    out.push({ type: 'announce', infoHash: torrent.infoHash, isComplete: torrent.isSeeding })
  }

  /** Stays in the queue until the tracker has heard it. */
  #announceComplete (now: Millis, torrent: Torrent, out: Effect[]): void {
    this.#announces.add(torrent.infoHash, now)
    this.#announce(now, torrent, out)
  }

  #announced (now: Millis, infoHash: InfoHash, peers: readonly PeerInfo[], intervalMs: number, out: Effect[]): void {
    const torrent = this.#torrents.get(infoHash)
    if (torrent === undefined || torrent.isSeeding) return this.#announces.remove(infoHash)
    this.#announces.answered(infoHash, now, intervalMs)
    torrent.known = peers
    torrent.chooseWhomToTrust()
    this.#connect(now, torrent, out)
  }

  #announceDue (now: Millis, out: Effect[]): void {
    for (const infoHash of this.#announces.due(now, ANNOUNCES_PER_TICK)) {
      const torrent = this.#torrents.get(infoHash)
      assert(torrent !== undefined, 'a torrent is announced that is not there')
      // New peers are of no use to one that has no slot for them.
      if (torrent.isSeeding || torrent.hasSlotFor(true) || torrent.leastUseful(now) !== undefined) this.#announce(now, torrent, out)
      else this.#announces.skip(infoHash, now)
    }
  }

  // ---- connections ----

  /** Dials known peers in the tracker's order while there are slots. */
  #connect (now: Millis, torrent: Torrent, out: Effect[]): void {
    if (!torrent.isLeeching || this.options.isSeederOnly) return
    for (const peer of torrent.known) {
      if (peer.id === this.options.self || this.#blacklist.blocks(torrent.infoHash, peer.id, now)) continue
      if (peer.isOrigin) this.#unmask(now, torrent, peer.id, out)
      if (torrent.conns.of(peer.id).length > 0) continue
      if (!torrent.hasSlotFor(peer.isOrigin) && !((peer.isOrigin || peer.isComplete) && this.#makeRoom(now, torrent, peer.isOrigin, out))) continue
      const conn = this.options.allocateConn()
      this.#enter(torrent, { state: 'pending', id: conn, peer: peer.id, isOrigin: peer.isOrigin, isDialled: true, storedMark: torrent.stored.length, since: now })
      if (!peer.isOrigin && !peer.isComplete) torrent.download?.expect(conn, peer.id, now)
      out.push({ type: 'dial', conn, infoHash: torrent.infoHash, peer, neighbours: torrent.conns.neighbours() })
    }
  }

  /** Origins never dial: who dialled us under the name of one is somebody else. */
  #unmask (now: Millis, torrent: Torrent, peer: PeerId, out: Effect[]): void {
    for (const conn of torrent.conns.of(peer)) if (!conn.isDialled) this.#close(now, torrent, conn, 'wrong-peer', out)
  }

  #admit (now: Millis, event: Event & { type: 'incoming' }, out: Effect[]): void {
    const { conn, infoHash, peer, neighbours } = event
    const refuse = (reason: CloseReason): void => { out.push({ type: 'refuse', conn, reason }) }
    const torrent = this.#torrents.get(infoHash)
    if (torrent === undefined) return refuse('torrent-unknown')
    const ban = this.#blacklist.banned(infoHash, peer, now)
    if (ban !== undefined) return refuse(ban)
    if (torrent.known.some(known => known.isOrigin && known.id === peer)) return refuse('wrong-peer')
    const quietSince = after(now, -this.options.config.conn.handshakeTimeoutMs)
    const admission = torrent.conns.admission(peer, neighbours, quietSince)
    if (!admission.isAdmitted) return refuse(admission.reason)
    const hasSlot = torrent.conns.of(peer).length > 0 || torrent.hasSlotFor(false) || this.#makeRoom(now, torrent, false, out)
    if (!hasSlot) return refuse('at-capacity')
    for (const other of admission.superseded) this.#close(now, torrent, other, 'superseded', out)
    this.#enter(torrent, { state: 'pending', id: conn, peer, isOrigin: false, isDialled: false, storedMark: torrent.stored.length, since: now })
    out.push({ type: 'accept', conn, neighbours: torrent.conns.neighbours() })
  }

  /** Lets the connection go that is of least use, if that gives a slot to the newcomer. */
  #makeRoom (now: Millis, torrent: Torrent, isOrigin: boolean, out: Effect[]): boolean {
    const least = torrent.leastUseful(now)
    if (least === undefined) return false
    this.#close(now, torrent, least, 'idle', out)
    return torrent.hasSlotFor(isOrigin)
  }

  #enter (torrent: Torrent, conn: PendingConn): void {
    torrent.conns.addPending(conn)
    this.#byConn.set(conn.id, torrent)
  }

  #establish (now: Millis, torrent: Torrent, pending: PendingConn, peerHas: ActiveConn['has'], out: Effect[]): void {
    assert(peerHas.length === torrent.lengths.pieceCount, 'a peer\'s bitfield has another length than the torrent')
    const rival = torrent.conns.of(pending.peer).find(conn => conn !== pending)
    if (rival?.state === 'active') {
      const loser = torrent.conns.survivor(pending, rival) === pending ? rival : pending
      this.#close(now, torrent, loser, 'superseded', out)
      if (loser === pending) return
    } else if (rival !== undefined && pending.isDialled) {
      this.#close(now, torrent, rival, 'superseded', out)
    }
    const conn = torrent.conns.activate(pending, now, peerHas.clone())
    torrent.download?.join(conn)
    this.#introduce(now, torrent, conn, out)
    this.#ask(now, torrent, out)
  }

  /** Tells the peer what has happened since it was shown our bitfield. */
  #introduce (now: Millis, torrent: Torrent, conn: ActiveConn, out: Effect[]): void {
    const isFresh = torrent.stored.length === conn.storedMark
    if (torrent.isSeeding && conn.has.isFull) {
      if (conn.isDialled) this.#close(now, torrent, conn, 'both-complete', out)
    } else if (torrent.isSeeding) {
      if (!isFresh) out.push({ type: 'sendComplete', conn: conn.id })
    } else {
      for (const piece of torrent.storedSince(conn.storedMark)) {
        if (!conn.has.has(piece)) out.push({ type: 'sendPieceAnnounce', conn: conn.id, piece })
      }
    }
  }

  /** The driver reports the end of a connection. */
  #lost (now: Millis, torrent: Torrent, conn: Conn, reason: CloseReason, out: Effect[]): void {
    this.#remove(now, torrent, conn, reason)
    if (!torrent.isLeeching) return
    this.#ask(now, torrent, out)
    this.#connect(now, torrent, out)
  }

  /** We end a connection. Whoever calls this asks others for what is open again. */
  #close (now: Millis, torrent: Torrent, conn: Conn, reason: CloseReason, out: Effect[]): void {
    this.#remove(now, torrent, conn, reason)
    out.push({ type: 'close', conn: conn.id, reason })
  }

  #remove (now: Millis, torrent: Torrent, conn: Conn, reason: CloseReason): void {
    torrent.conns.remove(conn)
    this.#byConn.delete(conn.id)
    torrent.download?.unexpect(conn.id)
    if (conn.state === 'active' && torrent.download !== undefined) {
      const pieces = torrent.download.leave(conn)
      if (pieces.length > 0) this.#departed.set(conn.id, { torrent, source: conn.source, pieces: new Set(pieces), until: after(now, AFTERMATH_MS) })
    }
    this.#judge(now, torrent, conn, reason)
  }

  /** How long the peer is left alone after its connection ended. */
  #judge (now: Millis, torrent: Torrent, conn: Conn, reason: CloseReason): void {
    const { infoHash } = torrent
    const { peer, isDialled } = conn
    switch (reason) {
      case 'superseded': case 'torrent-removed': case 'torrent-forgotten': case 'shutdown': return
      case 'corrupt-piece': case 'lying-bitfield': case 'protocol-violation':
        this.stats.peersBanned++
        return this.#blacklist.ban(infoHash, peer, now, reason, isDialled)
      case 'remote-closed': case 'network': case 'stalled': {
        if (conn.state === 'pending' && (!isDialled || torrent.conns.of(peer).length > 0)) return
        const mayWorkSoon = conn.state === 'active' ? torrent.isLeeching : reason === 'remote-closed'
        if (mayWorkSoon) return this.#blacklist.retry(infoHash, peer, now, reason, this.options.prng)
        return this.#blacklist.pause(infoHash, peer, now, reason)
      }
      case 'both-complete': case 'idle': case 'too-old': case 'at-capacity': case 'duplicate': case 'too-many-mutual': case 'torrent-unknown':
      case 'self': case 'handshake-timeout': case 'wrong-peer': case 'wrong-torrent':
        if (conn.state === 'active' || isDialled) this.#blacklist.pause(infoHash, peer, now, reason)
        return
      default: assertNever(reason)
    }
  }

  #peerCompleted (now: Millis, torrent: Torrent, conn: ActiveConn, out: Effect[]): void {
    torrent.peerCompleted(conn)
    if (torrent.isSeeding) this.#close(now, torrent, conn, 'both-complete', out)
    else this.#ask(now, torrent, out)
  }

  // ---- pieces ----

  #serve (now: Millis, torrent: Torrent, conn: ActiveConn, piece: PieceIndex, out: Effect[]): void {
    if (!torrent.have.has(piece)) {
      out.push({ type: 'sendError', conn: conn.id, piece, text: 'piece not complete' })
      return
    }
    conn.pieceAt = now
    torrent.usedAt = now
    this.stats.bytesServed += torrent.lengths.sizeOf(piece)
    out.push({ type: 'serve', conn: conn.id, piece })
  }

  #arrive (now: Millis, torrent: Torrent, conn: ActiveConn, piece: PieceIndex, out: Effect[]): void {
    const isSeeding = torrent.download === undefined
    if (isSeeding) conn.unsolicited++
    if (torrent.download?.arrive(conn, piece, now) === 'receive') {
      out.push({ type: 'receive', conn: conn.id, piece })
      return
    }
    this.stats.bytesDiscarded += torrent.lengths.sizeOf(piece)
    out.push({ type: 'discard', conn: conn.id, piece })
    if (conn.unsolicited > UNSOLICITED_MAX) this.#close(now, torrent, conn, 'protocol-violation', out)
    this.#ask(now, torrent, out)
  }

  #stored (now: Millis, id: ConnId, piece: PieceIndex, out: Effect[]): void {
    const { torrent, source, conn } = this.#sourceOf(id, piece)
    const download = torrent?.download
    if (torrent === undefined || download === undefined || source === undefined) return
    if (conn !== undefined) this.#reward(now, torrent, conn)
    const isNew = download.stored(id, source, piece, originsAreBusy(download, torrent.conns.active), now, this.options.prng)
    if (conn !== undefined) torrent.peerGained(conn, piece)
    if (isNew) this.#spread(now, torrent, source, piece, out)
    this.#ask(now, torrent, out)
  }

  #reward (now: Millis, torrent: Torrent, conn: ActiveConn): void {
    conn.pieceAt = now
    conn.progressAt = now
    conn.stalls = 0
    conn.goodPieces++
    this.#blacklist.forgive(torrent.infoHash, conn.peer)
  }

  /** We have a piece more: those that lack it are told. */
  #spread (now: Millis, torrent: Torrent, source: Source, piece: PieceIndex, out: Effect[]): void {
    torrent.stored.push(piece)
    torrent.storedAt = now
    torrent.usedAt = now
    this.stats[source.isOrigin ? 'bytesFromOrigins' : 'bytesFromAgents'] += torrent.lengths.sizeOf(piece)
    for (const conn of torrent.conns.active.values()) {
      if (!conn.has.has(piece)) out.push({ type: 'sendPieceAnnounce', conn: conn.id, piece })
    }
    if (torrent.have.isFull) this.#verify(torrent, out)
  }

  #corrupt (now: Millis, id: ConnId, piece: PieceIndex, out: Effect[]): void {
    const { torrent, source } = this.#sourceOf(id, piece)
    if (torrent === undefined || source === undefined) return
    this.stats.piecesCorrupt++
    this.#banSource(now, torrent, source, out)
    this.#ask(now, torrent, out)
    this.#connect(now, torrent, out)
  }

  #dropped (now: Millis, id: ConnId, piece: PieceIndex, out: Effect[]): void {
    const { torrent } = this.#sourceOf(id, piece)
    torrent?.download?.dropped(id, piece, now)
    if (torrent !== undefined) this.#ask(now, torrent, out)
  }

  #refused (now: Millis, torrent: Torrent, conn: ActiveConn, piece: PieceIndex, out: Effect[]): void {
    const { download } = torrent
    // An error about a piece that we did not ask for says nothing.
    if (download?.requests.find(conn.id, piece) === undefined) return
    download.refused(conn.id, piece)
    conn.refusals++
    if (conn.refusals >= REFUSALS_MAX && conn.refusals > conn.goodPieces) this.#close(now, torrent, conn, 'lying-bitfield', out)
    this.#ask(now, torrent, out)
  }

  /** Cuts off the peer that delivered something wrong, also if it is gone by now. */
  #banSource (now: Millis, torrent: Torrent, source: Source, out: Effect[]): void {
    const conns = torrent.conns.of(source.peer).filter(conn => conn.isDialled === source.isDialled)
    for (const conn of conns) this.#close(now, torrent, conn, 'corrupt-piece', out)
    if (conns.length > 0) return
    this.stats.peersBanned++
    this.#blacklist.ban(torrent.infoHash, source.peer, now, 'corrupt-piece', source.isDialled)
  }

  #ask (now: Millis, torrent: Torrent, out: Effect[]): void {
    const asking = this.#asking(now, torrent)
    if (asking !== undefined) ask(asking, out)
  }

  #asking (now: Millis, torrent: Torrent): Asking | undefined {
    if (!torrent.isLeeching || torrent.download === undefined || torrent.conns.active.size === 0) return undefined
    const { config: { dispatch }, prng } = this.options
    return { download: torrent.download, conns: torrent.conns.active, config: dispatch, prng, now }
  }

  // ---- time ----

  #tick (now: Millis, out: Effect[]): void {
    for (const torrent of this.#leeching) if (torrent.isLeeching) this.#attend(now, torrent, out)
    this.#announceDue(now, out)
    this.#preemptAt ??= after(now, this.options.config.preemptionIntervalMs)
    if (now < this.#preemptAt) return
    this.#preemptAt = after(now, this.options.config.preemptionIntervalMs)
    for (const torrent of [...this.#torrents.values()]) this.#preempt(now, torrent, out)
    for (const [conn, { until }] of this.#departed) if (until <= now) this.#departed.delete(conn)
    this.#blacklist.sweep(now)
  }

  /** Meets the deadlines of a download. */
  #attend (now: Millis, torrent: Torrent, out: Effect[]): void {
    torrent.download?.attend(now)
    for (const conn of [...torrent.conns.active.values()]) {
      if (torrent.download?.expire(conn, now) === true) this.#close(now, torrent, conn, 'stalled', out)
    }
    for (const conn of [...torrent.conns.pending.values()]) {
      if (now - conn.since > HANDSHAKE_STEPS * this.options.config.conn.handshakeTimeoutMs) this.#close(now, torrent, conn, 'handshake-timeout', out)
    }
    this.#connect(now, torrent, out)
    if (torrent.conns.slotsUsed === 0) this.#announces.hasten(torrent.infoHash, LONELY_INTERVAL_MS)
    const asking = this.#asking(now, torrent)
    if (asking === undefined) return
    ask(asking, out)
    const before = out.length
    hedge(asking, out)
    this.stats.piecesHedged += out.length - before
  }

  /** Enforces the four limits of time (p2p specification 5.8, 6.10). */
  #preempt (now: Millis, torrent: Torrent, out: Effect[]): void {
    const { connTtiMs, connTtlMs, seederTtiMs, leecherTtiMs } = this.options.config
    if (torrent.isSeeding && now - torrent.usedAt >= seederTtiMs) {
      this.#forget(now, torrent, 'torrent-forgotten', out)
      out.push({ type: 'forgetTorrent', infoHash: torrent.infoHash })
      return
    }
    if (torrent.isLeeching && now - torrent.storedAt >= leecherTtiMs) return this.#timeOut(now, torrent, out)
    for (const conn of [...torrent.conns.active.values()]) {
      if (now - conn.since > connTtlMs) this.#close(now, torrent, conn, 'too-old', out)
      else if (now - Math.max(conn.since, conn.pieceAt) > connTtiMs) this.#close(now, torrent, conn, 'idle', out)
    }
    this.#ask(now, torrent, out)
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

  // ---- finding things; what is gone is ignored, since news of it may be under way ----

  #withTorrent (infoHash: InfoHash, act: (torrent: Torrent) => void): void {
    const torrent = this.#torrents.get(infoHash)
    if (torrent !== undefined) act(torrent)
  }

  #withConn (id: ConnId, act: (torrent: Torrent, conn: Conn) => void): void {
    const torrent = this.#byConn.get(id)
    const conn = torrent?.conns.get(id)
    if (torrent !== undefined && conn !== undefined) act(torrent, conn)
  }

  #withPending (id: ConnId, act: (torrent: Torrent, conn: PendingConn) => void): void {
    this.#withConn(id, (torrent, conn) => { if (conn.state === 'pending') act(torrent, conn) })
  }

  #withActive (id: ConnId, act: (torrent: Torrent, conn: ActiveConn) => void): void {
    this.#withConn(id, (torrent, conn) => { if (conn.state === 'active') act(torrent, conn) })
  }

  /** Who brought a piece whose outcome is known now; its connection may have ended meanwhile. */
  #sourceOf (id: ConnId, piece: PieceIndex): { torrent?: Torrent, source?: Source, conn?: ActiveConn } {
    const torrent = this.#byConn.get(id)
    const conn = torrent?.conns.active.get(id)
    if (torrent !== undefined && conn !== undefined) return { torrent, source: conn.source, conn }
    const departed = this.#departed.get(id)
    return departed?.pieces.has(piece) === true ? departed : {}
  }
}

function allConns (torrent: Torrent): Conn[] { return [...torrent.conns.pending.values(), ...torrent.conns.active.values()] }
