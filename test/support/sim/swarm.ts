import { createHash } from 'node:crypto'
import { type SchedulerConfig } from '../../../runtime/config/sections/scheduler.js'
import { after, type Millis } from '../../../runtime/core/clock.js'
import { parseInfoHash } from '../../../runtime/core/infohash.js'
import { Lengths } from '../../../runtime/core/lengths.js'
import { type PeerInfo } from '../../../runtime/core/peer.js'
import { makePeerId, type PeerId } from '../../../runtime/core/peer-id.js'
import { type Prng, seededPrng } from '../../../runtime/core/prng.js'
import { EventHeap } from './event-heap.js'
import { Network } from './network.js'
import { type Faults, type Manners, SimNode, type World } from './node.js'
import { SimTracker } from './tracker.js'

export interface SwarmSpec {
  readonly seed: number
  readonly origins: number
  readonly leechers: number
  readonly pieceCount: number
  readonly pieceBytes: number
  /** Of every node, each way. */
  readonly bytesPerMs: number
  /** So many of the leechers have only this bandwidth. */
  readonly slow: { readonly leechers: number, readonly bytesPerMs: number }
  readonly latencyMs: number
  /** The leechers start within this time. */
  readonly startWithinMs: number
  readonly faults: Faults
  /** Additional nodes that claim to have everything. */
  readonly liars: Partial<Record<Manners, number>>
  /** How many crashes happen during `run`, each followed by a restart. */
  readonly crashes: number
  readonly partitions: number
  readonly config: SchedulerConfig
  /** Invariants that cost O(pieces) are looked at after this many events of a node. */
  readonly checkEvery: number
  readonly trace: ((line: string) => void) | undefined
}

/** The reference's defaults, but for what `overrides` says. */
export function simConfig (
  overrides: { openConnsMax?: number, policy?: 'default' | 'rarest_first', originPipelineLimit?: number, pipelineLimit?: number } = {}
): SchedulerConfig {
  const openConnsMax = overrides.openConnsMax ?? 10
  return {
    seederTtiMs: 300_000,
    leecherTtiMs: 300_000,
    connTtiMs: 30_000,
    connTtlMs: 3_600_000,
    preemptionIntervalMs: 30_000,
    probeTimeoutMs: 3_000,
    connState: { openConnsMax, mutualConnsMax: openConnsMax, blacklistMs: 30_000 },
    conn: { handshakeTimeoutMs: 5_000 },
    dispatch: {
      pieceRequestTimeoutMinMs: 4_000,
      pieceRequestTimeoutPerMbMs: 4_000,
      pieceRequestPolicy: overrides.policy ?? 'rarest_first',
      pipelineLimit: overrides.pipelineLimit ?? 3,
      originPipelineLimit: overrides.originPipelineLimit ?? 5,
      endgameThreshold: overrides.pipelineLimit ?? 3,
      endgameDisabled: false
    }
  }
}

const DEFAULTS: Omit<SwarmSpec, 'seed'> = {
  origins: 1,
  leechers: 10,
  pieceCount: 64,
  pieceBytes: 1024 * 1024,
  bytesPerMs: 100_000,
  slow: { leechers: 0, bytesPerMs: 5_000 },
  latencyMs: 0.5,
  startWithinMs: 0,
  faults: { reset: 0, corrupt: 0 },
  liars: {},
  crashes: 0,
  partitions: 0,
  config: simConfig(),
  checkEvery: 1,
  trace: undefined
}

const OUTAGE_MS = 5_000
/** A broken invariant tends to be broken again at every step. */
const VIOLATIONS_MAX = 20

/** One blob, some origins, a tracker and many leechers in virtual time; the same seed does the same, step for step. */
export class SimSwarm {
  readonly violations: string[] = []
  readonly spec: SwarmSpec
  readonly heap = new EventHeap()
  readonly network: Network
  readonly tracker: SimTracker
  readonly nodes = new Map<PeerId, SimNode>()
  readonly origins: SimNode[]
  readonly leechers: SimNode[]
  readonly liars: SimNode[]
  stepCount = 0
  readonly #prng: Prng
  readonly #faults: Faults
  readonly #lengths: Lengths
  readonly #world: World
  #nodeCount = 0

