import assert from 'node:assert/strict'
import { assertNever } from '../../../runtime/core/brand.js'
import { Bitfield } from '../../../runtime/core/bitfield.js'
import { type SchedulerConfig } from '../../../runtime/config/sections/scheduler.js'
import { type InfoHash } from '../../../runtime/core/infohash.js'
import { type Lengths, type PieceIndex } from '../../../runtime/core/lengths.js'
import { type PeerInfo } from '../../../runtime/core/peer.js'
import { type PeerId } from '../../../runtime/core/peer-id.js'
import { type Prng } from '../../../runtime/core/prng.js'
import { type CloseReason, type ConnId, type Effect, type Event } from '../../../runtime/torrent/events.js'
import { Scheduler } from '../../../runtime/torrent/scheduler.js'
import { type EventHeap } from './event-heap.js'
import { type End, Link } from './link.js'
import { type Host, type Network } from './network.js'
import { type SimTracker } from './tracker.js'

/** How a node treats those that ask it for pieces. */
export type Manners = 'honest' | 'corrupts' | 'forges' | 'refuses' | 'silent'

export interface Faults {
  /** Chance that a connection breaks while a piece is sent. */
  reset: number
  /** Chance that a piece is damaged on its way. */
  corrupt: number
}

/** What the nodes of a swarm share. */
export interface World {
  readonly heap: EventHeap
  readonly network: Network
  readonly tracker: SimTracker
  readonly prng: Prng
  readonly faults: Faults
  readonly nodes: Map<PeerId, SimNode>
  /** One line for everything that happens, or undefined. */
  readonly trace: ((line: string) => void) | undefined
  violation (text: string): void
}

export interface NodeOptions {
  readonly info: PeerInfo
  readonly infoHash: InfoHash
  readonly lengths: Lengths
  readonly config: SchedulerConfig
  readonly manners: Manners
  readonly isComplete: boolean
  /** After how many events the invariants, which cost O(pieces), are looked at again. */
  readonly checkEvery: number
}

const HASH_MS = 2
const VERIFY_MS = 5
const TICK_MS = 100
const ANNOUNCE_INTERVAL_MS = 3_000

/**
 * A peer with the real scheduler behind a driver for the virtual network. It checks, as it performs them, that effects
 * make sense, and keeps the account of what would be on its disk.
 */
export class SimNode {
  generation = 0
  readonly disk: Bitfield
  isVerified: boolean
  completedAt: number | undefined
  startedAt: number | undefined
  scheduler: Scheduler | undefined
  /** Pieces that match their sum but not the blob. */
  readonly forged = new Set<PieceIndex>()
  /** Pieces on disk that came from an origin. */
  readonly #fromOrigins = new Set<PieceIndex>()
  readonly #ends = new Map<ConnId, End>()
  readonly #queue: Event[] = []
  #isRunning = false
  #nextConn = 1
  #sinceCheck = 0
  completeAnnounces = 0
  failures: string[] = []

  constructor (readonly world: World, readonly host: Host, readonly options: NodeOptions) {
    const { pieceCount } = options.lengths
    this.disk = options.isComplete ? Bitfield.full(pieceCount) : new Bitfield(pieceCount)
    this.isVerified = options.isComplete
  }

