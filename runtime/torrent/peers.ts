import assert from 'node:assert/strict'
import { type Bitfield } from '../core/bitfield.js'
import { assertNever } from '../core/brand.js'
import { after, type Millis } from '../core/clock.js'
import { type SchedulerConfig } from '../config/sections/scheduler.js'
import { type PieceIndex } from '../core/lengths.js'
import { type PeerInfo } from '../core/peer.js'
import { type PeerId } from '../core/peer-id.js'
import { type Prng } from '../core/prng.js'
import { Blacklist } from './blacklist.js'
import { type ActiveConn, type Conn, type PendingConn, type Source } from './conn-table.js'
import { type CloseReason, type ConnId, type Effect, type Event } from './events.js'
import { type Torrent } from './torrent-state.js'

export interface PeersOptions {
  readonly config: SchedulerConfig
  readonly self: PeerId
  readonly prng: Prng
  /** An origin: never dials, never announces. */
  readonly isSeederOnly: boolean
  /** Numbers the connections that we dial; the driver numbers those that come in from the same counter. */
  readonly allocateConn: () => ConnId
}

/** A connection that ended while pieces were on their way from it to the disk. */
interface Departed { readonly torrent: Torrent, readonly source: Source, readonly pieces: ReadonlySet<PieceIndex>, readonly until: Millis }

/** Who brought a piece, and over which connection if that is still there. */
export interface Delivery { readonly torrent: Torrent, readonly source: Source, readonly conn: ActiveConn | undefined }

/** How long a connection may take from the dial to both handshakes, in handshake timeouts (connect, write, read, one to spare). */
const HANDSHAKE_STEPS = 4
/** How long the outcome of a piece may follow the end of its connection. */
const AFTERMATH_MS = 60_000

/** Decides who is connected, for all torrents: dials, lets in, turns away, closes, and remembers who is to be left alone. */
export class Peers {
  readonly blacklist: Blacklist
  /** Peers that were caught doing harm. */
  bannedCount = 0
  readonly #byConn = new Map<ConnId, Torrent>()
  readonly #departed = new Map<ConnId, Departed>()

  constructor (readonly options: PeersOptions) { this.blacklist = new Blacklist(options.config.connState.blacklistMs) }

