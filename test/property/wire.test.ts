import { isDeepStrictEqual } from 'node:util'
import fc from '../support/fc.js'
import t from 'tap'
import { decodeFrame } from '../../net/wire/kraken/decode.js'
import { encodeMessage } from '../../net/wire/kraken/encode.js'
import { FRAME_BYTES_MAX, PREFIX_BYTES } from '../../net/wire/kraken/limits.js'
import { type Message } from '../../net/wire/messages.js'
import { Bitfield } from '../../runtime/core/bitfield.js'
import { type DigestHex } from '../../runtime/core/digest.js'
import { type InfoHash } from '../../runtime/core/infohash.js'
import { type PeerId } from '../../runtime/core/peer-id.js'
import { framed } from '../support/hex.js'

/** Objects as the program makes them, so that they can be compared strictly. */
const PLAIN = { noNullPrototype: true }
const int32 = fc.oneof(fc.nat(3), fc.nat(0x7fffffff), fc.constant(0x7fffffff))

function hex (length: number): fc.Arbitrary<string> {
  return fc.uint8Array({ minLength: length / 2, maxLength: length / 2 }).map(bytes => Buffer.from(bytes).toString('hex'))
}

const peerId = hex(40).map(text => text as PeerId)
const bitfieldBytes = fc.uniqueArray(fc.nat(199)).map(bits => {
  const bitfield = new Bitfield(200)
  for (const bit of bits) bitfield.add(bit)
  return bitfield.serialize()
})
const handshake = fc.record({
  infoHash: hex(40).map(text => text as InfoHash),
  name: hex(64).map(text => text as DigestHex),
  peerId,
  bitfieldBytes,
  namespace: fc.string({ unit: 'grapheme', maxLength: 40 }),
  neighbours: fc.uniqueArray(peerId, { maxLength: 8 })
}, PLAIN)
const range = fc.record({ index: int32, offset: int32, length: int32 }, PLAIN)

/** Any message; payload headers announce few bytes, since the bytes follow in a stream. */
const anyMessage: fc.Arbitrary<Message> = fc.oneof(
  handshake.map(handshake => ({ type: 'handshake' as const, handshake })),
  range.map(range => ({ type: 'pieceRequest' as const, ...range })),
  range.map(range => ({ type: 'piecePayload' as const, ...range, length: range.length % 50 })),
  int32.map(index => ({ type: 'announcePiece' as const, index })),
  int32.map(index => ({ type: 'cancelPiece' as const, index })),
  fc.record({ index: int32, code: fc.integer(), text: fc.string({ unit: 'grapheme' }) }, PLAIN).map(error => ({ type: 'error' as const, ...error })),
  fc.constant({ type: 'complete' as const }),
  fc.integer().filter(n => n < 0 || n > 6).map(typeNumber => ({ type: 'unknown' as const, typeNumber }))
)

function payloadBytesOf (message: Message): number { return message.type === 'piecePayload' ? message.length : 0 }

/** Messages as a stream of frames, each payload header with as many raw bytes behind it as it says. */
function streamOf (messages: readonly Message[]): Uint8Array {
  return Buffer.concat(messages.flatMap(message => [encodeMessage(message), new Uint8Array(payloadBytesOf(message)).fill(0xff)]))
}

/** Reads a stream that arrives in parts of the given sizes, again and again, keeping what is left for the next part. */
function readInParts (stream: Uint8Array, sizes: readonly number[]): Message[] {
  const messages: Message[] = []
  let at = 0
  let arrived = 0
  for (let i = 0; arrived < stream.length; i++) {
    arrived = Math.min(arrived + (sizes[i % sizes.length] ?? 1), stream.length)
    while (at < arrived) {
      const decoded = decodeFrame(stream, at, arrived)
      if (decoded.status === 'more') break
      if (decoded.status === 'fault') throw new Error(decoded.fault)
      messages.push(decoded.message)
      at += decoded.bytesRead + payloadBytesOf(decoded.message)
    }
  }
  return messages
}

t.test('what is encoded decodes to the same message', async () => {
  fc.assert(fc.property(anyMessage, message => {
    const frame = encodeMessage(message)
    const decoded = decodeFrame(frame, 0, frame.length)
    return decoded.status === 'message' && decoded.bytesRead === frame.length && isDeepStrictEqual(decoded.message, message)
  }), { numRuns: 500 })
})

t.test('any cut of a stream decodes to the same messages', async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 20 })
  fc.assert(fc.property(fc.array(anyMessage, { maxLength: 12 }), sizes, (sent, sizes) =>
    isDeepStrictEqual(readInParts(streamOf(sent), sizes), sent)
  ), { numRuns: 300 })
})