  get id (): PeerId { return this.options.info.id }
  get isOrigin (): boolean { return this.options.info.isOrigin }
  get isUp (): boolean { return this.scheduler !== undefined }
  get connCount (): number { return this.#ends.size }

  start (): void {
    const { config, infoHash, lengths } = this.options
    assert(!this.isUp)
    this.generation++
    this.host.isUp = true
    this.startedAt ??= this.world.heap.now
    this.scheduler = new Scheduler({
      config,
      self: this.id,
      prng: this.world.prng,
      isSeederOnly: this.isOrigin,
      allocateConn: () => this.#nextConn++ as ConnId
    })
    this.#trace(`starts with ${this.disk.count} pieces`)
    this.dispatch({ type: 'torrentOpened', infoHash, lengths, have: this.disk.clone(), wanted: !this.isVerified, isVerified: this.isVerified })
    this.#later(TICK_MS * this.world.prng.next(), () => this.#tick())
  }

  /** Loses its memory and its connections; the disk stays. */
  crash (): void {
    if (!this.isUp) return
    this.#trace('crashes')
    this.generation++
    this.host.isUp = false
    this.scheduler = undefined
    this.#queue.length = 0
    for (const end of [...this.#ends.values()]) end.link.close(end, 'network')
    this.#ends.clear()
  }

  dispatch (event: Event): void {
    this.#queue.push(event)
    if (this.#isRunning) return
    this.#isRunning = true
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) this.#step(next)
    } catch (error) {
      this.#violation(`throws: ${error instanceof Error ? error.stack ?? error.message : String(error)}`)
      throw error
    } finally {
      this.#isRunning = false
    }
  }

  #step (event: Event): void {
    const { scheduler } = this
    if (scheduler === undefined) return
    const out: Effect[] = []
    scheduler.step(this.world.heap.now, event, out)
    this.#checkAnswer(event, out)
    for (const effect of out) this.#perform(effect)
    if (++this.#sinceCheck < this.options.checkEvery) return
    this.#sinceCheck = 0
    scheduler.check()
  }

  /** Some events must be answered in the same step, exactly once. */
  #checkAnswer (event: Event, out: readonly Effect[]): void {
    const answers = (...types: Array<Effect['type']>): number => out.filter(effect => types.includes(effect.type) &&
      'conn' in effect && 'conn' in event && effect.conn === event.conn).length
    if (event.type === 'incoming' && answers('accept', 'refuse') !== 1) this.#violation('a peer that dialled is not answered once')
    if (!('conn' in event) || this.#ends.get(event.conn)?.isClosed !== false) return
    if (event.type === 'pieceRequested' && answers('serve', 'sendError') !== 1) this.#violation('a request is not answered once')
    if (event.type === 'payloadStarted' && answers('receive', 'discard') !== 1) this.#violation('a payload is not dealt with once')
  }

  #perform (effect: Effect): void {
    if (this.world.trace !== undefined && effect.type !== 'sendPieceAnnounce') this.#trace(describe(effect))
    switch (effect.type) {
      case 'announce': return this.#announce(effect.isComplete)
      case 'dial': return this.#dial(effect.conn, effect.peer)
      case 'accept': return this.#accept(effect.conn)
      case 'refuse': case 'close': return this.#close(effect.conn, effect.reason)
      case 'request': return this.#request(effect.conn, effect.piece)
      case 'serve': return this.#serve(effect.conn, effect.piece)
      case 'sendError': return this.#refuse(effect.conn, effect.piece)
      case 'sendPieceAnnounce': return this.#tell(effect.conn, effect.piece)
      case 'sendComplete': return this.#send(effect.conn, (to, conn, end) => {
        for (const piece of this.options.lengths.indices()) end.known.add(piece)
        to.dispatch({ type: 'peerCompleted', conn })
      })
      case 'receive': return this.#take(effect.conn, effect.piece)
      case 'discard': return
      case 'verifyTorrent': return this.#later(VERIFY_MS, () => this.#verify())
      case 'failTorrent':
        this.failures.push(effect.message)
        return
      case 'forgetTorrent': return
      default: assertNever(effect)
    }
  }

  // ---- the tracker ----

  #announce (isComplete: boolean): void {
    const { heap, tracker, network } = this.world
    const { infoHash, info } = this.options
    if (this.isOrigin) this.#violation('an origin announces itself')
    if (isComplete) this.completeAnnounces++
    this.#later(network.delay() * 2, () => {
      const peers = tracker.announce({ ...info, isComplete })
      this.#trace(`hears of ${peers.length} peers at ${heap.now.toFixed(0)}`)
      this.dispatch({ type: 'announced', infoHash, peers, intervalMs: ANNOUNCE_INTERVAL_MS })
    })
  }

  // ---- connections ----

  #dial (conn: ConnId, peer: PeerInfo): void {
    const { network, nodes } = this.world
    if (this.isOrigin) this.#violation('an origin dials')
    if (peer.id === this.id) this.#violation('it dials itself')
    const target = nodes.get(peer.id)
    if (target === undefined || !target.host.isUp) {
      this.#later(2 * network.delay(), () => this.dispatch({ type: 'handshakeFailed', conn, reason: 'network' }))
      return
    }
    if (network.isCut(this.host, target.host)) {
      this.#later(this.options.config.conn.handshakeTimeoutMs, () => this.dispatch({ type: 'handshakeFailed', conn, reason: 'handshake-timeout' }))
      return
    }
    const link = new Link(network, this, target)
    link.dialler.conn = conn
    this.#ends.set(conn, link.dialler)
    this.#later(2 * network.delay(), () => {
      const shown = this.disk.clone()
      link.dialler.out.send({ bytes: 0, done: () => target.#meet(link, shown) })
    })
  }

  #meet (link: Link, peerHas: Bitfield): void {
    if (!this.isUp || link.acceptor.generation !== this.generation) {
      link.acceptor.isClosed = true
      link.close(link.acceptor, 'network')
      return
    }
    const end = link.acceptor
    const conn = this.#nextConn++ as ConnId
    end.conn = conn
    for (const piece of peerHas) end.known.add(piece)
    this.#ends.set(conn, end)
    this.dispatch({ type: 'incoming', conn, infoHash: this.options.infoHash, peer: link.dialler.node.id, neighbours: [] })
  }

  #accept (conn: ConnId): void {
    const end = this.#end(conn)
    if (end === undefined) return
    const shown = this.disk.clone()
    const dialler = end.link.dialler
    end.out.send({ bytes: 0, done: () => dialler.node.#establish(dialler, shown) })
    this.#establish(end, end.known)
  }

  #establish (end: End, peerHas: Bitfield): void {
    if (end.conn === undefined || end.isClosed) return
    end.isEstablished = true
    for (const piece of peerHas) end.known.add(piece)
    this.dispatch({ type: 'handshaken', conn: end.conn, peerHas })
  }

  #close (conn: ConnId, reason: CloseReason): void {
    const end = this.#end(conn)
    if (end === undefined) return
    end.link.close(end, 'remote-closed')
    this.closed(end, reason)
  }

  /** A connection has ended, whoever ended it. */
  closed (end: End, reason: CloseReason): void {
    if (end.conn === undefined || end.generation !== this.generation || this.#ends.get(end.conn) !== end) return
    this.#ends.delete(end.conn)
    this.dispatch({ type: end.isEstablished ? 'connClosed' : 'handshakeFailed', conn: end.conn, reason })
  }

  // ---- pieces ----

  #request (conn: ConnId, piece: PieceIndex): void {
    const end = this.#end(conn)
    if (end === undefined) return
    if (!end.known.has(piece)) this.#violation(`piece ${piece} is asked of a peer that lacks it`)
    if (this.disk.has(piece)) this.#violation(`piece ${piece} is asked for and stored`)
    if (end.asked.has(piece)) this.#violation(`piece ${piece} is asked for twice on a connection`)
    end.asked.add(piece)
    const peer = end.link.other(end).node
    const { dispatch } = this.options.config
    const limit = peer.isOrigin ? dispatch.originPipelineLimit : dispatch.pipelineLimit
    if (end.asked.size > limit * 3) this.#violation(`${end.asked.size} requests wait on one connection`)
    this.#send(conn, (to, id) => to.dispatch({ type: 'pieceRequested', conn: id, piece }))
  }

  #tell (conn: ConnId, piece: PieceIndex): void {
    if (!this.disk.has(piece)) this.#violation(`piece ${piece} is announced and not stored`)
    this.#send(conn, (to, id, end) => {
      end.known.add(piece)
      to.dispatch({ type: 'pieceAnnounced', conn: id, piece })
    })
  }

  #serve (conn: ConnId, piece: PieceIndex): void {
    const end = this.#end(conn)
    if (end === undefined) return
    if (!this.disk.has(piece)) this.#violation(`piece ${piece} is served and not stored`)
    const { manners, lengths } = this.options
    const { faults, prng } = this.world
    if (manners === 'silent') return
    if (manners === 'refuses') return this.#refuse(conn, piece)
    if (prng.next() < faults.reset) this.world.heap.in(prng.next() * 100, () => end.link.reset())
    const isCorrupt = manners === 'corrupts' || prng.next() < faults.corrupt
    const isForged = manners === 'forges' || this.forged.has(piece)
    const to = end.link.other(end)
    end.out.send({
      bytes: lengths.sizeOf(piece),
      begun: () => to.node.#begin(to, piece),
      done: () => to.node.#deliver(to, piece, isCorrupt, isForged, this.isOrigin)
    })
  }

  #refuse (conn: ConnId, piece: PieceIndex): void {
    this.#send(conn, (to, id, end) => {
      end.asked.delete(piece)
      to.dispatch({ type: 'requestRefused', conn: id, piece })
    })
  }

  #begin (end: End, piece: PieceIndex): void {
    if (end.conn === undefined) return
    end.asked.delete(piece)
    this.dispatch({ type: 'payloadStarted', conn: end.conn, piece })
  }

  #take (conn: ConnId, piece: PieceIndex): void {
    if (this.disk.has(piece)) this.#violation(`piece ${piece} is received and stored`)
    this.#end(conn)?.taking.add(piece)
  }

  #deliver (end: End, piece: PieceIndex, isCorrupt: boolean, isForged: boolean, isFromOrigin: boolean): void {
    if (!end.taking.delete(piece)) return
    if (end.conn !== undefined) this.dispatch({ type: 'payloadDue', conn: end.conn, piece, isDue: false })
    this.#later(HASH_MS, () => {
      const { conn } = end
      if (conn === undefined) return
      if (this.disk.has(piece)) return this.dispatch({ type: 'pieceDropped', conn, piece })
      if (isCorrupt) return this.dispatch({ type: 'pieceCorrupt', conn, piece })
      this.disk.add(piece)
      if (isForged) this.forged.add(piece)
      if (isFromOrigin) this.#fromOrigins.add(piece)
      this.dispatch({ type: 'pieceStored', conn, piece })
    })
  }

  #verify (): void {
    const { infoHash, lengths } = this.options
    if (this.forged.size === 0) {
      assert(this.disk.isFull, 'a blob with gaps is to be verified')
      this.isVerified = true
      this.completedAt ??= this.world.heap.now
      return this.dispatch({ type: 'torrentVerified', infoHash })
    }
    const foreign = [...lengths.indices()].filter(piece => !this.#fromOrigins.has(piece))
    for (const piece of foreign) this.disk.delete(piece)
    this.forged.clear()
    this.dispatch({ type: 'piecesInvalidated', infoHash, pieces: foreign })
  }

  // ---- odds and ends ----

  #tick (): void {
    this.dispatch({ type: 'tick' })
    this.#later(TICK_MS, () => this.#tick())
  }

  /** Something that a crash prevents. */
  #later (ms: number, run: () => void): void {
    const { generation } = this
    this.world.heap.in(ms, () => { if (this.generation === generation && this.isUp) run() })
  }

  #send (conn: ConnId, arrive: (to: SimNode, conn: ConnId, end: End) => void): void {
    const end = this.#end(conn)
    if (end === undefined) return
    const to = end.link.other(end)
    end.out.send({ bytes: 0, done: () => { if (to.conn !== undefined && !to.isClosed && to.node.isUp) arrive(to.node, to.conn, to) } })
  }

  #end (conn: ConnId): End | undefined {
    const end = this.#ends.get(conn)
    return end === undefined || end.isClosed ? undefined : end
  }

  #violation (text: string): void { this.world.violation(`${this.host.name} at ${this.world.heap.now.toFixed(1)} ms: ${text}`) }

  #trace (text: string): void { this.world.trace?.(`${this.world.heap.now.toFixed(1).padStart(10)} ${this.host.name.padEnd(10)} ${text}`) }
}

function describe (effect: Effect): string {
  const parts = Object.entries(effect).map(([key, value]) => typeof value === 'object' ? '' : `${key}=${String(value).slice(0, 12)}`)
  return parts.filter(part => part !== '' && !part.startsWith('infoHash')).join(' ')
}
