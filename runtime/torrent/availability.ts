import assert from 'node:assert/strict'
import { Bitfield } from '../core/bitfield.js'
import { type Lengths, type PieceIndex } from '../core/lengths.js'
import { type PeerId } from '../core/peer-id.js'
import { affinity, affinitySeed } from './affinity.js'
import { type ConnId } from './events.js'
import { PieceBuckets } from './piece-buckets.js'

/** What one connected peer has. */
interface Holder {
  /** Shared with the connection; changed here only. */
  readonly has: Bitfield
  readonly isOrigin: boolean
  readonly seed: number
  /** The open pieces that a peer with gaps has; a complete peer has all open pieces, so it needs no list of its own. */
  candidates: PieceBuckets | undefined
}

/*
 * A piece that we lack is either open (nobody is asked for it) or taken. Open pieces are found in
 *
 *   open             all of them
 *   own              those that no agent with gaps has and that are ours to fetch from an origin (affinity.ts)
 *   candidatesOf(c)  those that the peer of connection c has
 *
 * each grouped by how many agents with gaps have the piece. Origins and complete peers have everything and would raise
 * every rank alike, so they are left out of the ranks.
 */

/** Who has what, kept up to date at O(number of connections) per piece that somebody gains. */
export class Availability {
  readonly open: PieceBuckets
  readonly own: PieceBuckets
  readonly #ranks: Uint16Array
  readonly #holders = new Map<ConnId, Holder>()
  readonly #selfSeed: number
  #completeAgents = 0

