import { type Millis } from '../core/clock.js'
import { type PieceIndex } from '../core/lengths.js'
import { ask, type Asking, hedge, originsAreBusy } from './asking.js'
import { type ActiveConn, type Source } from './conn-table.js'
import { type ConnId, type Effect } from './events.js'
import { type Peers } from './peers.js'
import { type Torrent } from './torrent-state.js'

/** A peer that refuses this many announced pieces, and more than it delivered, is cut off. */
const REFUSALS_MAX = 8
/** Payloads that nobody asked for which one connection may bring. */
const UNSOLICITED_MAX = 8

/** Decides what is asked of connected peers, served to them and taken from them, for all torrents. */
export class Pieces {
  /** What happened since the start; bytes are those of pieces. */
  readonly stats = { bytesFromOrigins: 0, bytesFromAgents: 0, bytesServed: 0, bytesDiscarded: 0, piecesCorrupt: 0, piecesHedged: 0 }

  constructor (readonly peers: Peers) {}

  /** Asks every peer that has something for us and owes us little. */
  ask (now: Millis, torrent: Torrent, out: Effect[]): void {
    const asking = this.#asking(now, torrent)
    if (asking !== undefined) ask(asking, out)
  }

  /** A peer wants a piece. */
  serve (now: Millis, torrent: Torrent, conn: ActiveConn, piece: PieceIndex, out: Effect[]): void {
    if (!torrent.have.has(piece)) {
      out.push({ type: 'sendError', conn: conn.id, piece, text: 'piece not complete' })
      return
    }
    conn.pieceAt = now
    torrent.usedAt = now
    this.stats.bytesServed += torrent.lengths.sizeOf(piece)
    out.push({ type: 'serve', conn: conn.id, piece })
  }

  announced (now: Millis, torrent: Torrent, conn: ActiveConn, piece: PieceIndex, out: Effect[]): void {
    if (torrent.peerGained(conn, piece)) this.ask(now, torrent, out)
  }

  peerCompleted (now: Millis, torrent: Torrent, conn: ActiveConn, out: Effect[]): void {
    torrent.peerCompleted(conn)
    if (torrent.isSeeding) this.peers.close(now, torrent, conn, 'both-complete', out)
    else this.ask(now, torrent, out)
  }

  /** The payload of a piece begins. */
  arrive (now: Millis, torrent: Torrent, conn: ActiveConn, piece: PieceIndex, out: Effect[]): void {
    if (torrent.download === undefined) conn.unsolicited++
    if (torrent.download?.arrive(conn, piece, now) === 'receive') {
      out.push({ type: 'receive', conn: conn.id, piece })
      return
    }
    this.stats.bytesDiscarded += torrent.lengths.sizeOf(piece)
    out.push({ type: 'discard', conn: conn.id, piece })
    if (conn.unsolicited > UNSOLICITED_MAX) this.peers.close(now, torrent, conn, 'protocol-violation', out)
    this.ask(now, torrent, out)
  }

  /** A piece is verified and on disk. Returns its torrent if that was the last one. */
  stored (now: Millis, id: ConnId, piece: PieceIndex, out: Effect[]): Torrent | undefined {
    const delivery = this.peers.deliveryOf(id, piece)
    const download = delivery?.torrent.download
    if (delivery === undefined || download === undefined) return undefined
    const { torrent, source, conn } = delivery
    const isNew = download.stored(id, source, piece, originsAreBusy(download, torrent.conns.active), now, this.peers.options.prng)
    if (conn !== undefined) this.#reward(now, torrent, conn, piece)
    if (isNew) this.#spread(now, torrent, source, piece, out)
    if (isNew && torrent.have.isFull) return torrent
    this.ask(now, torrent, out)
    return undefined
  }

  /** A piece does not match its sum. */
  corrupt (now: Millis, id: ConnId, piece: PieceIndex, out: Effect[]): void {
    const delivery = this.peers.deliveryOf(id, piece)
    if (delivery === undefined) return
    this.stats.piecesCorrupt++
    this.peers.ban(now, delivery.torrent, delivery.source, out)
    this.ask(now, delivery.torrent, out)
    this.peers.connect(now, delivery.torrent, out)
  }

  /** A piece could not be kept. */
  dropped (now: Millis, id: ConnId, piece: PieceIndex, out: Effect[]): void {
    const torrent = this.peers.deliveryOf(id, piece)?.torrent
    if (torrent === undefined) return
    torrent.download?.dropped(id, piece, now)
    this.ask(now, torrent, out)
  }

  /** The peer does not give us a piece that it had announced. An error about anything else says nothing. */
  refused (now: Millis, torrent: Torrent, conn: ActiveConn, piece: PieceIndex, out: Effect[]): void {
    const { download } = torrent
    if (download?.requests.find(conn.id, piece)?.phase === undefined) return
    download.refused(conn.id, piece)
    conn.refusals++
    if (conn.refusals >= REFUSALS_MAX && conn.refusals > conn.goodPieces) this.peers.close(now, torrent, conn, 'lying-bitfield', out)
    this.ask(now, torrent, out)
  }

  /** Meets the deadlines of a download. */
  attend (now: Millis, torrent: Torrent, out: Effect[]): void {
    const { download } = torrent
    if (download === undefined) return
    download.attend(now)
    for (const conn of [...torrent.conns.active.values()]) {
      if (download.expire(conn, now)) this.peers.close(now, torrent, conn, 'stalled', out)
    }
    const asking = this.#asking(now, torrent)
    if (asking === undefined) return
    ask(asking, out)
    const before = out.length
    hedge(asking, out)
    this.stats.piecesHedged += out.length - before
  }

  #reward (now: Millis, torrent: Torrent, conn: ActiveConn, piece: PieceIndex): void {
    conn.pieceAt = now
    conn.progressAt = now
    conn.stalls = 0
    conn.goodPieces++
    this.peers.blacklist.forgive(torrent.infoHash, conn.peer)
    torrent.peerGained(conn, piece)
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
  }

  #asking (now: Millis, { isLeeching, download, conns: { active } }: Torrent): Asking | undefined {
    if (!isLeeching || download === undefined || active.size === 0) return undefined
    const { config: { dispatch }, prng } = this.peers.options
    return { download, conns: active, config: dispatch, prng, now }
  }
}
