import assert from 'node:assert/strict'
import { type Bitfield } from '../core/bitfield.js'
import { type Millis } from '../core/clock.js'
import { type SchedulerConfig } from '../config/sections/scheduler.js'
import { type InfoHash } from '../core/infohash.js'
import { type Lengths, type PieceIndex } from '../core/lengths.js'
import { type PeerInfo } from '../core/peer.js'
import { type PeerId } from '../core/peer-id.js'
import { type ActiveConn, ConnTable } from './conn-table.js'
import { Download } from './download.js'

/*
 *   leeching --- last piece stored ---> verifying --- whole blob right ---> seeding
 *      ^                                   |
 *      +---------- whole blob wrong -------+
 */
type Phase =
  | { readonly name: 'leeching', readonly download: Download }
  | { readonly name: 'verifying', readonly download: Download }
  | { readonly name: 'seeding' }

/** A connection that moved nothing for this long gives way to a peer that wants in. */
const GIVES_WAY_AFTER_MS = 3_000
/** While we download, one slot in this many is kept for origins, so that nobody can lock us off from them. */
const SLOTS_PER_ORIGIN_SLOT = 5

/** One torrent: what we have of it, who we are connected to, what we know of others. */
export class Torrent {
  readonly conns: ConnTable
  /** Every piece in the order in which it was stored; see `ConnBase.storedMark`. */
  readonly stored: PieceIndex[] = []
  /** The peers of the latest handout, in its order. */
  known: readonly PeerInfo[] = []
  /** When a piece was last stored. */
  storedAt: Millis
  /** When a piece was last stored or served, or somebody here asked for the blob. */
  usedAt: Millis
  #phase: Phase

  constructor (
    readonly infoHash: InfoHash, readonly lengths: Lengths, readonly have: Bitfield, readonly self: PeerId, readonly config: SchedulerConfig,
    isComplete: boolean, now: Millis
  ) {
    this.conns = new ConnTable(self, config.connState)
    this.storedAt = now
    this.usedAt = now
    this.#phase = isComplete ? { name: 'seeding' } : { name: 'leeching', download: new Download(lengths, have, self, config.dispatch) }
  }

  get isLeeching (): boolean { return this.#phase.name === 'leeching' }
  get isSeeding (): boolean { return this.#phase.name === 'seeding' }
  /** Undefined once the blob is complete and verified. */
  get download (): Download | undefined { return this.#phase.name === 'seeding' ? undefined : this.#phase.download }

  /** Every piece is stored. */
  beginVerifying (): void {
    assert(this.have.isFull && this.#phase.name === 'leeching', 'a torrent with gaps is to be verified')
    this.#phase = { name: 'verifying', download: this.#phase.download }
  }

  /** The whole blob is right. */
  completed (): void {
    assert(this.have.isFull, 'a torrent with gaps is called complete')
    this.#phase = { name: 'seeding' }
  }

  /** Some pieces are wrong after all. */
  reopened (): void { if (this.#phase.name === 'verifying') this.#phase = { name: 'leeching', download: this.#phase.download } }

  /** Once a complete blob was wrong, only origins are believed, if there are any. */
  chooseWhomToTrust (): void {
    const { download } = this
    if (download !== undefined) download.trustsOnlyOrigins = download.invalidations > 0 && this.known.some(peer => peer.isOrigin)
  }

  /** Pieces that the peer has not seen in our bitfield. */
  storedSince (mark: number): PieceIndex[] { return this.stored.slice(mark).filter(piece => this.have.has(piece)) }

  /** The peer has one more piece; false if that was known. */
  peerGained (conn: ActiveConn, piece: PieceIndex): boolean {
    return this.download?.availability.gained(conn.id, piece) ?? conn.has.add(piece)
  }

  peerCompleted (conn: ActiveConn): void {
    if (this.download !== undefined) this.download.availability.completed(conn.id)
    else for (const piece of this.lengths.indices()) conn.has.add(piece)
  }

  /** Slots that only origins may take: fewer the more origins are connected, none once there is nothing to download. */
  get slotsForOrigins (): number {
    if (!this.isLeeching) return 0
    const wanted = Math.floor(this.config.connState.openConnsMax / SLOTS_PER_ORIGIN_SLOT)
    let connected = 0
    for (const conn of this.conns.active.values()) if (conn.isOrigin) connected++
    for (const conn of this.conns.pending.values()) if (conn.isOrigin) connected++
    return Math.max(0, wanted - connected)
  }

  /** Whether a peer of this kind finds a slot as things are. */
  hasSlotFor (isOrigin: boolean): boolean {
    const free = this.config.connState.openConnsMax - this.conns.slotsUsed
    return free > (isOrigin ? 0 : this.slotsForOrigins)
  }

  /**
   * The connection that can best be spared: one over which nothing went for a while, whose peer has nothing for us and
   * owes us nothing. Peers that dialled us go before those that we chose, then the one that is idle for longest.
   */
  leastUseful (now: Millis): ActiveConn | undefined {
    let least: ActiveConn | undefined
    for (const conn of this.conns.active.values()) {
      if (now - conn.pieceAt < GIVES_WAY_AFTER_MS || this.#isUseful(conn)) continue
      const goesFirst = least === undefined || (conn.isDialled === least.isDialled ? conn.pieceAt < least.pieceAt : least.isDialled)
      if (goesFirst) least = conn
    }
    return least
  }

  #isUseful (conn: ActiveConn): boolean {
    const { download } = this
    if (download === undefined || !download.trusts(conn)) return false
    return download.requests.outstanding(conn.id) > 0 || download.availability.candidatesOf(conn.id).size > 0
  }

  /** Throws if an invariant does not hold; costs O(pieces x connections), for tests. */
  check (): void {
    this.conns.check()
    this.download?.check()
  }
}