  constructor (readonly lengths: Lengths, readonly have: Bitfield, self: PeerId) {
    this.#ranks = new Uint16Array(lengths.pieceCount)
    this.#selfSeed = affinitySeed(self)
    this.open = new PieceBuckets(this.#ranks)
    this.own = new PieceBuckets(this.#ranks)
    for (const piece of lengths.indices()) {
      if (have.has(piece)) continue
      this.open.add(piece)
      this.own.add(piece)
    }
  }

  /** How many connected agents have every piece. */
  get completeAgents (): number { return this.#completeAgents }

  /** How many connected agents with gaps have the piece. */
  rarityOf (piece: PieceIndex): number { return this.#ranks[piece] ?? 0 }

  /** The open pieces that the peer has. */
  candidatesOf (conn: ConnId): PieceBuckets { return this.#holder(conn).candidates ?? this.open }

  /** A leecher is being dialled: it has its share of the pieces to fetch already, or both would begin with the same ones. */
  expect (conn: ConnId, peer: PeerId): void { this.join(conn, peer, new Bitfield(this.lengths.pieceCount), false) }

  /** A peer is connected, expected or not. `has` is changed here from now on, and nowhere else. */
  join (conn: ConnId, peer: PeerId, has: Bitfield, isOrigin: boolean): void {
    assert(this.#holders.get(conn)?.has.isEmpty !== false, 'a connection joins twice')
    if ((has.isFull || isOrigin) && this.#holders.has(conn)) this.leave(conn)
    const holder: Holder = { has, isOrigin, seed: affinitySeed(peer), candidates: undefined }
    this.#holders.set(conn, holder)
    if (has.isFull) this.#countComplete(holder, 1)
    else this.#enter(holder)
  }

  leave (conn: ConnId): void {
    const holder = this.#holder(conn)
    this.#holders.delete(conn)
    if (holder.candidates === undefined) this.#countComplete(holder, -1)
    else this.#withdraw(holder)
  }

  /** The peer has one more piece; false if that was known. */
  gained (conn: ConnId, piece: PieceIndex): boolean {
    const holder = this.#holder(conn)
    if (!holder.has.add(piece)) return false
    assert(holder.candidates !== undefined, 'a complete peer cannot gain a piece')
    if (!holder.isOrigin) this.#rank(piece, 1)
    if (this.open.has(piece)) holder.candidates.add(piece)
    if (holder.has.isFull) this.#promote(holder)
    return true
  }

  /** The peer has every piece. */
  completed (conn: ConnId): void {
    const holder = this.#holder(conn)
    if (holder.candidates === undefined) return
    this.#withdraw(holder)
    holder.candidates = undefined
    for (const piece of this.lengths.indices()) holder.has.add(piece)
    this.#countComplete(holder, 1)
  }

  /** The peer turned out not to have a piece that it was believed to have. */
  lost (conn: ConnId, piece: PieceIndex): void {
    const holder = this.#holder(conn)
    const { candidates } = holder
    if (!holder.has.delete(piece)) return
    if (candidates === undefined) {
      this.#countComplete(holder, -1)
      this.#enter(holder)
      return
    }
    if (!holder.isOrigin) this.#rank(piece, -1)
    if (candidates.has(piece)) candidates.remove(piece)
  }

  /** The piece is asked for, or stored: nobody else needs to look at it. */
  take (piece: PieceIndex): void {
    if (!this.open.has(piece)) return
    this.open.remove(piece)
    if (this.own.has(piece)) this.own.remove(piece)
    for (const { candidates } of this.#holders.values()) if (candidates?.has(piece) === true) candidates.remove(piece)
  }

  /** The piece is to be asked for again. */
  reopen (piece: PieceIndex): void {
    assert(!this.have.has(piece), 'a stored piece is reopened')
    if (this.open.has(piece)) return
    this.open.add(piece)
    for (const { has, candidates } of this.#holders.values()) if (candidates !== undefined && has.has(piece)) candidates.add(piece)
    if (this.#isOwn(piece)) this.own.add(piece)
  }

  /** Throws if the lists contradict each other; costs O(pieces x connections), for tests. */
  check (): void {
    this.open.check()
    this.own.check()
    const holders = [...this.#holders.values()]
    assert.equal(this.#completeAgents, holders.filter(h => !h.isOrigin && h.has.isFull).length)
    for (const { has, candidates } of holders) {
      candidates?.check()
      assert.equal(candidates === undefined, has.isFull)
    }
    for (const piece of this.lengths.indices()) {
      const agents = holders.filter(h => !h.isOrigin && !h.has.isFull && h.has.has(piece))
      assert.equal(this.rarityOf(piece), agents.length, `rank of piece ${piece}`)
      const isOpen = this.open.has(piece)
      assert(!(isOpen && this.have.has(piece)), `piece ${piece} is open and stored`)
      assert.equal(this.own.has(piece), isOpen && this.#isOwn(piece), `ownership of piece ${piece}`)
      for (const { has, candidates } of holders) if (candidates !== undefined) assert.equal(candidates.has(piece), isOpen && has.has(piece))
    }
  }

  /** A peer with gaps comes in. */
  #enter (holder: Holder): void {
    const candidates = new PieceBuckets(this.#ranks)
    holder.candidates = candidates
    for (const n of holder.has) {
      const piece = this.lengths.index(n)
      if (piece === undefined) continue
      if (!holder.isOrigin) this.#rank(piece, 1, holder)
      if (this.open.has(piece)) candidates.add(piece)
    }
    if (holder.isOrigin) return
    for (const piece of [...this.own.ofRank(0)]) {
      if (affinity(holder.seed, piece) > affinity(this.#selfSeed, piece)) this.own.remove(piece)
    }
  }

  /** A peer with gaps goes, or has none any more. Its share of the pieces falls to the others. */
  #withdraw (holder: Holder): void {
    holder.candidates = undefined
    if (holder.isOrigin) return
    for (const n of holder.has) {
      const piece = this.lengths.index(n)
      if (piece !== undefined) this.#rank(piece, -1)
    }
    this.#claim()
  }

  #promote (holder: Holder): void {
    this.#withdraw(holder)
    this.#countComplete(holder, 1)
  }

  #countComplete (holder: Holder, change: 1 | -1): void { if (!holder.isOrigin) this.#completeAgents += change }

  /** One agent with gaps more or less has the piece; `except` has no list that could be sorted yet. */
  #rank (piece: PieceIndex, change: 1 | -1, except?: Holder): void {
    if (this.open.has(piece)) {
      if (this.own.has(piece)) this.own.remove(piece)
      sort(this.open, piece, change)
      for (const holder of this.#holders.values()) {
        if (holder !== except && holder.candidates?.has(piece) === true) sort(holder.candidates, piece, change)
      }
    }
    this.#ranks[piece] = this.rarityOf(piece) + change
    if (change === -1 && this.open.has(piece) && this.#isOwn(piece)) this.own.add(piece)
  }

  /** Takes over what is ours now that a leecher is gone. */
  #claim (): void {
    for (const piece of this.open.ofRank(0)) if (!this.own.has(piece) && this.#isOwn(piece)) this.own.add(piece)
  }

  #isOwn (piece: PieceIndex): boolean {
    if (this.rarityOf(piece) > 0) return false
    const ours = affinity(this.#selfSeed, piece)
    for (const { seed, isOrigin, candidates } of this.#holders.values()) {
      if (!isOrigin && candidates !== undefined && affinity(seed, piece) > ours) return false
    }
    return true
  }

  #holder (conn: ConnId): Holder {
    const holder = this.#holders.get(conn)
    assert(holder !== undefined, `connection ${conn} has not joined`)
    return holder
  }
}

function sort (buckets: PieceBuckets, piece: PieceIndex, change: 1 | -1): void {
  if (change === 1) buckets.raise(piece)
  else buckets.lower(piece)
}