  /** Connections of all torrents. */
  get connCount (): number { return this.#byConn.size }

  // News of what is gone may still be under way, so whatever is not found is ignored.

  withConn (id: ConnId, act: (torrent: Torrent, conn: Conn) => void): void {
    const torrent = this.#byConn.get(id)
    const conn = torrent?.conns.get(id)
    if (torrent !== undefined && conn !== undefined) act(torrent, conn)
  }

  withPending (id: ConnId, act: (torrent: Torrent, conn: PendingConn) => void): void {
    this.withConn(id, (torrent, conn) => { if (conn.state === 'pending') act(torrent, conn) })
  }

  withActive (id: ConnId, act: (torrent: Torrent, conn: ActiveConn) => void): void {
    this.withConn(id, (torrent, conn) => { if (conn.state === 'active') act(torrent, conn) })
  }

  /** Who brought a piece whose outcome is known by now; undefined if that no longer matters. */
  deliveryOf (id: ConnId, piece: PieceIndex): Delivery | undefined {
    const torrent = this.#byConn.get(id)
    const conn = torrent?.conns.active.get(id)
    if (torrent !== undefined && conn !== undefined) return { torrent, source: conn.source, conn }
    const departed = this.#departed.get(id)
    return departed?.pieces.has(piece) === true ? { torrent: departed.torrent, source: departed.source, conn: undefined } : undefined
  }

  /** Dials known peers in the tracker's order while there are slots. */
  connect (now: Millis, torrent: Torrent, out: Effect[]): void {
    if (!torrent.isLeeching || this.options.isSeederOnly) return
    for (const peer of torrent.known) {
      if (peer.id === this.options.self || this.blacklist.blocks(torrent.infoHash, peer, now)) continue
      if (peer.isOrigin) this.#unmask(now, torrent, peer.id, out)
      if (torrent.conns.of(peer.id).length > 0 || torrent.download?.trusts(peer) === false) continue
      const isWorthASlot = peer.isOrigin || peer.isComplete
      if (torrent.hasSlotFor(peer.isOrigin) || (isWorthASlot && this.#makeRoom(now, torrent, peer.isOrigin, out))) this.#dial(now, torrent, peer, out)
    }
  }

  /** Answers a peer that dialled us. */
  admit (now: Millis, torrent: Torrent | undefined, event: Event & { type: 'incoming' }, out: Effect[]): void {
    const { conn, infoHash, peer, neighbours } = event
    const refuse = (reason: CloseReason): void => { out.push({ type: 'refuse', conn, reason }) }
    if (torrent === undefined) return refuse('torrent-unknown')
    const ban = this.blacklist.banned(infoHash, peer, now)
    if (ban !== undefined) return refuse(ban)
    if (torrent.known.some(known => known.isOrigin && known.id === peer)) return refuse('wrong-peer')
    const quietSince = after(now, -this.options.config.conn.handshakeTimeoutMs)
    const admission = torrent.conns.admission(peer, neighbours, quietSince)
    if (!admission.isAdmitted) return refuse(admission.reason)
    const hasSlot = torrent.conns.of(peer).length > 0 || torrent.hasSlotFor(false) || this.#makeRoom(now, torrent, false, out)
    if (!hasSlot) return refuse('at-capacity')
    for (const other of admission.superseded) this.close(now, torrent, other, 'superseded', out)
    this.#enter(torrent, { state: 'pending', id: conn, peer, isOrigin: false, isDialled: false, storedMark: torrent.stored.length, since: now })
    out.push({ type: 'accept', conn, neighbours: torrent.conns.neighbours() })
  }

  /** Both handshakes are through. Of two connections with one peer one is closed; the peer closes the same one. */
  establish (now: Millis, torrent: Torrent, pending: PendingConn, peerHas: Bitfield, out: Effect[]): void {
    assert(peerHas.length === torrent.lengths.pieceCount, 'a peer\'s bitfield has another length than the torrent')
    const rival = torrent.conns.of(pending.peer).find(conn => conn !== pending)
    if (rival?.state === 'active') {
      const survivor = torrent.conns.survivor(pending, rival)
      this.close(now, torrent, survivor === pending ? rival : pending, 'superseded', out)
      if (survivor === rival) return
    } else if (rival !== undefined && pending.isDialled) {
      this.close(now, torrent, rival, 'superseded', out)
    }
    const conn = torrent.conns.activate(pending, now, peerHas.clone())
    torrent.download?.join(conn)
    this.#introduce(now, torrent, conn, out)
  }

  /** The blob is complete: peers that need nothing are let go, the others hear of it. */
  completed (now: Millis, torrent: Torrent, out: Effect[]): void {
    this.blacklist.clear(torrent.infoHash, now)
    for (const conn of [...torrent.conns.active.values()]) {
      if (conn.has.isFull) this.close(now, torrent, conn, 'both-complete', out)
      else out.push({ type: 'sendComplete', conn: conn.id })
    }
  }

  /** We end a connection; what was asked of it is open again. */
  close (now: Millis, torrent: Torrent, conn: Conn, reason: CloseReason, out: Effect[]): void {
    this.remove(now, torrent, conn, reason)
    out.push({ type: 'close', conn: conn.id, reason })
  }

  closeAll (now: Millis, torrent: Torrent, reason: CloseReason, out: Effect[]): void {
    for (const conn of [...torrent.conns.pending.values(), ...torrent.conns.active.values()]) this.close(now, torrent, conn, reason, out)
    for (const [conn, departed] of this.#departed) if (departed.torrent === torrent) this.#departed.delete(conn)
  }

  /** A connection has ended. */
  remove (now: Millis, torrent: Torrent, conn: Conn, reason: CloseReason): void {
    torrent.conns.remove(conn)
    this.#byConn.delete(conn.id)
    torrent.download?.unexpect(conn.id)
    if (conn.state === 'active' && torrent.download !== undefined) {
      const pieces = torrent.download.leave(conn)
      if (pieces.length > 0) this.#departed.set(conn.id, { torrent, source: conn.source, pieces: new Set(pieces), until: after(now, AFTERMATH_MS) })
    }
    this.#judge(now, torrent, conn, reason)
  }

  /** Cuts off the peer that delivered something wrong, also if it is gone by now. */
  ban (now: Millis, torrent: Torrent, source: Source, out: Effect[]): void {
    const conns = torrent.conns.of(source.peer).filter(conn => conn.isDialled === source.isDialled)
    for (const conn of conns) this.close(now, torrent, conn, 'corrupt-piece', out)
    if (conns.length > 0) return
    this.bannedCount++
    this.blacklist.ban(torrent.infoHash, source, now, 'corrupt-piece')
  }

  /** Ends handshakes that lead nowhere. */
  expireHandshakes (now: Millis, torrent: Torrent, out: Effect[]): void {
    const limitMs = HANDSHAKE_STEPS * this.options.config.conn.handshakeTimeoutMs
    for (const conn of [...torrent.conns.pending.values()]) {
      if (now - conn.since > limitMs) this.close(now, torrent, conn, 'handshake-timeout', out)
    }
  }

  /** Ends connections that are too old, or over which no piece went for too long (p2p specification 5.8). */
  preempt (now: Millis, torrent: Torrent, out: Effect[]): void {
    const { connTtiMs, connTtlMs } = this.options.config
    for (const conn of [...torrent.conns.active.values()]) {
      if (now - conn.since > connTtlMs) this.close(now, torrent, conn, 'too-old', out)
      else if (now - conn.pieceAt > connTtiMs) this.close(now, torrent, conn, 'idle', out)
    }
  }

  /** Forgets what is long over. */
  sweep (now: Millis): void {
    for (const [conn, { until }] of this.#departed) if (until <= now) this.#departed.delete(conn)
    this.blacklist.sweep(now)
  }

  #dial (now: Millis, torrent: Torrent, peer: PeerInfo, out: Effect[]): void {
    const { infoHash, stored } = torrent
    const conn = this.options.allocateConn()
    this.#enter(torrent, { state: 'pending', id: conn, peer: peer.id, isOrigin: peer.isOrigin, isDialled: true, storedMark: stored.length, since: now })
    if (!peer.isOrigin && !peer.isComplete) torrent.download?.expect(conn, peer.id, now)
    out.push({ type: 'dial', conn, infoHash, peer, neighbours: torrent.conns.neighbours() })
  }

  #enter (torrent: Torrent, conn: PendingConn): void {
    torrent.conns.addPending(conn)
    this.#byConn.set(conn.id, torrent)
  }

  /** Origins never dial: who dialled us under the name of one is somebody else. */
  #unmask (now: Millis, torrent: Torrent, peer: PeerId, out: Effect[]): void {
    for (const conn of torrent.conns.of(peer)) if (!conn.isDialled) this.close(now, torrent, conn, 'wrong-peer', out)
  }

  /** Lets the connection go that is of least use, if there is one to spare; true if the newcomer has a slot then. */
  #makeRoom (now: Millis, torrent: Torrent, isOrigin: boolean, out: Effect[]): boolean {
    const least = torrent.leastUseful(now)
    if (least === undefined) return false
    this.close(now, torrent, least, 'idle', out)
    return torrent.hasSlotFor(isOrigin)
  }

  /** Tells the peer what has happened since it was shown our bitfield. */
  #introduce (now: Millis, torrent: Torrent, conn: ActiveConn, out: Effect[]): void {
    if (!torrent.isSeeding) {
      for (const piece of torrent.storedSince(conn.storedMark)) {
        if (!conn.has.has(piece)) out.push({ type: 'sendPieceAnnounce', conn: conn.id, piece })
      }
    } else if (!conn.has.isFull) {
      if (torrent.stored.length > conn.storedMark) out.push({ type: 'sendComplete', conn: conn.id })
    } else if (conn.isDialled) {
      this.close(now, torrent, conn, 'both-complete', out)
    }
  }

