import assert from 'node:assert/strict'
import { type Bitfield } from '../core/bitfield.js'
import { type Millis } from '../core/clock.js'
import { type ConnStateConfig } from '../config/sections/scheduler.js'
import { type PeerId } from '../core/peer-id.js'
import { type CloseReason, type ConnId } from './events.js'

/** Who is at the other end. */
export interface Source {
  readonly peer: PeerId
  readonly isOrigin: boolean
  /** We dialled, so that it is who it says it is; the peer did otherwise, and may say what it likes. */
  readonly isDialled: boolean
}

interface ConnBase extends Source {
  readonly id: ConnId
  /** How many pieces we had stored when the peer was shown our bitfield; those that came later must be announced to it. */
  readonly storedMark: number
}

/** Dialled or accepted; the handshakes are not through. */
export interface PendingConn extends ConnBase { readonly state: 'pending', readonly since: Millis }

export interface ActiveConn extends ConnBase {
  readonly state: 'active'
  readonly since: Millis
  /** The same facts in an object of their own, which may outlive the connection. */
  readonly source: Source
  /** What the peer says it has. While we download it belongs to `Availability`, which keeps its books by it. */
  readonly has: Bitfield
  /** When a piece last went one way or the other, or the connection began: the idle clock. */
  pieceAt: Millis
  /** When the peer last got on with what it was asked for. */
  progressAt: Millis
  /** When the latest request was made that the peer answered. */
  answeredUpTo: Millis
  goodPieces: number
  /** How often the peer refused a piece that it had announced. */
  refusals: number
  /** How often in a row the peer let a deadline pass; it is asked for one piece at a time until it delivers. */
  stalls: number
  /** Payloads that nobody had asked for. */
  unsolicited: number
}

/*
 *   none -- dial, accept --> pending -- handshaken --> active
 *     ^                         |                         |
 *     +---------- gone ---------+----------- gone --------+
 */
export type Conn = PendingConn | ActiveConn

/** What becomes of a peer that dialled us, and which of our own connections make room for it. */
export type Admission =
  | { readonly isAdmitted: true, readonly superseded: readonly Conn[] }
  | { readonly isAdmitted: false, readonly reason: CloseReason }

/**
 * The connections of one torrent. Limits count peers, pending and active ones, incoming and outgoing ones together (p2p
 * specification 6.3). A peer has one connection; while both sides dial each other it may for a moment have two.
 */
export class ConnTable {
  readonly #active = new Map<ConnId, ActiveConn>()
  readonly #pending = new Map<ConnId, PendingConn>()
  readonly #byPeer = new Map<PeerId, readonly Conn[]>()

  constructor (readonly self: PeerId, readonly limits: Pick<ConnStateConfig, 'openConnsMax' | 'mutualConnsMax'>) {}

  /** Peers that hold a slot. */
  get slotsUsed (): number { return this.#byPeer.size }
  get isFull (): boolean { return this.slotsUsed >= this.limits.openConnsMax }
  /** Connections, of which a peer may briefly have two. */
  get size (): number { return this.#active.size + this.#pending.size }
  get active (): ReadonlyMap<ConnId, ActiveConn> { return this.#active }
  get pending (): ReadonlyMap<ConnId, PendingConn> { return this.#pending }

  get (conn: ConnId): Conn | undefined { return this.#active.get(conn) ?? this.#pending.get(conn) }
  of (peer: PeerId): readonly Conn[] { return this.#byPeer.get(peer) ?? [] }

  /** The peers that we are connected to. */
  neighbours (): PeerId[] { return [...new Set([...this.#active.values()].map(conn => conn.peer))] }

  addPending (conn: PendingConn): void {
    assert(conn.peer !== this.self, 'a connection with ourselves')
    assert(this.get(conn.id) === undefined, 'a connection is entered twice')
    assert(this.#byPeer.has(conn.peer) || !this.isFull, 'more connections than allowed')
    this.#pending.set(conn.id, conn)
    this.#byPeer.set(conn.peer, [...this.of(conn.peer), conn])
  }

  activate (pending: PendingConn, now: Millis, has: Bitfield): ActiveConn {
    this.remove(pending)
    const { peer, isOrigin, isDialled } = pending
    const active: ActiveConn = {
      ...pending,
      state: 'active',
      since: now,
      source: { peer, isOrigin, isDialled },
      has,
      pieceAt: now,
      progressAt: now,
      answeredUpTo: now,
      goodPieces: 0,
      refusals: 0,
      stalls: 0,
      unsolicited: 0
    }
    this.#active.set(active.id, active)
    this.#byPeer.set(active.peer, [...this.of(active.peer), active])
    return active
  }

  remove (conn: Conn): void {
    const others = this.of(conn.peer).filter(other => other !== conn)
    if (others.length > 0) this.#byPeer.set(conn.peer, others)
    else this.#byPeer.delete(conn.peer)
    this.#active.delete(conn.id)
    this.#pending.delete(conn.id)
  }

  /**
   * Whether a peer that dialled us may come in, but for the number of slots. When both sides dialled at once, the
   * connection dialled by the lower id is to survive: then two of us agree, and the reference, which turns our dial away
   * while its own is under way, is accepted as well.
   * @param quietSince - an active connection without any progress since then gives way: its peer has lost it
   */
  admission (peer: PeerId, neighbours: readonly PeerId[], quietSince: Millis): Admission {
    if (peer === this.self) return { isAdmitted: false, reason: 'self' }
    const present = this.of(peer)
    if (present.some(conn => this.#holdsOut(conn, quietSince))) return { isAdmitted: false, reason: 'duplicate' }
    const mutual = new Set(neighbours.filter(id => this.#byPeer.has(id))).size
    if (mutual > this.limits.mutualConnsMax) return { isAdmitted: false, reason: 'too-many-mutual' }
    return { isAdmitted: true, superseded: present.filter(conn => conn.state === 'active' || this.self > peer) }
  }

  /** Of two connections with one peer, the one that stays. Both sides choose alike. */
  survivor (a: Conn, b: Conn): Conn {
    const oursSurvives = this.self < a.peer
    return a.isDialled === oursSurvives ? a : b
  }

  #holdsOut (conn: Conn, quietSince: Millis): boolean {
    if (conn.state === 'pending') return !conn.isDialled
    return Math.max(conn.pieceAt, conn.progressAt) > quietSince
  }

  /** Throws if a limit is passed or an index is wrong; for tests. */
  check (): void {
    assert(this.slotsUsed <= this.limits.openConnsMax, `${this.slotsUsed} connections of at most ${this.limits.openConnsMax}`)
    const indexed = [...this.#byPeer.values()].flat()
    assert.equal(indexed.length, this.size)
    for (const conns of this.#byPeer.values()) {
      assert(conns.filter(conn => conn.state === 'active').length <= 1, 'two active connections with one peer')
      assert(conns.length <= 2 && conns.length > 0, 'more than two connections with one peer')
    }
    for (const conn of indexed) assert.equal(this.get(conn.id), conn)
  }
}
