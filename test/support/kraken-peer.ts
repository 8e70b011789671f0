import net from 'node:net'
import { type MetaInfo } from '../../runtime/core/metainfo.js'

/*
 * A peer of the base protocol for tests, written from its description alone (p2p specification 5): it shares no code with
 * ours below the metainfo, so that one mistake cannot hide behind the same mistake. It says whatever a test makes it say.
 */

/** A blob as scripted peers see it. */
export interface SharedBlob { readonly metaInfo: MetaInfo, readonly bytes: Buffer }

export interface HandshakeFields {
  readonly infoHash: string
  readonly name: string
  readonly peerId: string
  readonly bitfield: Uint8Array
  readonly namespace?: string
  readonly neighbours?: ReadonlyArray<readonly [id: string, bitset: Uint8Array]>
}

/** One message that was heard; numbers that a message does not have are 0. */
export interface Heard {
  readonly type: number
  readonly index: number
  readonly offset: number
  readonly length: number
  readonly text: string
  readonly handshake: (HandshakeFields & { readonly neighbourIds: readonly string[] }) | undefined
  /** The bytes behind the header of a piece. */
  readonly payload: Buffer | undefined
}

export const TYPE = { handshake: 0, request: 1, payload: 2, announce: 3, cancel: 4, error: 5, complete: 6 } as const

// ---- what can be said ----

/** The four bytes of its length, and the message; `claimedBytes` to lie about the length. */
export function frame (envelope: Uint8Array, claimedBytes = envelope.length): Buffer {
  const prefix = Buffer.alloc(4)
  prefix.writeUInt32BE(claimedBytes)
  return Buffer.concat([prefix, envelope])
}

/** Negative numbers take ten bytes, as everywhere in protobuf. */
export function varint (n: number | bigint): Buffer {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, BigInt(n))
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  return Buffer.from([...bytes, Number(rest)])
}

/** A number, or bytes with their length in front. */
export function field (number: number, value: number | bigint | Uint8Array | string): Buffer {
  if (typeof value === 'number' || typeof value === 'bigint') return Buffer.concat([varint(number << 3), varint(value)])
  const bytes = Buffer.from(value)
  return Buffer.concat([varint(number << 3 | 2), varint(bytes.length), bytes])
}

function sub (number: number, ...fields: Buffer[]): Buffer { return field(number, Buffer.concat(fields)) }
function some (number: number, value: number): Buffer { return value === 0 ? Buffer.alloc(0) : field(number, value) }
function typed (type: number, submessage: Buffer): Buffer { return frame(Buffer.concat([field(1 + 1, type), submessage])) }

/** The serialised form of a set of bits; `count` may be anything that 64 bits hold. */
export function bitset (count: number | bigint, bits: Iterable<number> = [], words = Math.ceil(Number(count) / 64)): Buffer {
  const bytes = Buffer.alloc(8 + 8 * words)
  bytes.writeBigUInt64BE(BigInt(count))
  for (const bit of bits) {
    const at = 8 + 8 * Math.floor(bit / 64)
    bytes.writeBigUInt64BE(bytes.readBigUInt64BE(at) | 1n << BigInt(bit % 64), at)
  }
  return bytes
}

export function fullBitset (count: number): Buffer { return bitset(count, Array.from({ length: count }, (_, i) => i)) }

export const say = {
  handshake: ({ infoHash, name, peerId, bitfield, namespace = '', neighbours = [] }: HandshakeFields): Buffer => frame(sub(3,
    field(2, infoHash), field(3, name), field(4, peerId), field(5, bitfield), ...namespace === '' ? [] : [field(6, namespace)],
    ...neighbours.map(([id, bits]) => sub(7, field(1, id), field(2, bits)))
  )),
  request: (index: number, length: number, offset = 0): Buffer => typed(TYPE.request, sub(4, some(2, index), some(3, offset), some(4, length))),
  /** The header alone; `length` bytes are to follow. */
  payload: (index: number, length: number, offset = 0): Buffer => typed(TYPE.payload, sub(5, some(2, index), some(3, offset), some(4, length))),
  announce: (index: number): Buffer => typed(TYPE.announce, sub(6, some(2, index))),
  cancel: (index: number): Buffer => typed(TYPE.cancel, sub(7, some(2, index))),
  error: (index: number, text = 'piece not complete'): Buffer => typed(TYPE.error, sub(8, field(2, text), some(3, index))),
  complete: (): Buffer => frame(field(2, TYPE.complete)),
  /** A type without the submessage that belongs to it. */
  bare: (type: number): Buffer => frame(field(2, type))
} as const

