import { type Bitfield } from '../core/bitfield.js'
import { after, type Millis } from '../core/clock.js'
import { type DispatchConfig } from '../config/sections/scheduler.js'
import { type Lengths, type PieceIndex } from '../core/lengths.js'
import { type PeerId } from '../core/peer-id.js'
import { type Prng } from '../core/prng.js'
import { Availability } from './availability.js'
import { type ActiveConn, type Source } from './conn-table.js'
import { type ConnId } from './events.js'
import { OriginRestraint } from './origin-restraint.js'
import { Readers } from './readers.js'
import { type PieceRequest, PieceRequests } from './piece-requests.js'

const BYTES_PER_MB = 1024 * 1024
/** A peer without any progress for this many request timeouts is cut off. */
const CUT_OFF_TIMEOUTS = 2
/** Others are asked sooner than after the timeout if the peer is silent for this many times as long as usual ... */
const PATIENCE_FACTOR = 8
const PATIENCE_MS_MIN = 1_000
/** A leecher that is being dialled is counted on for this long. */
const EXPECTED_MS = 500
/** A piece that could not be kept is asked for again after this long. */
const COOLING_MS = 1_000
/** A second peer is asked for the last pieces when the first takes this many times as long as usual ... */
const HEDGE_FACTOR = 3
const HEDGE_MS_MIN = 250
/** Weight of the latest answer in the usual time. */
const WEIGHT = 0.2

/**
 * What a torrent that is not complete keeps: who has what, who was asked for what, where each piece came from.
 *
 * A missing piece is in exactly one of three places: open (`Availability`), hopefully requested (`PieceRequests`), or
 * cooling after it could not be kept.
 */
export class Download {
  readonly availability: Availability
  readonly requests = new PieceRequests()
  readonly restraint: OriginRestraint
  readonly readers: Readers
  /** How long a peer may take to answer (p2p specification 6.7). */
  readonly timeoutMs: number
  /** How often the whole blob turned out to be wrong. */
  invalidations = 0
  /**
   * The whole blob turned out to be wrong although each piece matches its sum, and origins are known: nobody else is
   * believed any more, or one liar among the agents could spoil every attempt.
   */
  trustsOnlyOrigins = false
  /** Pieces that could not be kept, since one could. */
  droppedInRow = 0
  readonly #sources = new Map<PieceIndex, Source>()
  readonly #cooling = new Map<PieceIndex, Millis>()
  readonly #expected = new Map<ConnId, Millis>()
  #usualMs: number | undefined

  constructor (readonly lengths: Lengths, readonly have: Bitfield, self: PeerId, config: DispatchConfig) {
    this.availability = new Availability(lengths, have, self)
    this.restraint = new OriginRestraint(lengths.pieceBytes)
    this.readers = new Readers(lengths, have)
    const firstPieceBytes = Math.min(lengths.pieceBytes, lengths.totalBytes)
    this.timeoutMs = Math.max(Math.ceil(config.pieceRequestTimeoutPerMbMs * firstPieceBytes / BYTES_PER_MB), config.pieceRequestTimeoutMinMs)
  }

  get missingCount (): number { return this.lengths.pieceCount - this.have.count }

