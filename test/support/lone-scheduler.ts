import { createHash } from 'node:crypto'
import { simConfig } from './sim/swarm.js'
import { Bitfield } from '../../runtime/core/bitfield.js'
import { type SchedulerConfig } from '../../runtime/config/sections/scheduler.js'
import { type Millis } from '../../runtime/core/clock.js'
import { type InfoHash } from '../../runtime/core/infohash.js'
import { Lengths, type PieceIndex } from '../../runtime/core/lengths.js'
import { type PeerInfo } from '../../runtime/core/peer.js'
import { type PeerId } from '../../runtime/core/peer-id.js'
import { seededPrng } from '../../runtime/core/prng.js'
import { type ConnId, type Effect, type Event } from '../../runtime/torrent/events.js'
import { Scheduler } from '../../runtime/torrent/scheduler.js'

export const SELF = peerId('self')
export const INFO_HASH = createHash('sha1').update('a blob').digest('hex') as InfoHash

export function peerId (name: string): PeerId { return createHash('sha1').update(name).digest('hex') as PeerId }

export function peerInfo (name: string, flags: { isOrigin?: boolean, isComplete?: boolean } = {}): PeerInfo {
  return { id: peerId(name), ip: '10.0.0.1', port: 16001, isOrigin: flags.isOrigin ?? false, isComplete: flags.isComplete ?? flags.isOrigin ?? false }
}

export function bits (length: number, ...set: number[]): Bitfield {
  const bitfield = new Bitfield(length)
  for (const bit of set) bitfield.add(bit)
  return bitfield
}

/** One scheduler with nothing around it: events are handed to it one by one, its invariants are checked after each. */
export class LoneScheduler {
  readonly scheduler: Scheduler
  readonly lengths: Lengths
  now = 0 as Millis
  #nextConn = 1

  constructor (options: { pieceCount?: number, pieceBytes?: number, config?: SchedulerConfig, isSeederOnly?: boolean, self?: PeerId } = {}) {
    const { pieceCount = 8, pieceBytes = 1024, config = simConfig(), isSeederOnly = false, self = SELF } = options
    this.lengths = new Lengths(pieceCount * pieceBytes, pieceBytes)
    this.scheduler = new Scheduler({ config, self, prng: seededPrng(1), isSeederOnly, allocateConn: () => this.conn() })
  }

  /** A fresh connection number, as the driver gives to a connection that comes in. */
  conn (): ConnId { return this.#nextConn++ as ConnId }

  piece (n: number): PieceIndex {
    const piece = this.lengths.index(n)
    if (piece === undefined) throw new Error(`there is no piece ${n}`)
    return piece
  }

  step (event: Event): Effect[] {
    const out: Effect[] = []
    this.scheduler.step(this.now, event, out)
    this.scheduler.check()
    return out
  }

  /** Lets time pass with a tick every 100 ms, as the driver does. */
  wait (ms: number): Effect[] {
    const out: Effect[] = []
    for (const end = this.now + ms; this.now < end;) {
      this.now = Math.min(end, this.now + 100) as Millis
      out.push(...this.step({ type: 'tick' }))
    }
    return out
  }

  open (options: { have?: readonly number[], isComplete?: boolean, wanted?: boolean } = {}): Effect[] {
    const { have = [], isComplete = false, wanted = true } = options
    const { pieceCount } = this.lengths
    const stored = isComplete ? Bitfield.full(pieceCount) : bits(pieceCount, ...have)
    return this.step({ type: 'torrentOpened', infoHash: INFO_HASH, lengths: this.lengths, have: stored, wanted, isVerified: isComplete })
  }

  announced (...peers: PeerInfo[]): Effect[] {
    return this.step({ type: 'announced', infoHash: INFO_HASH, peers, intervalMs: 3_000 })
  }

  incoming (conn: ConnId, name: string, neighbours: PeerId[] = []): Effect[] {
    return this.step({ type: 'incoming', conn, infoHash: INFO_HASH, peer: peerId(name), neighbours })
  }

  /** A peer dials us and is let in. */
  accept (name: string, ...has: number[]): { conn: ConnId, effects: Effect[] } {
    const conn = this.conn()
    const answer = this.incoming(conn, name)
    if (!answer.some(effect => effect.type === 'accept')) throw new Error(`${name} is not let in: ${JSON.stringify(answer)}`)
    return { conn, effects: this.handshaken(conn, ...has) }
  }

  handshaken (conn: ConnId, ...has: number[]): Effect[] {
    return this.step({ type: 'handshaken', conn, peerHas: bits(this.lengths.pieceCount, ...has) })
  }

  /** We dial a peer, which answers. */
  dial (info: PeerInfo, ...has: number[]): { conn: ConnId, effects: Effect[] } {
    const [dial] = ofType(this.announced(info), 'dial')
    if (dial === undefined) throw new Error(`${info.id} is not dialled`)
    return { conn: dial.conn, effects: this.handshaken(dial.conn, ...has) }
  }

  /** The peer delivers a piece, which is good. */
  deliver (conn: ConnId, piece: PieceIndex): Effect[] {
    return [...this.step({ type: 'payloadStarted', conn, piece }), ...this.step({ type: 'pieceStored', conn, piece })]
  }

  get everything (): number[] { return [...this.lengths.indices()] }
}

/** The effects of one type. */
export function ofType<T extends Effect['type']> (effects: readonly Effect[], type: T): Array<Effect & { type: T }> {
  return effects.filter((effect): effect is Effect & { type: T } => effect.type === type)
}

/** The types of the effects, in order. */
export function types (effects: readonly Effect[]): string[] { return effects.map(effect => effect.type) }
