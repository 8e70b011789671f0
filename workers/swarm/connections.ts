import { type Clock, type Millis } from '../../runtime/core/clock.js'
import { Bitfield } from '../../runtime/core/bitfield.js'
import { digestFromHex, hexOf } from '../../runtime/core/digest.js'
import { type InfoHash } from '../../runtime/core/infohash.js'
import { type PeerInfo } from '../../runtime/core/peer.js'
import { type PeerId } from '../../runtime/core/peer-id.js'
import { type SlotQueue } from '../../runtime/core/slot-queue.js'
import { type CloseReason, type ConnId, type Event } from '../../runtime/torrent/events.js'
import { Link, type LinkOwner, type PeerMessage } from '../../net/peer/link.js'
import { type Handshake } from '../../net/wire/messages.js'
import { type Torrent, type Torrents } from './torrents.js'

/** What is known of a connection besides what the scheduler keeps. */
interface Conn {
  readonly link: Link
  /** Set from the dial, or from the peer's handshake. */
  torrent: Torrent | undefined
  /** For a dialled peer: who the tracker said it is. */
  readonly expected: PeerInfo | undefined
  readonly neighbours: readonly PeerId[]
  handshake: Handshake | undefined
  /** The scheduler has heard of it and must hear of its end. */
  isScheduled: boolean
  isEstablished: boolean
  readonly openedAt: Millis
  /** When each direction last made headway, and how far it had come then. */
  readonly sending: Headway
  readonly receiving: Headway
}

interface Headway { since: Millis, count: number }

/** A connection on which a piece is due and makes no headway for this long is cut off ... */
const STALL_MS = 30_000
/** ... and sooner while others wait for the slots that it holds. */
const STALL_CONTENDED_MS = 8_000
/** Fewer bytes of a piece than this are no headway. */
const HEADWAY_BYTES = 64 * 1024
/** Connections that have not said who they are; one more and the oldest has to go. */
const STRANGERS_MAX = 512

export interface ConnectionsParts {
  /** How we are known. */
  readonly peerId: PeerId
  readonly handshakeTimeoutMs: number
  readonly clock: Clock
  readonly torrents: Torrents
  readonly receiveSlots: SlotQueue
  readonly sendSlots: SlotQueue
  readonly allocateConn: () => ConnId
  readonly crash: (error: unknown) => void
}

/** Who is told what connections bring. */
export interface ConnectionsOwner {
  dispatch (event: Event): void
  message (link: Link, torrent: Torrent, message: PeerMessage): void
  /** The header of a piece of the torrent, whatever it says. Answered with `link.fill`, `link.skip` or `link.close`. */
  payloadStarted (link: Link, torrent: Torrent, header: { readonly index: number, readonly offset: number, readonly length: number }): void
  payloadDone (link: Link): void
  /** The link is closed, and brings nothing more. */
  gone (link: Link): void
}

/**
 * The connections of the swarm thread from the dial or the accept to the end. It introduces both sides to each other, holds
 * them to what they say they are, and cuts off those that make no headway; whom to dial and to let in is decided elsewhere.
 *
 *   dial, accept -> handshake -> (`incoming` -> accept) -> `handshaken` -> messages, pieces -> `connClosed`
 */
export class Connections implements LinkOwner {
  readonly #conns = new Map<ConnId, Conn>()
  /** Links that came in and have not said who they are, the oldest first. */
  readonly #strangers = new Set<Link>()
  /** Links to origins, also after they are closed: their last piece may still be on its way to the disk. */
  readonly #originLinks = new WeakSet<Link>()
  #isStopped = false
  #cutOff = 0

  constructor (readonly parts: ConnectionsParts, readonly owner: ConnectionsOwner) {}