export function pieceOf ({ metaInfo: { lengths: { pieceBytes } }, bytes }: SharedBlob, index: number): Buffer {
  return bytes.subarray(index * pieceBytes, (index + 1) * pieceBytes)
}

/** A piece with its header. */
export function payloadOf (blob: SharedBlob, index: number, bytes = pieceOf(blob, index)): Buffer {
  return Buffer.concat([say.payload(index, pieceOf(blob, index).length), bytes])
}

/** What an honest peer of this blob says first. */
export function greeting (blob: SharedBlob, peerId: string, has: 'all' | 'nothing', more: Partial<HandshakeFields> = {}): Buffer {
  const { metaInfo: { infoHash, name, lengths: { pieceCount } } } = blob
  return say.handshake({ infoHash, name, peerId, bitfield: has === 'all' ? fullBitset(pieceCount) : bitset(pieceCount), ...more })
}

// ---- one connection ----

/** One end of a connection. What the other end says is kept until it is asked for. */
export class KrakenPeer {
  /** Resolved when the connection is gone, whoever ended it. */
  readonly closed: Promise<void>
  readonly #heard: Heard[] = []
  #bytes = Buffer.alloc(0)
  #wake: () => void = () => {}
  #isClosed = false

  constructor (readonly socket: net.Socket) {
    socket.on('error', () => {})
    socket.on('data', (part: Buffer) => this.#listen(part))
    this.closed = new Promise(resolve => socket.once('close', () => {
      this.#isClosed = true
      this.#wake()
      resolve()
    }))
  }

  static async dial (port: number): Promise<KrakenPeer> {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
    const peer = new KrakenPeer(socket)
    await Promise.race([new Promise(resolve => socket.once('connect', resolve)), peer.closed])
    return peer
  }

  get isClosed (): boolean { return this.#isClosed }

  /** Resolves when the bytes are on their way or never will be. */
  async send (...parts: readonly Uint8Array[]): Promise<void> {
    await new Promise<void>(resolve => {
      void this.closed.then(resolve)
      // Not at once: who sends in a loop is to hear what the other end says to it.
      this.socket.write(Buffer.concat(parts), () => { setImmediate(resolve) })
    })
  }

  /** The next message, or undefined if the connection is gone and everything was heard. */
  async next (): Promise<Heard | undefined> {
    while (this.#heard.length === 0 && !this.#isClosed) await new Promise<void>(resolve => { this.#wake = resolve })
    return this.#heard.shift()
  }

  /** The next message of this type; others are skipped. */
  async nextOf (type: number): Promise<Heard | undefined> {
    for (let heard = await this.next(); heard !== undefined; heard = await this.next()) if (heard.type === type) return heard
    return undefined
  }

  /** From now on nothing is read: the other end's bytes pile up in its memory. */
  stopReading (): void { this.socket.pause() }

  destroy (): void { this.socket.destroy() }
  /** Ends the connection as a crash of the machine would. */
  reset (): void { this.socket.resetAndDestroy() }

  #listen (part: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, part])
    for (let used = this.#take(); used > 0; used = this.#take()) this.#bytes = this.#bytes.subarray(used)
    this.#wake()
  }

  /** How many bytes the message at the beginning takes, or 0 if it is not complete. */
  #take (): number {
    if (this.#bytes.length < 4) return 0
    const end = 4 + this.#bytes.readUInt32BE()
    if (this.#bytes.length < end) return 0
    const heard = understand(this.#bytes.subarray(4, end))
    if (heard.type !== TYPE.payload) {
      this.#heard.push(heard)
      return end
    }
    if (this.#bytes.length < end + heard.length) return 0
    this.#heard.push({ ...heard, payload: this.#bytes.subarray(end, end + heard.length) })
    return end + heard.length
  }
}

/** Everybody who dials its port gets a `KrakenPeer` of its own to talk to. */
export class KrakenListener {
  readonly peers: KrakenPeer[] = []
  private constructor (readonly server: net.Server) {}

  static async start (talk: (peer: KrakenPeer) => Promise<void>): Promise<KrakenListener> {
    const listener: KrakenListener = new KrakenListener(net.createServer({ noDelay: true }, socket => {
      const peer = new KrakenPeer(socket)
      listener.peers.push(peer)
      talk(peer).catch((error: unknown) => { socket.destroy(error instanceof Error ? error : undefined) })
    }))
    await new Promise<void>(resolve => listener.server.listen(0, '127.0.0.1', resolve))
    return listener
  }

  get port (): number {
    const address = this.server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  async close (): Promise<void> {
    for (const peer of this.peers) peer.destroy()
    await new Promise(resolve => this.server.close(resolve))
  }
}

// ---- whole conversations ----

/** What a seeder does otherwise than an honest one; `true` says that nothing else is to be done. */
export interface Misbehaviour {
  readonly onHandshake?: (peer: KrakenPeer) => boolean | Promise<boolean>
  readonly onRequest?: (peer: KrakenPeer, index: number) => boolean | Promise<boolean>
}

/** Serves all pieces to whoever has dialled, until the connection ends. */
export async function seedTo (peer: KrakenPeer, blob: SharedBlob, peerId: string, { onHandshake, onRequest }: Misbehaviour = {}): Promise<void> {
  if (await peer.nextOf(TYPE.handshake) === undefined || await onHandshake?.(peer) === true) return
  await peer.send(greeting(blob, peerId, 'all'))
  for (let request = await peer.nextOf(TYPE.request); request !== undefined; request = await peer.nextOf(TYPE.request)) {
    if (await onRequest?.(peer, request.index) !== true) await peer.send(payloadOf(blob, request.index))
  }
}

/** Downloads the blob from one peer as a leecher of the reference would. Undefined if the peer cuts it off or lacks pieces. */
export async function leechFrom (port: number, blob: SharedBlob, peerId: string): Promise<Buffer | undefined> {
  const { metaInfo: { lengths: { pieceCount } } } = blob
  const peer = await KrakenPeer.dial(port)
  try {
    const requests = Array.from({ length: pieceCount }, (_, i) => say.request(i, pieceOf(blob, i).length))
    await peer.send(greeting(blob, peerId, 'nothing', { namespace: 'ns' }), ...requests)
    if (await peer.nextOf(TYPE.handshake) === undefined) return undefined
    const pieces: Buffer[] = []
    while (pieces.filter(Boolean).length < pieceCount) {
      const heard = await peer.next()
      if (heard === undefined || heard.type === TYPE.error) return undefined
      if (heard.payload !== undefined) pieces[heard.index] = heard.payload
    }
    return Buffer.concat(pieces)
  } finally {
    peer.destroy()
  }
}

// ---- what was heard ----

interface Field { readonly number: number, readonly value: bigint, readonly bytes: Buffer }

function fieldsOf (bytes: Buffer): Field[] {
  const fields: Field[] = []
  let at = 0
  const number = (): bigint => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes.readUInt8(at++)
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  while (at < bytes.length) {
    const tag = Number(number())
    const value = number()
    const isBytes = (tag & 7) === 2
    fields.push({ number: tag >> 3, value, bytes: isBytes ? bytes.subarray(at, at + Number(value)) : Buffer.alloc(0) })
    if (isBytes) at += Number(value)
  }
  return fields
}

function understand (envelope: Buffer): Heard {
  const fields = fieldsOf(envelope)
  const type = numberIn(fields, 2)
  const inner = fieldsOf(fields.find(({ number }) => number === type + 3)?.bytes ?? Buffer.alloc(0))
  const nothing = { index: 0, offset: 0, length: 0, text: '', handshake: undefined, payload: undefined }
  switch (type) {
    case TYPE.handshake: return { ...nothing, type, handshake: handshakeIn(inner) }
    case TYPE.error: return { ...nothing, type, text: bytesIn(inner, 2).toString(), index: numberIn(inner, 3) }
    default: return { ...nothing, type, index: numberIn(inner, 2), offset: numberIn(inner, 3), length: numberIn(inner, 4) }
  }
}

function handshakeIn (fields: readonly Field[]): NonNullable<Heard['handshake']> {
  const text = (number: number): string => bytesIn(fields, number).toString()
  return {
    infoHash: text(2),
    name: text(3),
    peerId: text(4),
    bitfield: bytesIn(fields, 5),
    namespace: text(6),
    neighbourIds: fields.filter(({ number }) => number === 7).map(({ bytes }) => bytesIn(fieldsOf(bytes), 1).toString())
  }
}

function numberIn (fields: readonly Field[], number: number): number { return Number(fields.find(field => field.number === number)?.value ?? 0n) }
function bytesIn (fields: readonly Field[], number: number): Buffer { return fields.find(field => field.number === number)?.bytes ?? Buffer.alloc(0) }
