import { type DispatchConfig } from '../config/sections/scheduler.js'
import { type Millis } from '../core/clock.js'
import { type PieceIndex } from '../core/lengths.js'
import { type Prng } from '../core/prng.js'
import { type ActiveConn } from './conn-table.js'
import { type Download } from './download.js'
import { type ConnId, type Effect } from './events.js'
import { type PieceBuckets } from './piece-buckets.js'
import { anyPiece } from './policies/default.js'
import { type Policy } from './policies/policy.js'
import { rarestFirst } from './policies/rarest-first.js'

/** What is needed to decide whom to ask for what. */
export interface Asking {
  readonly download: Download
  readonly conns: ReadonlyMap<ConnId, ActiveConn>
  readonly config: DispatchConfig
  readonly prng: Prng
  readonly now: Millis
}

/** Pieces asked of an origin before it delivered any. */
const ORIGIN_PIPELINE_START = 2

export const POLICIES: Readonly<Record<DispatchConfig['pieceRequestPolicy'], Policy>> = { default: anyPiece, rarest_first: rarestFirst }

/**
 * Fills the quota of every peer. Agents come first and origins get what is left for them, so that origins send little.
 * Peers of a kind take turns, one piece each: a blob of few pieces comes from many sides at once.
 */
export function ask (asking: Asking, out: Effect[]): void {
  if (asking.download.availability.open.size === 0) return
  const agents: ActiveConn[] = []
  const origins: ActiveConn[] = []
  for (const conn of asking.conns.values()) if (quotaOf(asking, conn) > 0) (conn.isOrigin ? origins : agents).push(conn)
  askInTurns(asking, agents, out)
  askInTurns(asking, origins, out)
}

/**
 * Asks a second peer for a piece that the first one takes unusually long to deliver, once every missing piece is asked
 * for (endgame, p2p specification 6.7). Never before: for a blob of few pieces that would mean several copies of it.
 */
export function hedge (asking: Asking, out: Effect[]): void {
  const { download, config, now } = asking
  if (config.endgameDisabled) return
  if (download.availability.open.size > 0 && download.missingCount > config.endgameThreshold) return
  for (const piece of [...download.requests.hopefulPieces()]) {
    const [first, second] = download.requests.hopeful(piece)
    if (first === undefined || second !== undefined || download.have.has(piece)) continue
    if (now - (first.dueSince ?? now) <= download.hedgeMs) continue
    const helper = helperFor(asking, piece)
    if (helper !== undefined) request(asking, helper, piece, out)
  }
}

/** True while origins owe us pieces. */
export function originsAreBusy (download: Download, conns: ReadonlyMap<ConnId, ActiveConn>): boolean {
  for (const conn of conns.values()) if (conn.isOrigin && download.requests.outstanding(conn.id) > 0) return true
  return false
}

function askInTurns (asking: Asking, conns: ActiveConn[], out: Effect[]): void {
  let turn = conns.length > 1 ? asking.prng.below(conns.length) : 0
  while (conns.length > 0) {
    turn %= conns.length
    const conn = conns[turn]
    const piece = conn === undefined ? undefined : choose(asking, conn)
    if (conn !== undefined && piece !== undefined) {
      request(asking, conn, piece, out)
      if (quotaOf(asking, conn) > 0) {
        turn++
        continue
      }
    }
    conns.splice(turn, 1)
  }
}

function choose (asking: Asking, conn: ActiveConn): PieceIndex | undefined {
  const { download, config, prng, now } = asking
  const { availability, requests, restraint, readers } = download
  const policy = POLICIES[config.pieceRequestPolicy]
  const accepts = (piece: PieceIndex): boolean => requests.find(conn.id, piece) === undefined
  const pick = (pieces: PieceBuckets): PieceIndex | undefined => readers.choose(pieces, accepts) ?? policy(pieces, prng, accepts)
  const { open, own, completeAgents } = availability
  if (!conn.has.isFull) return pick(availability.candidatesOf(conn.id))
  if (!conn.isOrigin) return pick(own) ?? pick(open)
  const share = completeAgents > 0 ? undefined : pick(own)
  if (share !== undefined || open.size === 0) return share
  return restraint.allows(now, originsAreBusy(download, asking.conns), prng) ? pick(open) : undefined
}

/** A peer that has the piece and time for it: an agent rather than an origin, and one that owes us little. */
function helperFor (asking: Asking, piece: PieceIndex): ActiveConn | undefined {
  const { requests } = asking.download
  let best: ActiveConn | undefined
  for (const conn of asking.conns.values()) {
    if (!conn.has.has(piece) || conn.stalls > 0 || quotaOf(asking, conn) <= 0 || requests.find(conn.id, piece) !== undefined) continue
    const isBetter = best === undefined || (conn.isOrigin === best.isOrigin
      ? requests.outstanding(conn.id) < requests.outstanding(best.id)
      : best.isOrigin)
    if (isBetter) best = conn
  }
  return best
}

function request ({ download, now }: Asking, conn: ActiveConn, piece: PieceIndex, out: Effect[]): void {
  download.ask(conn.id, piece, now)
  out.push({ type: 'request', conn: conn.id, piece })
}

/** How many more pieces the peer may be asked for. */
function quotaOf ({ download, config }: Asking, conn: ActiveConn): number {
  return download.trusts(conn) ? limitOf(config, conn) - download.requests.outstanding(conn.id) : 0
}

/**
 * A peer that is silent gets one more chance and then nothing until it delivers. What is asked of an origin grows with
 * what it delivers: when two agents begin at the same time, each soon learns what the other has begun to fetch.
 */
function limitOf (config: DispatchConfig, conn: ActiveConn): number {
  if (conn.stalls > 0) return conn.stalls === 1 ? 1 : 0
  return conn.isOrigin ? Math.min(config.originPipelineLimit, ORIGIN_PIPELINE_START + conn.goodPieces) : config.pipelineLimit
}