  get size (): number { return this.#conns.size }
  /** How many were cut off for what they did. */
  get cutOff (): number { return this.#cutOff }

  /** Whether we dialled this link because the tracker said that an origin is there. */
  isToOrigin (link: Link): boolean { return this.#originLinks.has(link) }

  /** The link and what it is about, once that is known. */
  find (id: ConnId): { readonly link: Link, readonly torrent: Torrent } | undefined {
    const conn = this.#conns.get(id)
    return conn?.torrent === undefined ? undefined : { link: conn.link, torrent: conn.torrent }
  }

  /** Closes what is open and admits nothing more. */
  stop (): void {
    this.#isStopped = true
    for (const conn of this.#conns.values()) conn.link.close('shutdown')
  }

  closeAllOf (torrent: Torrent): void {
    for (const conn of this.#conns.values()) if (conn.torrent === torrent) conn.link.close('torrent-forgotten')
  }

  tick (): void {
    const now = this.parts.clock.now()
    for (const conn of this.#conns.values()) this.#expire(conn, now)
  }

  /** A connection comes in; undefined to turn it away. */
  admit (): Link | undefined {
    if (this.#isStopped) return undefined
    const [oldest] = this.#strangers
    if (oldest !== undefined && this.#strangers.size >= STRANGERS_MAX) {
      this.#strangers.delete(oldest)
      oldest.close('handshake-timeout')
    }
    const link = Link.accept(this.parts.allocateConn(), this, this.parts.sendSlots)
    this.#strangers.add(link)
    this.#remember(link, undefined, undefined, [])
    return link
  }

  /** Connects to a peer that was handed out. */
  dial (id: ConnId, infoHash: InfoHash, peer: PeerInfo, neighbours: readonly PeerId[]): void {
    const torrent = this.parts.torrents.byHash(infoHash)
    if (torrent === undefined) {
      this.owner.dispatch({ type: 'handshakeFailed', conn: id, reason: 'torrent-unknown' })
      return
    }
    const link = Link.dial(id, peer, this.parts.handshakeTimeoutMs, this, this.parts.sendSlots)
    this.#remember(link, torrent, peer, neighbours).isScheduled = true
    if (peer.isOrigin) this.#originLinks.add(link)
  }

  #remember (link: Link, torrent: Torrent | undefined, expected: PeerInfo | undefined, neighbours: readonly PeerId[]): Conn {
    const now = this.parts.clock.now()
    const conn: Conn = {
      link,
      torrent,
      expected,
      neighbours,
      handshake: undefined,
      isScheduled: false,
      isEstablished: false,
      openedAt: now,
      sending: { since: now, count: 0 },
      receiving: { since: now, count: 0 }
    }
    this.#conns.set(link.id, conn)
    return conn
  }

  connected (link: Link): void {
    const conn = this.#conns.get(link.id)
    if (conn?.torrent !== undefined) this.#introduce(link, conn.torrent, conn.torrent.namespace, conn.neighbours)
  }

  #introduce (link: Link, torrent: Torrent, namespace: string, neighbours: readonly PeerId[]): void {
    link.send({
      type: 'handshake',
      handshake: {
        infoHash: torrent.infoHash,
        name: hexOf(torrent.digest),
        peerId: this.parts.peerId,
        bitfieldBytes: torrent.stored.have.serialize(),
        namespace,
        neighbours
      }
    })
  }

  handshake (link: Link, handshake: Handshake): void {
    const conn = this.#conns.get(link.id)
    if (conn === undefined) return
    conn.handshake = handshake
    if (conn.expected !== undefined) {
      if (handshake.peerId !== conn.expected.id) link.close('wrong-peer')
      else if (handshake.infoHash !== conn.torrent?.infoHash || handshake.name !== hexOf(conn.torrent.digest)) link.close('wrong-torrent')
      else this.#establish(conn, handshake)
      return
    }
    // Requests may stand right behind the handshake; they are heard once the peer is let in.
    link.hold()
    const known = this.parts.torrents.byHash(handshake.infoHash)
    if (known !== undefined) {
      this.#meet(conn, known, handshake)
      return
    }
    this.parts.torrents.find(digestFromHex(handshake.name)).then(
      torrent => {
        if (torrent === undefined) link.close('torrent-unknown')
        else this.#meet(conn, torrent, handshake)
      },
      () => link.close('torrent-unknown')
    ).catch(this.parts.crash)
  }

  /** A peer that dialled us has said what it wants. */
  #meet (conn: Conn, torrent: Torrent, handshake: Handshake): void {
    if (conn.link.isClosed) return
    if (torrent.infoHash !== handshake.infoHash || hexOf(torrent.digest) !== handshake.name) {
      conn.link.close('wrong-torrent')
      return
    }
    conn.torrent = torrent
    conn.isScheduled = true
    this.#strangers.delete(conn.link)
    const { infoHash, neighbours, peerId: peer } = handshake
    this.owner.dispatch({ type: 'incoming', conn: conn.link.id, infoHash, peer, neighbours })
  }

  /** The scheduler lets a peer in that dialled us. */
  accept (id: ConnId, neighbours: readonly PeerId[]): void {
    const conn = this.#conns.get(id)
    if (conn?.torrent === undefined || conn.handshake === undefined) return
    this.#introduce(conn.link, conn.torrent, '', neighbours)
    this.#establish(conn, conn.handshake)
  }

  #establish (conn: Conn, handshake: Handshake): void {
    const pieceCount = conn.torrent?.metaInfo.lengths.pieceCount ?? 0
    const peerHas = Bitfield.parse(handshake.bitfieldBytes, pieceCount)
    if (peerHas === undefined) {
      conn.link.close('lying-bitfield')
      return
    }
    conn.isEstablished = true
    this.owner.dispatch({ type: 'handshaken', conn: conn.link.id, peerHas })
    conn.link.proceed()
  }

  closed (link: Link, reason: CloseReason): void {
    const conn = this.#conns.get(link.id)
    this.#conns.delete(link.id)
    this.#strangers.delete(link)
    this.owner.gone(link)
    if (reason === 'protocol-violation' || reason === 'corrupt-piece' || reason === 'lying-bitfield' || reason === 'stalled') this.#cutOff++
    if (conn?.isScheduled !== true) return
    this.owner.dispatch({ type: conn.isEstablished ? 'connClosed' : 'handshakeFailed', conn: link.id, reason })
  }

  close (id: ConnId, reason: CloseReason): void { this.#conns.get(id)?.link.close(reason) }

  #expire (conn: Conn, now: Millis): void {
    const { link } = conn
    if (!conn.isEstablished) {
      // Twice: once for the connect or for their message, once for ours.
      if (now - conn.openedAt > 2 * this.parts.handshakeTimeoutMs) link.close('handshake-timeout')
      return
    }
    const isContended = this.parts.receiveSlots.isContended || this.parts.sendSlots.isContended
    const limitMs = isContended ? STALL_CONTENDED_MS : STALL_MS
    if (hasStalled(conn.sending, link.isSending, link.blocksSent, 1, now, limitMs) ||
      hasStalled(conn.receiving, link.isReceiving, link.bytesReceived, HEADWAY_BYTES, now, limitMs)) link.close('stalled')
  }

  message (link: Link, message: PeerMessage): void {
    const torrent = this.#conns.get(link.id)?.torrent
    if (torrent !== undefined) this.owner.message(link, torrent, message)
  }

  payloadStarted (link: Link, index: number, offset: number, length: number): void {
    const torrent = this.#conns.get(link.id)?.torrent
    if (torrent === undefined) link.close('protocol-violation')
    else this.owner.payloadStarted(link, torrent, { index, offset, length })
  }

  payloadDone (link: Link): void { this.owner.payloadDone(link) }
}

function hasStalled (headway: Headway, isDue: boolean, count: number, step: number, now: Millis, limitMs: number): boolean {
  if (isDue && count - headway.count < step) return now - headway.since > limitMs
  headway.since = now
  headway.count = count
  return false
}
