import assert from 'node:assert/strict'
import { type Millis } from '../core/clock.js'
import { type PieceIndex } from '../core/lengths.js'
import { type ConnId } from './events.js'

/*
 *            payload begins
 *   asked ------------------> arriving -----> answered (forgotten)
 *     |                                          ^
 *     |---- its deadline passes --> late --------|   the piece is asked of others; an answer is still welcome
 *     |---- came from elsewhere --> moot --------|   there is no way to call it off, so the answer is awaited
 */
export type RequestPhase = 'asked' | 'arriving' | 'late' | 'moot'

/** A piece asked of a peer, or being delivered by it unasked. */
export interface PieceRequest {
  readonly conn: ConnId
  readonly piece: PieceIndex
  readonly askedAt: Millis
  /** Since when we wait for the peer: from the request, then from the start of the payload; undefined while nothing is due from it. */
  readonly dueSince: Millis | undefined
  readonly phase: RequestPhase
}

interface OfConn { readonly requests: Map<PieceIndex, PieceRequest>, outstanding: number }

const NONE: readonly PieceRequest[] = []

/** Everything that one torrent has asked for and not yet got; each connection is asked once for a piece. */
export class PieceRequests {
  readonly #byConn = new Map<ConnId, OfConn>()
  /** Only those that may still bring the piece in time: asked and arriving ones. */
  readonly #hopeful = new Map<PieceIndex, PieceRequest[]>()

  /** How many answers the peer owes us before it may be asked for more; late ones are written off. */
  outstanding (conn: ConnId): number { return this.#byConn.get(conn)?.outstanding ?? 0 }

  find (conn: ConnId, piece: PieceIndex): PieceRequest | undefined { return this.#byConn.get(conn)?.requests.get(piece) }

  /** The requests that may still bring this piece in time. */
  hopeful (piece: PieceIndex): readonly PieceRequest[] { return this.#hopeful.get(piece) ?? NONE }

  /** The pieces that somebody is asked for and may still bring in time. */
  hopefulPieces (): IterableIterator<PieceIndex> { return this.#hopeful.keys() }

  /** All requests to one peer, a copy. */
  ofConn (conn: ConnId): PieceRequest[] { return [...this.#byConn.get(conn)?.requests.values() ?? NONE] }

  ask (conn: ConnId, piece: PieceIndex, now: Millis): void {
    assert(this.find(conn, piece) === undefined, `connection ${conn} is asked twice for piece ${piece}`)
    this.#put({ conn, piece, askedAt: now, dueSince: now, phase: 'asked' })
  }

  /** The payload has begun, of a piece that was asked for or not. */
  arrive (conn: ConnId, piece: PieceIndex, now: Millis): void {
    const askedAt = this.remove(conn, piece)?.askedAt ?? now
    this.#put({ conn, piece, askedAt, dueSince: now, phase: 'arriving' })
  }

  /** The clock of an arriving piece starts anew, or stops. */
  due (conn: ConnId, piece: PieceIndex, isDue: boolean, now: Millis): void {
    const request = this.find(conn, piece)
    if (request?.phase !== 'arriving') return
    this.remove(conn, piece)
    this.#put({ ...request, dueSince: isDue ? now : undefined })
  }

  /** The answer is no longer waited for, or no longer needed. */
  demote (request: PieceRequest, phase: 'late' | 'moot'): void {
    assert(this.remove(request.conn, request.piece) === request, 'a request is demoted that is not there')
    this.#put({ ...request, phase })
  }

  remove (conn: ConnId, piece: PieceIndex): PieceRequest | undefined {
    const of = this.#byConn.get(conn)
    const request = of?.requests.get(piece)
    if (of === undefined || request === undefined) return undefined
    of.requests.delete(piece)
    if (request.phase !== 'late') of.outstanding--
    if (of.requests.size === 0) this.#byConn.delete(conn)
    const others = this.hopeful(piece).filter(other => other !== request)
    if (others.length > 0) this.#hopeful.set(piece, others)
    else this.#hopeful.delete(piece)
    return request
  }

  /** The connection is gone. Returns what had been asked of it. */
  removeConn (conn: ConnId): PieceRequest[] {
    const requests = this.ofConn(conn)
    for (const { piece } of requests) this.remove(conn, piece)
    return requests
  }

  #put (request: PieceRequest): void {
    const of = this.#byConn.get(request.conn) ?? { requests: new Map<PieceIndex, PieceRequest>(), outstanding: 0 }
    this.#byConn.set(request.conn, of)
    of.requests.set(request.piece, request)
    if (request.phase !== 'late') of.outstanding++
    if (request.phase === 'asked' || request.phase === 'arriving') this.#hopeful.set(request.piece, [...this.hopeful(request.piece), request])
  }
}
