import { isBitset } from '../../../runtime/core/bitfield.js'
import { assertNever } from '../../../runtime/core/brand.js'
import { AppError } from '../../../runtime/core/errors.js'
import { type Handshake, type Message } from '../messages.js'
import { BITFIELD, ENVELOPE, ERROR, MAP_ENTRY, PIECE, RANGE, TYPE } from './fields.js'
import { FRAME_BYTES_MAX, PREFIX_BYTES } from './limits.js'
import { FieldWriter } from './protobuf.js'

/** The bitset that goes with each neighbour: that of no pieces, as the reference sends it (p2p specification 5.5). */
const NO_PIECES = new Uint8Array(8)
/** One neighbour's map entry: its tag and length, the id with tag and length, the bitset with tag and length. */
const NEIGHBOUR_BYTES = 2 + (2 + 40) + (2 + NO_PIECES.length)

const scratch = new Uint8Array(PREFIX_BYTES + FRAME_BYTES_MAX)

/** The message as a frame of its own; see `encodeMessageInto`. */
export function encodeMessage (message: Message): Uint8Array {
  return scratch.slice(0, encodeMessageInto(message, scratch, 0))
}

/**
 * Writes prefix and envelope into `target` at `at` and returns the offset behind them; the raw bytes of a piece are the
 * caller's business. The fields are in ascending order, byte for byte as the reference writes them.
 *
 * Nothing that brings a peer down gets through here (p2p specification 5.9): submessages are present even when they are
 * empty, numbers are never negative, bitsets are whole. Of a handshake's neighbours as many are sent as fit into a frame,
 * since they are a hint.
 *
 * @throws AppError INTERNAL if `target` is too short, a number is no non-negative int32, or the frame exceeds its limit
 */
export function encodeMessageInto (message: Message, target: Uint8Array, at: number): number {
  const writer = new FieldWriter(target, at + PREFIX_BYTES)
  writeEnvelope(message, writer, at + PREFIX_BYTES + FRAME_BYTES_MAX)
  const envelopeBytes = writer.at - at - PREFIX_BYTES
  if (envelopeBytes > FRAME_BYTES_MAX) {
    throw new AppError('INTERNAL', `a ${message.type} of ${envelopeBytes} bytes exceeds the ${FRAME_BYTES_MAX} bytes of a frame`)
  }
  if (writer.isOverflown) throw new AppError('INTERNAL', `no room for a ${message.type} of ${envelopeBytes} bytes`)
  writeU32(target, at, envelopeBytes)
  return writer.at
}

function writeEnvelope (message: Message, writer: FieldWriter, end: number): void {
  switch (message.type) {
    case 'handshake': return writeHandshake(message.handshake, writer, end)
    case 'pieceRequest': return writeRange(message, TYPE.pieceRequest, ENVELOPE.pieceRequest, writer)
    case 'piecePayload': return writeRange(message, TYPE.piecePayload, ENVELOPE.piecePayload, writer)
    case 'announcePiece': return writeIndex(message, TYPE.announcePiece, ENVELOPE.announcePiece, writer)
    case 'cancelPiece': return writeIndex(message, TYPE.cancelPiece, ENVELOPE.cancelPiece, writer)
    case 'error': return writeError(message, writer)
    // The type says it all; the reference does not write the empty submessage either.
    case 'complete': return writer.number(ENVELOPE.type, TYPE.complete)
    case 'unknown': return writer.number(ENVELOPE.type, message.typeNumber)
    default: assertNever(message)
  }
}

function writeHandshake (handshake: Handshake, writer: FieldWriter, end: number): void {
  if (!isBitset(handshake.bitfieldBytes)) throw new AppError('INTERNAL', `the bitfield for ${handshake.name} is no bitset`)
  const mark = writer.open(ENVELOPE.bitfield)
  writer.text(BITFIELD.infoHash, handshake.infoHash)
  writer.text(BITFIELD.name, handshake.name)
  writer.text(BITFIELD.peerId, handshake.peerId)
  writer.raw(BITFIELD.bitfieldBytes, handshake.bitfieldBytes)
  writer.text(BITFIELD.namespace, handshake.namespace)
  for (const peer of handshake.neighbours) {
    // The length of the submessage may still take two bytes more than have been left for it.
    if (writer.at + NEIGHBOUR_BYTES + 2 > end) break
    const entry = writer.open(BITFIELD.remoteBitfield)
    writer.text(MAP_ENTRY.key, peer)
    writer.raw(MAP_ENTRY.value, NO_PIECES)
    writer.close(entry)
  }
  writer.close(mark)
}

interface Range { readonly index: number, readonly offset: number, readonly length: number }

function writeRange (range: Range, type: number, tag: number, writer: FieldWriter): void {
  writer.number(ENVELOPE.type, type)
  const mark = writer.open(tag)
  writer.number(RANGE.index, int32(range.index))
  writer.number(RANGE.offset, int32(range.offset))
  writer.number(RANGE.length, int32(range.length))
  writer.close(mark)
}

function writeIndex (piece: { readonly index: number }, type: number, tag: number, writer: FieldWriter): void {
  writer.number(ENVELOPE.type, type)
  const mark = writer.open(tag)
  writer.number(PIECE.index, int32(piece.index))
  writer.close(mark)
}

function writeError (error: { readonly index: number, readonly code: number, readonly text: string }, writer: FieldWriter): void {
  writer.number(ENVELOPE.type, TYPE.error)
  const mark = writer.open(ENVELOPE.error)
  writer.text(ERROR.text, error.text)
  writer.number(ERROR.index, int32(error.index))
  writer.number(ERROR.code, error.code)
  writer.close(mark)
}

function int32 (n: number): number {
  if ((n | 0) !== n || n < 0) throw new AppError('INTERNAL', `${n} cannot be sent: it is no non-negative 32-bit number`)
  return n
}

function writeU32 (bytes: Uint8Array, at: number, n: number): void {
  bytes[at] = n >>> 24
  bytes[at + 1] = n >>> 16
  bytes[at + 2] = n >>> 8
  bytes[at + 3] = n
}
