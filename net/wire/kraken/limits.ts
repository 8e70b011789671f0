/** Bytes of the length in front of every message. */
export const PREFIX_BYTES = 4
/** The longest message that the reference reads, in bytes, prefix and raw payload not counted (p2p specification 5.1). */
export const FRAME_BYTES_MAX = 32768
/**
 * The most pieces whose bitfield fits into a handshake together with the ids and a namespace of up to 800 bytes. A blob
 * with more pieces cannot be exchanged in this dialect: it needs longer pieces.
 */
export const PIECES_MAX = 64 * ((FRAME_BYTES_MAX - 1024) / 8 - 1)
