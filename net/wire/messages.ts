import { type DigestHex } from '../../runtime/core/digest.js'
import { type InfoHash } from '../../runtime/core/infohash.js'
import { type PeerId } from '../../runtime/core/peer-id.js'

/**
 * The first message in each direction (p2p specification 5.3, 5.5). The bitfield is still in its serialised form: how
 * many bits it must have is known only once the torrent is.
 */
export interface Handshake {
  readonly infoHash: InfoHash
  /** The blob's digest. */
  readonly name: DigestHex
  readonly peerId: PeerId
  readonly bitfieldBytes: Uint8Array
  /** Set by the dialler only; '' in the acceptor's reply. */
  readonly namespace: string
  /** Peers that the sender is connected to for this torrent. */
  readonly neighbours: readonly PeerId[]
}

/** Everything two peers can say, whatever dialect carries it. Numbers are checked to be non-negative int32. */
export type Message =
  | { readonly type: 'handshake', readonly handshake: Handshake }
  | { readonly type: 'pieceRequest', readonly index: number, readonly offset: number, readonly length: number }
  /** The header of a piece; `length` raw bytes follow it on the wire. */
  | { readonly type: 'piecePayload', readonly index: number, readonly offset: number, readonly length: number }
  | { readonly type: 'announcePiece', readonly index: number }
  | { readonly type: 'cancelPiece', readonly index: number }
  | { readonly type: 'error', readonly index: number, readonly code: number, readonly text: string }
  | { readonly type: 'complete' }
  /** A well-formed message of a type that this version does not know; it is skipped. */
  | { readonly type: 'unknown', readonly typeNumber: number }

/** Why a peer's bytes cannot be understood. Such a peer is cut off. */
export type WireFault =
  | 'FRAME_TOO_LARGE' | 'MALFORMED' | 'SUBMESSAGE_MISSING' | 'NUMBER_NEGATIVE' | 'TEXT_NOT_UTF8'
  | 'HANDSHAKE_EXPECTED' | 'ID_INVALID' | 'BITSET_INVALID'

/** The three answers of a decoder, which are never confused. */
export type Decoded =
  | { readonly status: 'message', readonly message: Message, readonly bytesRead: number }
  | { readonly status: 'more' }
  | { readonly status: 'fault', readonly fault: WireFault }