/** Decodes bytes of anybody, and checks whatever comes out. */
function holdsFor (bytes: Uint8Array): boolean {
  const decoded = decodeFrame(bytes, 0, bytes.length)
  if (decoded.status === 'more') return bytes.length < PREFIX_BYTES + FRAME_BYTES_MAX
  if (decoded.status === 'fault') return true
  if (decoded.bytesRead > bytes.length || decoded.bytesRead > PREFIX_BYTES + FRAME_BYTES_MAX) return false
  const frame = encodeMessage(decoded.message)
  const again = decodeFrame(frame, 0, frame.length)
  return again.status === 'message' && isDeepStrictEqual(again.message, decoded.message)
}

t.test('any bytes parse, ask for more or are at fault; what parses survives encoding', async () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), holdsFor), { numRuns: 2000 })
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }).map(framed), holdsFor), { numRuns: 5000 })
})

t.test('so do rows of fields that look right', async () => {
  const tag = fc.constantFrom(0x0a, 0x10, 0x12, 0x18, 0x1a, 0x20, 0x22, 0x2a, 0x32, 0x3a, 0x42, 0x4a, 0x0b, 0x0c, 0x0d, 0x09)
  const leaf = fc.tuple(tag, fc.uint8Array({ maxLength: 12 })).map(([tag, rest]) => [tag, ...rest])
  const submessage = fc.tuple(tag, fc.array(leaf, { maxLength: 4 })).map(([tag, fields]) => {
    const content = fields.flat().slice(0, 127)
    return [tag, content.length, ...content]
  })
  const envelope = fc.tuple(fc.nat(8), fc.array(fc.oneof(leaf, submessage), { maxLength: 5 }))
    .map(([type, fields]) => Uint8Array.from([0x10, type, ...fields.flat()]))
  fc.assert(fc.property(envelope.map(framed), holdsFor), { numRuns: 5000 })
})

t.test('so do good frames with some bytes changed', async () => {
  const changes = fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { minLength: 1, maxLength: 4 })
  fc.assert(fc.property(anyMessage, changes, (message, changes) => {
    const frame = encodeMessage(message)
    for (const [at, byte] of changes) frame[at % frame.length] = byte
    return holdsFor(frame)
  }), { numRuns: 3000 })
})

/** The serialised form by 64-bit words, the plain way. */
function oracleOf (length: number, bits: ReadonlySet<number>): Uint8Array {
  const words = Math.ceil(length / 64)
  const view = new DataView(new ArrayBuffer(8 + 8 * words))
  view.setBigUint64(0, BigInt(length))
  for (let w = 0; w < words; w++) {
    let word = 0n
    for (let i = 0; i < 64; i++) if (bits.has(64 * w + i)) word |= 1n << BigInt(i)
    view.setBigUint64(8 + 8 * w, word)
  }
  return new Uint8Array(view.buffer)
}

const lengthAndBits = fc.integer({ min: 1, max: 300 }).chain(length =>
  fc.tuple(fc.constant(length), fc.uniqueArray(fc.nat(length - 1)).map(bits => new Set(bits))))

t.test('bitfields are written and read as 64-bit words', async () => {
  fc.assert(fc.property(lengthAndBits, ([length, bits]) => {
    const bitfield = new Bitfield(length)
    for (const bit of bits) bitfield.add(bit)
    const bytes = oracleOf(length, bits)
    const sorted = [...bits].sort((a, b) => a - b)
    const parsed = Bitfield.parse(bytes, length)
    return Buffer.compare(bitfield.serialize(), bytes) === 0 && parsed !== undefined &&
      parsed.count === bits.size && isDeepStrictEqual([...parsed], sorted)
  }))
})

t.test('bytes are a bitfield exactly if the oracle would have written them', async () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 130 }), fc.array(fc.nat(255), { minLength: 24, maxLength: 24 }), (length, body) => {
    const bytes = Uint8Array.from([0, 0, 0, 0, 0, 0, 0, length, ...body]).subarray(0, 8 + 8 * Math.ceil(length / 64))
    const bits = new Set(Array.from({ length }, (_, i) => i).filter(i => {
      const word = new DataView(bytes.buffer).getBigUint64(8 + 8 * Math.floor(i / 64))
      return (word >> BigInt(i % 64) & 1n) === 1n
    }))
    const isClean = Buffer.compare(oracleOf(length, bits), bytes) === 0
    return (Bitfield.parse(bytes, length) !== undefined) === isClean
  }), { numRuns: 500 })
})
