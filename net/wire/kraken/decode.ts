import { type Decoded, type Message, type WireFault } from '../messages.js'
import { type HandshakeDraft, handshakeOf, newHandshakeDraft, readHandshake } from './decode-handshake.js'
import { ENVELOPE, ERROR, PIECE, RANGE, TYPE } from './fields.js'
import { FRAME_BYTES_MAX, PREFIX_BYTES } from './limits.js'
import { FieldReader } from './protobuf.js'

/*
 *   0          4                      4 + L            only behind a piecePayload:
 *   +----------+----------------------+----------------------------------+
 *   | L u32 BE | envelope             | `length` raw bytes of the piece  |     L <= FRAME_BYTES_MAX
 *   +----------+----------------------+----------------------------------+
 */
const MORE: Decoded = { status: 'more' }

/**
 * Reads the message that begins at `at`; `end` is where the bytes end that have arrived. `bytesRead` counts the prefix and
 * the envelope: the raw bytes that follow a piece header are the caller's business. Nothing is thrown, and the result
 * shares no memory with `bytes`.
 *
 * Accepted as the reference does (p2p specification 5.2, 5.10): fields in any order, unknown fields of any kind, submessages
 * in several parts. Refused: everything that brings the reference down (5.9), and what it refuses itself.
 */
export function decodeFrame (bytes: Uint8Array, at: number, end: number): Decoded {
  if (end - at < PREFIX_BYTES) return MORE
  const envelopeBytes = readU32(bytes, at)
  if (envelopeBytes > FRAME_BYTES_MAX) return { status: 'fault', fault: 'FRAME_TOO_LARGE' }
  const bytesRead = PREFIX_BYTES + envelopeBytes
  if (end - at < bytesRead) return MORE
  const draft = new EnvelopeDraft()
  const message = readEnvelope(new FieldReader(bytes, at + PREFIX_BYTES, at + bytesRead), draft) ?? messageOf(draft)
  return typeof message === 'string' ? { status: 'fault', fault: message } : { status: 'message', message, bytesRead }
}

interface RangeDraft { index: number, offset: number, length: number }
interface IndexDraft { index: number }
interface ErrorDraft { index: number, code: number, text: string }

/** What has been read of an envelope. Its type may come last, and its submessages in parts. */
class EnvelopeDraft {
  type = 0
  handshake: HandshakeDraft | undefined = undefined
  pieceRequest: RangeDraft | undefined = undefined
  piecePayload: RangeDraft | undefined = undefined
  announcePiece: IndexDraft | undefined = undefined
  cancelPiece: IndexDraft | undefined = undefined
  error: ErrorDraft | undefined = undefined
}

function readEnvelope (reader: FieldReader, draft: EnvelopeDraft): WireFault | undefined {
  while (reader.next()) {
    const fault = readEnvelopeField(reader, draft)
    if (fault !== undefined) return fault
  }
  return faultOf(reader)
}

function readEnvelopeField (reader: FieldReader, draft: EnvelopeDraft): WireFault | undefined {
  switch (reader.tag) {
    case ENVELOPE.version: return reader.text() === undefined ? 'TEXT_NOT_UTF8' : undefined
    case ENVELOPE.type: draft.type = reader.enumValue; return undefined
    case ENVELOPE.bitfield: return readHandshake(reader.enter(), (draft.handshake ??= newHandshakeDraft()))
    case ENVELOPE.pieceRequest: return readRange(reader.enter(), (draft.pieceRequest ??= newRange()))
    case ENVELOPE.piecePayload: return readPayloadHeader(reader.enter(), (draft.piecePayload ??= newRange()))
    case ENVELOPE.announcePiece: return readIndex(reader.enter(), (draft.announcePiece ??= { index: 0 }))
    case ENVELOPE.cancelPiece: return readIndex(reader.enter(), (draft.cancelPiece ??= { index: 0 }))
    case ENVELOPE.error: return readError(reader.enter(), (draft.error ??= { index: 0, code: 0, text: '' }))
    case ENVELOPE.complete: return readEmpty(reader.enter())
    default: return undefined
  }
}