  /** After this long without an answer another peer may be asked for the piece as well. */
  get hedgeMs (): number {
    if (this.#usualMs === undefined) return this.timeoutMs / 4
    return Math.min(Math.max(HEDGE_FACTOR * this.#usualMs, HEDGE_MS_MIN), this.timeoutMs / 2)
  }

  /** After this long without any progress a peer's requests are made of others; at most `timeoutMs`. */
  get patienceMs (): number {
    if (this.#usualMs === undefined) return this.timeoutMs
    return Math.min(Math.max(PATIENCE_FACTOR * this.#usualMs, PATIENCE_MS_MIN), this.timeoutMs)
  }

  /** An agent that lacks pieces is being dialled; it counts as a leecher until it answers, but not for long. */
  expect (conn: ConnId, peer: PeerId, now: Millis): void {
    this.availability.expect(conn, peer)
    this.#expected.set(conn, after(now, EXPECTED_MS))
  }

  /** The dial came to nothing, or takes too long. */
  unexpect (conn: ConnId): void { if (this.#expected.delete(conn)) this.availability.leave(conn) }

  join (conn: ActiveConn): void {
    this.#expected.delete(conn.id)
    this.availability.join(conn.id, conn.peer, conn.has, conn.isOrigin)
  }

  /** The peer is gone, and what it was asked for is open again. Returns the pieces that it was just sending. */
  leave (conn: ActiveConn): PieceIndex[] {
    this.availability.leave(conn.id)
    const requests = this.requests.removeConn(conn.id)
    for (const { piece } of requests) this.#release(piece)
    return requests.filter(({ phase }) => phase === 'arriving').map(({ piece }) => piece)
  }

  /** Whether pieces are taken from this peer. */
  trusts ({ isOrigin }: { readonly isOrigin: boolean }): boolean { return isOrigin || !this.trustsOnlyOrigins }

  ask (conn: ConnId, piece: PieceIndex, now: Millis): void {
    this.availability.take(piece)
    this.requests.ask(conn, piece, now)
  }

  /**
   * The payload of a piece begins. It is welcome, asked for or not, unless we have the piece or it is arriving elsewhere;
   * an arrival that takes too long does not stand in the way.
   */
  arrive (conn: ActiveConn, piece: PieceIndex, now: Millis): 'receive' | 'discard' {
    conn.progressAt = now
    const request = this.requests.find(conn.id, piece)
    if (request === undefined) conn.unsolicited++
    else if (request.askedAt > conn.answeredUpTo) conn.answeredUpTo = request.askedAt
    const isArriving = this.requests.hopeful(piece).some(({ phase, dueSince = now }) => phase === 'arriving' && now - dueSince <= this.hedgeMs)
    if (this.have.has(piece) || isArriving || !this.trusts(conn)) {
      if (request?.phase !== 'arriving') this.requests.remove(conn.id, piece)
      this.#release(piece)
      return 'discard'
    }
    this.availability.take(piece)
    this.#cooling.delete(piece)
    this.requests.arrive(conn.id, piece, now)
    return 'receive'
  }

  /** Counts a piece that is verified and on disk; false if it was there before. */
  stored (conn: ConnId, source: Source, piece: PieceIndex, originsAreBusy: boolean, now: Millis, prng: Prng): boolean {
    const request = this.requests.remove(conn, piece)
    if (request !== undefined) this.#measure(now - request.askedAt)
    if (!this.have.add(piece)) return false
    this.availability.take(piece)
    this.#cooling.delete(piece)
    for (const other of [...this.requests.hopeful(piece)]) if (other.phase === 'asked') this.requests.demote(other, 'moot')
    this.#sources.set(piece, source)
    this.droppedInRow = 0
    this.restraint.stored(now, source.isOrigin, originsAreBusy, prng)
    return true
  }

  /** A piece arrived but could not be kept. */
  dropped (conn: ConnId, piece: PieceIndex, now: Millis): void {
    this.requests.remove(conn, piece)
    if (this.have.has(piece) || this.requests.hopeful(piece).length > 0) return
    this.droppedInRow++
    this.availability.take(piece)
    this.#cooling.set(piece, after(now, COOLING_MS))
  }

  /** The peer does not have the piece after all. */
  refused (conn: ConnId, piece: PieceIndex): void {
    this.requests.remove(conn, piece)
    this.availability.lost(conn, piece)
    this.#release(piece)
  }

  /** Reopens pieces that are stored but wrong. Returns who delivered them, each once. */
  invalidate (pieces: readonly PieceIndex[]): Source[] {
    this.invalidations++
    const guilty = new Map<PeerId, Source>()
    for (const piece of pieces) {
      if (!this.have.delete(piece)) continue
      const source = this.#sources.get(piece)
      if (source !== undefined) guilty.set(source.peer, source)
      this.#sources.delete(piece)
      this.#release(piece)
    }
    return [...guilty.values()]
  }

  /** Opens the pieces that have cooled down, and stops to count on peers that do not answer. */
  attend (now: Millis): void {
    for (const [conn, until] of this.#expected) if (until <= now) this.unexpect(conn)
    for (const [piece, until] of this.#cooling) {
      if (until > now) continue
      this.#cooling.delete(piece)
      this.#release(piece)
    }
  }

  /**
   * Gives up waiting for what the peer owes us for too long, so that others can be asked. True if it is to be cut off,
   * because even a late answer has not come.
   */
  expire (conn: ActiveConn, now: Millis): boolean {
    const overdue: PieceRequest[] = []
    for (const request of this.requests.ofConn(conn.id)) {
      const quietMs = now - Math.max(request.askedAt, conn.progressAt)
      switch (request.phase) {
        case 'arriving':
          if (now - (request.dueSince ?? now) > CUT_OFF_TIMEOUTS * this.timeoutMs) return true
          break
        case 'asked':
        case 'moot':
          if (quietMs > this.patienceMs) overdue.push(request)
          break
        case 'late':
          if (quietMs > CUT_OFF_TIMEOUTS * this.timeoutMs) return true
          // Answers come in the order of the requests: this one is lost, and may be made anew.
          if (request.askedAt < conn.answeredUpTo) this.requests.remove(conn.id, request.piece)
      }
    }
    if (overdue.length > 0) conn.stalls++
    for (const request of overdue) {
      this.requests.demote(request, 'late')
      this.#release(request.piece)
    }
    return false
  }

  /** Throws if a missing piece is in none of its places, or in two; for tests. */
  check (): void {
    this.availability.check()
    for (const piece of this.lengths.indices()) {
      if (this.have.has(piece)) continue
      const places = [this.availability.open.has(piece), this.requests.hopeful(piece).length > 0, this.#cooling.has(piece)]
      if (places.filter(Boolean).length !== 1) throw new Error(`piece ${piece} is open, requested, cooling: ${places.join(', ')}`)
    }
  }

  /** Reopens a piece unless somebody else still brings it. */
  #release (piece: PieceIndex): void {
    if (!this.have.has(piece) && this.requests.hopeful(piece).length === 0 && !this.#cooling.has(piece)) this.availability.reopen(piece)
  }

  #measure (ms: number): void { this.#usualMs = this.#usualMs === undefined ? ms : this.#usualMs + WEIGHT * (ms - this.#usualMs) }
}
