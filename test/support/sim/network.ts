import { type Prng } from '../../../runtime/core/prng.js'
import { type EventHeap } from './event-heap.js'

/** What goes over a connection: short messages, or a payload that takes its time. */
export interface Parcel {
  /** 0 for a message, which costs no bandwidth. */
  readonly bytes: number
  /** Its first part is in. */
  readonly begun?: () => void
  readonly done: () => void
}

/** A machine: what it sends and what it receives each has one bandwidth, shared by all its connections. */
export class Host {
  isUp = true
  bytesSent = 0
  readonly pipes: Pipe[] = []
  sending = false
  turn = 0
  downFreeAt = 0

  constructor (readonly name: string, readonly upBytesPerMs: number, readonly downBytesPerMs: number) {}
}

interface InOrder { readonly parcel: Parcel, hasBegun: boolean, wasToldBegun: boolean, isDone: boolean }

/** One direction of a connection. Messages overtake payloads that wait, but never one that is being sent. */
export class Pipe {
  readonly messages: Parcel[] = []
  readonly payloads: Parcel[] = []
  readonly order: InOrder[] = []
  current: { readonly entry: InOrder, left: number } | undefined
  partsUnderway = 0
  isClosed = false

  constructor (readonly network: Network, readonly from: Host, readonly to: Host) {}

  send (parcel: Parcel): void {
    if (this.isClosed) return
    if (parcel.bytes === 0) this.messages.push(parcel)
    else this.payloads.push(parcel)
    this.network.pump(this.from)
  }

  /** Delivers what is in, in the order in which it was sent. */
  flush (): void {
    for (let [first] = this.order; first !== undefined && !this.isClosed; [first] = this.order) {
      if (first.hasBegun && !first.wasToldBegun) {
        first.wasToldBegun = true
        first.parcel.begun?.()
        if (this.isClosed) return
      }
      if (!first.isDone) return
      this.order.shift()
      first.parcel.done()
    }
  }
}

export interface NetworkOptions {
  readonly latencyMs: number
  /** Payloads are sent in parts of at most this size, connections in turns. */
  readonly partBytes: number
  /** Parts that may be on their way at once on one connection, as a sender's window allows. */
  readonly windowParts: number
}

/** A virtual network in virtual time. Partitions hold things back, as retransmission would; nothing is reordered. */
export class Network {
  readonly #cuts = new Set<string>()
  readonly #hosts: Host[] = []

  constructor (readonly heap: EventHeap, readonly options: NetworkOptions, readonly prng: Prng) {}

  host (name: string, upBytesPerMs: number, downBytesPerMs: number): Host {
    const host = new Host(name, upBytesPerMs, downBytesPerMs)
    this.#hosts.push(host)
    return host
  }

  pipe (from: Host, to: Host): Pipe {
    const pipe = new Pipe(this, from, to)
    from.pipes.push(pipe)
    return pipe
  }

  close (pipe: Pipe): void {
    pipe.isClosed = true
    const at = pipe.from.pipes.indexOf(pipe)
    if (at >= 0) pipe.from.pipes.splice(at, 1)
  }

  isCut (a: Host, b: Host): boolean { return this.#cuts.has(keyOf(a, b)) }

  cut (a: Host, b: Host): void { this.#cuts.add(keyOf(a, b)) }

  /** Ends all partitions. */
  mend (): void {
    this.#cuts.clear()
    for (const host of this.#hosts) this.pump(host)
  }

  /** Some milliseconds around the latency, so that nothing happens in lockstep. */
  delay (): number { return this.options.latencyMs * (0.9 + 0.2 * this.prng.next()) }

  /** Sends what can be sent now: messages at once, payload parts one after the other and connections in turns. */
  pump (host: Host): void {
    for (const pipe of host.pipes) if (pipe.current === undefined && !this.isCut(pipe.from, pipe.to)) this.#sendMessages(pipe)
    if (host.sending) return
    for (let i = 0; i < host.pipes.length; i++) {
      const at = (host.turn + i) % host.pipes.length
      const pipe = host.pipes[at]
      if (pipe === undefined || pipe.partsUnderway >= this.options.windowParts || this.isCut(pipe.from, pipe.to)) continue
      if (pipe.current === undefined && !this.#beginPayload(pipe)) continue
      host.turn = at + 1
      this.#sendPart(host, pipe)
      return
    }
  }

  #sendMessages (pipe: Pipe): void {
    for (const parcel of pipe.messages.splice(0)) {
      const entry = { parcel, hasBegun: false, wasToldBegun: false, isDone: false }
      pipe.order.push(entry)
      this.heap.in(this.options.latencyMs, () => {
        entry.isDone = true
        pipe.flush()
      })
    }
  }

  #beginPayload (pipe: Pipe): boolean {
    const parcel = pipe.payloads.shift()
    if (parcel === undefined) return false
    const entry = { parcel, hasBegun: false, wasToldBegun: false, isDone: false }
    pipe.order.push(entry)
    pipe.current = { entry, left: parcel.bytes }
    return true
  }

  #sendPart (host: Host, pipe: Pipe): void {
    const { current } = pipe
    if (current === undefined) return
    const bytes = Math.min(this.options.partBytes, current.left)
    current.left -= bytes
    const isLast = current.left === 0
    pipe.partsUnderway++
    host.sending = true
    host.bytesSent += bytes
    this.heap.in(bytes / host.upBytesPerMs, () => {
      host.sending = false
      if (isLast && pipe.current === current) pipe.current = undefined
      this.heap.in(this.options.latencyMs, () => this.#receivePart(pipe, current.entry, bytes, isLast))
      this.pump(host)
    })
  }

  #receivePart (pipe: Pipe, entry: InOrder, bytes: number, isLast: boolean): void {
    if (pipe.isClosed) return
    const { to } = pipe
    to.downFreeAt = Math.max(to.downFreeAt, this.heap.now) + bytes / to.downBytesPerMs
    this.heap.in(to.downFreeAt - this.heap.now, () => {
      pipe.partsUnderway--
      entry.hasBegun = true
      if (isLast) entry.isDone = true
      pipe.flush()
      this.pump(pipe.from)
    })
  }
}

function keyOf (a: Host, b: Host): string { return a.name < b.name ? `${a.name} ${b.name}` : `${b.name} ${a.name}` }