function readRange (reader: FieldReader, draft: RangeDraft): WireFault | undefined {
  while (reader.next()) readRangeField(reader, draft)
  return faultOf(reader)
}

function readPayloadHeader (reader: FieldReader, draft: RangeDraft): WireFault | undefined {
  while (reader.next()) {
    if (reader.tag === RANGE.digest && reader.text() === undefined) return 'TEXT_NOT_UTF8'
    readRangeField(reader, draft)
  }
  return faultOf(reader)
}

function readRangeField (reader: FieldReader, draft: RangeDraft): void {
  switch (reader.tag) {
    case RANGE.index: draft.index = reader.int32; break
    case RANGE.offset: draft.offset = reader.int32; break
    case RANGE.length: draft.length = reader.int32; break
  }
}

function readIndex (reader: FieldReader, draft: IndexDraft): WireFault | undefined {
  while (reader.next()) if (reader.tag === PIECE.index) draft.index = reader.int32
  return faultOf(reader)
}

function readError (reader: FieldReader, draft: ErrorDraft): WireFault | undefined {
  while (reader.next()) {
    switch (reader.tag) {
      case ERROR.index: draft.index = reader.int32; break
      case ERROR.code: draft.code = reader.enumValue; break
      case ERROR.text: {
        const text = reader.text()
        if (text === undefined) return 'TEXT_NOT_UTF8'
        draft.text = text
      }
    }
  }
  return faultOf(reader)
}

function readEmpty (reader: FieldReader): WireFault | undefined {
  while (reader.next());
  return faultOf(reader)
}

/** The message that the type selects. The other submessages had to be well-formed and do not matter otherwise. */
function messageOf (draft: EnvelopeDraft): Message | WireFault {
  switch (draft.type) {
    case TYPE.handshake: return draft.handshake === undefined ? 'SUBMESSAGE_MISSING' : handshakeOf(draft.handshake)
    case TYPE.pieceRequest: return rangeOf('pieceRequest', draft.pieceRequest)
    case TYPE.piecePayload: return rangeOf('piecePayload', draft.piecePayload)
    case TYPE.announcePiece: return indexOf('announcePiece', draft.announcePiece)
    // A cancellation that names no piece cancels nothing.
    case TYPE.cancelPiece: return draft.cancelPiece === undefined ? unknownOf(draft.type) : indexOf('cancelPiece', draft.cancelPiece)
    case TYPE.error: return errorOf(draft.error)
    case TYPE.complete: return { type: 'complete' }
    default: return unknownOf(draft.type)
  }
}

function rangeOf (type: 'pieceRequest' | 'piecePayload', draft: RangeDraft | undefined): Message | WireFault {
  if (draft === undefined) return 'SUBMESSAGE_MISSING'
  const { index, offset, length } = draft
  return index < 0 || offset < 0 || length < 0 ? 'NUMBER_NEGATIVE' : { type, index, offset, length }
}

function indexOf (type: 'announcePiece' | 'cancelPiece', draft: IndexDraft | undefined): Message | WireFault {
  if (draft === undefined) return 'SUBMESSAGE_MISSING'
  return draft.index < 0 ? 'NUMBER_NEGATIVE' : { type, index: draft.index }
}

function errorOf (draft: ErrorDraft | undefined): Message | WireFault {
  if (draft === undefined) return 'SUBMESSAGE_MISSING'
  return draft.index < 0 ? 'NUMBER_NEGATIVE' : { type: 'error', index: draft.index, code: draft.code, text: draft.text }
}

function unknownOf (typeNumber: number): Message { return { type: 'unknown', typeNumber } }

function faultOf (reader: FieldReader): WireFault | undefined { return reader.isMalformed ? 'MALFORMED' : undefined }

function newRange (): RangeDraft { return { index: 0, offset: 0, length: 0 } }

function readU32 (bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 24 | (bytes[at + 1] ?? 0) << 16 | (bytes[at + 2] ?? 0) << 8 | (bytes[at + 3] ?? 0)) >>> 0
}
