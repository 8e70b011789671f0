/*
 * The schema, in one place for both directions (p2p specification 5.2, 5.3). A tag is the field's number times 8 plus its
 * wire type, so a known number that arrives with another wire type matches nothing here and is skipped as unknown.
 */

/** What the envelope's `type` can be. Type 0 is not written, since zero is the default. */
export const TYPE = {
  handshake: 0, pieceRequest: 1, piecePayload: 2, announcePiece: 3, cancelPiece: 4, error: 5, complete: 6
} as const

export const ENVELOPE = {
  version: 0x0a,
  type: 0x10,
  bitfield: 0x1a,
  pieceRequest: 0x22,
  piecePayload: 0x2a,
  announcePiece: 0x32,
  cancelPiece: 0x3a,
  error: 0x42,
  complete: 0x4a
} as const

export const BITFIELD = {
  infoHash: 0x12,
  name: 0x1a,
  peerId: 0x22,
  bitfieldBytes: 0x2a,
  namespace: 0x32,
  /** Repeated: one entry for each peer that the sender is connected to. */
  remoteBitfield: 0x3a
} as const

export const MAP_ENTRY = { key: 0x0a, value: 0x12 } as const

/** Piece requests and payload headers. `digest` belongs to the latter only and is neither set nor read. */
export const RANGE = { index: 0x10, offset: 0x18, length: 0x20, digest: 0x2a } as const

/** Announced and cancelled pieces. */
export const PIECE = { index: 0x10 } as const

export const ERROR = { text: 0x12, index: 0x18, code: 0x20 } as const