  /** How long the peer is left alone after its connection ended. */
  #judge (now: Millis, { infoHash, isLeeching, conns }: Torrent, conn: Conn, reason: CloseReason): void {
    const { peer, isDialled, state } = conn
    switch (reason) {
      case 'superseded': case 'torrent-removed': case 'torrent-forgotten': case 'shutdown': return
      case 'corrupt-piece': case 'lying-bitfield': case 'protocol-violation':
        this.bannedCount++
        return this.blacklist.ban(infoHash, conn, now, reason)
      case 'remote-closed': case 'network': case 'stalled': case 'both-complete': case 'idle': case 'too-old': case 'at-capacity':
      case 'duplicate': case 'too-many-mutual': case 'torrent-unknown': case 'self': case 'handshake-timeout': case 'wrong-peer': case 'wrong-torrent': {
        // A failed dial says nothing about a peer that has reached us meanwhile; a failed attempt to reach us never does.
        if (state === 'pending' && (!isDialled || conns.of(peer).length > 0)) return
        if (mayWorkSoon(state, reason) && isLeeching) return this.blacklist.retry(infoHash, conn, now, reason, this.options.prng)
        return this.blacklist.pause(infoHash, conn, now, reason)
      }
      default: assertNever(reason)
    }
  }
}

/** A connection that broke, and a peer that was full, are worth another try; who could not be reached at all is not. */
function mayWorkSoon (state: Conn['state'], reason: CloseReason): boolean {
  return reason === 'remote-closed' || (state === 'active' && (reason === 'network' || reason === 'stalled'))
}