  constructor (spec: Partial<SwarmSpec> & { readonly seed: number }) {
    this.spec = { ...DEFAULTS, ...spec }
    const { seed, latencyMs, pieceBytes, pieceCount } = this.spec
    this.#prng = seededPrng(seed)
    this.#faults = { ...this.spec.faults }
    this.#lengths = new Lengths(pieceBytes * pieceCount, pieceBytes)
    const partBytes = Math.max(pieceBytes / 4, Math.min(pieceBytes, 64 * 1024))
    const windowParts = 2 + Math.ceil(2 * latencyMs * this.spec.bytesPerMs / partBytes)
    this.network = new Network(this.heap, { latencyMs, partBytes, windowParts }, this.#prng)
    const originInfos = Array.from({ length: this.spec.origins }, () => this.#info(true))
    this.tracker = new SimTracker(originInfos, 'completeness', 50, this.#prng)
    this.#world = {
      heap: this.heap,
      network: this.network,
      tracker: this.tracker,
      prng: this.#prng,
      faults: this.#faults,
      nodes: this.nodes,
      trace: this.spec.trace,
      violation: text => { if (this.violations.length < VIOLATIONS_MAX) this.violations.push(text) }
    }
    this.origins = originInfos.map((info, i) => this.#node(`origin${i}`, info, 'honest', true))
    this.leechers = Array.from({ length: this.spec.leechers }, (_, i) => this.#node(`leecher${i}`, this.#info(false), 'honest', false))
    this.liars = Object.entries(this.spec.liars).flatMap(([manners, count]) =>
      Array.from({ length: count }, (_, i) => this.#node(`${manners}${i}`, this.#info(false), manners as Manners, true)))
    this.#plan()
  }

  get now (): Millis { return this.heap.now }
  get allComplete (): boolean { return this.leechers.every(node => node.isVerified) }

  /** How to see this very run again. */
  get replayHint (): string {
    const { spec } = this
    const options = {
      seed: spec.seed,
      origins: spec.origins,
      leechers: spec.leechers,
      pieces: spec.pieceCount,
      'piece-bytes': spec.pieceBytes,
      'bytes-per-ms': spec.bytesPerMs,
      slow: spec.slow.leechers,
      'slow-bytes-per-ms': spec.slow.bytesPerMs,
      latency: spec.latencyMs,
      'start-within': spec.startWithinMs,
      ...spec.faults,
      crashes: spec.crashes,
      partitions: spec.partitions,
      ...spec.liars,
      'open-conns': spec.config.connState.openConnsMax
    }
    const text = Object.entries(options).map(([name, value]) => `--${name} ${value}`).join(' ')
    return `see it with: node dist/tools/sim.js --trace ${text}`
  }

  /** Lets `forMs` of virtual time pass, or less if a step throws. */
  run ({ forMs }: { forMs: number }): void { this.runUntil(() => false, { withinMs: forMs }) }

  /** Lets time pass until `isReached`, which is looked at after every step; false if that takes longer than allowed. */
  runUntil (isReached: (swarm: SimSwarm) => boolean, { withinMs }: { withinMs: number }): boolean {
    const until = after(this.heap.now, withinMs)
    while (!isReached(this)) {
      if (this.violations.length > 0 || !this.heap.next(until)) return isReached(this)
      this.stepCount++
    }
    return true
  }

  /** No more faults: partitions end, nodes that are down come back. */
  heal (): void {
    this.#faults.reset = 0
    this.#faults.corrupt = 0
    this.network.mend()
    for (const node of this.nodes.values()) if (!node.isUp) node.start()
  }

  /** What origins sent, in blobs. */
  get originBlobs (): number { return sum(this.origins.map(node => node.host.bytesSent)) / this.#lengths.totalBytes }

  summary (): Record<string, number> {
    const times = this.leechers
      .flatMap(({ completedAt, startedAt }) => completedAt === undefined ? [] : [completedAt - (startedAt ?? 0)])
      .sort((a, b) => a - b)
    const idealMs = this.#lengths.totalBytes / this.spec.bytesPerMs
    const at = (quantile: number): number => Math.round(times[Math.min(times.length - 1, Math.floor(quantile * times.length))] ?? NaN)
    return {
      complete: times.length,
      leechers: this.leechers.length,
      idealMs: Math.round(idealMs),
      medianMs: at(0.5),
      slowestMs: at(1),
      slowestToIdeal: round(at(1) / idealMs),
      originBlobs: round(this.originBlobs),
      sentPerNeeded: round(sum([...this.nodes.values()].map(node => node.host.bytesSent)) / (this.#lengths.totalBytes * this.leechers.length)),
      announces: this.tracker.announceCount,
      steps: this.stepCount
    }
  }

  #node (name: string, info: PeerInfo, manners: Manners, isComplete: boolean): SimNode {
    const { config, checkEvery, slow } = this.spec
    const bytesPerMs = !info.isOrigin && this.nodes.size - this.spec.origins < slow.leechers ? slow.bytesPerMs : this.spec.bytesPerMs
    const host = this.network.host(name, bytesPerMs, bytesPerMs)
    const infoHash = parseInfoHash(createHash('sha1').update('the blob').digest('hex'))
    const node = new SimNode(this.#world, host, { info, infoHash, lengths: this.#lengths, config, manners, isComplete, checkEvery })
    this.nodes.set(info.id, node)
    return node
  }

  #info (isOrigin: boolean): PeerInfo {
    const port = 10_000 + this.#nodeCount++
    return { id: makePeerId('addr_hash', `10.0.0.${this.spec.seed % 250}`, port), ip: '10.0.0.1', port, isOrigin, isComplete: isOrigin }
  }

  /** Who starts when, what breaks when. */
  #plan (): void {
    const { startWithinMs, crashes, partitions } = this.spec
    for (const node of [...this.origins, ...this.liars]) this.heap.in(0, () => node.start())
    for (const node of this.leechers) this.heap.in(this.#prng.next() * startWithinMs, () => { if (!node.isUp) node.start() })
    const span = startWithinMs + 2 * this.#lengths.totalBytes / this.spec.bytesPerMs
    for (let i = 0; i < crashes; i++) this.heap.in(this.#prng.next() * span, () => this.#crashOne())
    for (let i = 0; i < partitions; i++) this.heap.in(this.#prng.next() * span, () => this.#partition())
  }

  #crashOne (): void {
    const all = [...this.origins, ...this.leechers]
    const node = all[this.#prng.below(all.length)]
    if (node?.isUp !== true) return
    node.crash()
    this.heap.in(this.#prng.next() * OUTAGE_MS, () => { if (!node.isUp) node.start() })
  }

  /** Two random halves do not hear each other for a while. */
  #partition (): void {
    const all = [...this.nodes.values()]
    const here = new Set(all.filter(() => this.#prng.next() < 0.5))
    for (const a of all) for (const b of all) if (here.has(a) && !here.has(b)) this.network.cut(a.host, b.host)
    this.heap.in(this.#prng.next() * OUTAGE_MS, () => this.network.mend())
  }
}

function sum (numbers: readonly number[]): number { return numbers.reduce((a, b) => a + b, 0) }

function round (n: number): number { return Math.round(n * 100) / 100 }
