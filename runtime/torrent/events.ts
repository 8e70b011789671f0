import { type Brand } from '../core/brand.js'
import { type Bitfield } from '../core/bitfield.js'
import { type ErrorCode } from '../core/errors.js'
import { type InfoHash } from '../core/infohash.js'
import { type Lengths, type PieceIndex } from '../core/lengths.js'
import { type PeerInfo } from '../core/peer.js'
import { type PeerId } from '../core/peer-id.js'

/** Numbers a connection for as long as the process lives; given by the driver, never reused. */
export type ConnId = Brand<number, 'ConnId'>

/** Why a connection ended, or why a peer was not let in. */
export type CloseReason =
  | 'both-complete' | 'idle' | 'too-old' | 'torrent-removed' | 'torrent-forgotten' | 'shutdown'
  | 'at-capacity' | 'duplicate' | 'too-many-mutual' | 'torrent-unknown' | 'superseded' | 'self'
  | 'remote-closed' | 'network' | 'handshake-timeout' | 'stalled'
  | 'protocol-violation' | 'wrong-peer' | 'wrong-torrent' | 'corrupt-piece' | 'lying-bitfield'

/**
 * What happened. A torrent is known to the scheduler from `torrentOpened` until the effect `forgetTorrent` or the event
 * `torrentRemoved`; a connection from `incoming` or the effect `dial` until `connClosed`.
 */
export type Event =
  /** Time passed. Sent every 100 ms or so; all deadlines are met here. */
  | { readonly type: 'tick' }
  /** The driver has loaded a torrent: fresh, partly downloaded or complete. `wanted`: somebody here waits for it. */
  | {
    readonly type: 'torrentOpened',
    readonly infoHash: InfoHash,
    readonly lengths: Lengths,
    readonly have: Bitfield,
    readonly wanted: boolean
    /** The blob is in the cache and known to be right. If absent: it is if every piece is there and nobody waits. */
    readonly isVerified?: boolean
  }
  /** A download call for a torrent that is already open: announce at once. */
  | { readonly type: 'torrentWanted', readonly infoHash: InfoHash }
  /** The blob is read while it arrives, from these pieces on; an empty list when nobody does any more. */
  | { readonly type: 'torrentRead', readonly infoHash: InfoHash, readonly from: readonly PieceIndex[] }
  /** The blob was deleted here. Connections are closed; nothing else is said about this torrent. */
  | { readonly type: 'torrentRemoved', readonly infoHash: InfoHash }
  | { readonly type: 'announced', readonly infoHash: InfoHash, readonly peers: readonly PeerInfo[], readonly intervalMs: number }
  | { readonly type: 'announceFailed', readonly infoHash: InfoHash }
  /** A peer dialled us and said who it is. Answered in the same step by `accept` or `refuse`. */
  | { readonly type: 'incoming', readonly conn: ConnId, readonly infoHash: InfoHash, readonly peer: PeerId, readonly neighbours: readonly PeerId[] }
  /** Both handshakes are through, on a connection that we accepted or dialled. */
  | { readonly type: 'handshaken', readonly conn: ConnId, readonly peerHas: Bitfield }
  /** A dial or a handshake that did not get that far. */
  | { readonly type: 'handshakeFailed', readonly conn: ConnId, readonly reason: CloseReason }
  | { readonly type: 'connClosed', readonly conn: ConnId, readonly reason: CloseReason }
  | { readonly type: 'pieceAnnounced', readonly conn: ConnId, readonly piece: PieceIndex }
  | { readonly type: 'peerCompleted', readonly conn: ConnId }
  /** The peer asks for a whole piece. Answered in the same step by `serve` or `sendError`. */
  | { readonly type: 'pieceRequested', readonly conn: ConnId, readonly piece: PieceIndex }
  /** The header of a piece arrived. Answered in the same step by `receive` or `discard`. */
  | { readonly type: 'payloadStarted', readonly conn: ConnId, readonly piece: PieceIndex }
  /** Whether bytes of that piece are due from the peer: not while it waits for a slot here, nor once all of them are in. */
  | { readonly type: 'payloadDue', readonly conn: ConnId, readonly piece: PieceIndex, readonly isDue: boolean }
  /** Verified and on disk. */
  | { readonly type: 'pieceStored', readonly conn: ConnId, readonly piece: PieceIndex }
  /** Its bytes did not match their sum: the sender is cut off and left alone. */
  | { readonly type: 'pieceCorrupt', readonly conn: ConnId, readonly piece: PieceIndex }
  /** It arrived but could not be kept (disk error): ask again later. */
  | { readonly type: 'pieceDropped', readonly conn: ConnId, readonly piece: PieceIndex }
  /** The peer answered a request with an error. */
  | { readonly type: 'requestRefused', readonly conn: ConnId, readonly piece: PieceIndex }
  /** All pieces are stored, yet the blob's digest is wrong: these pieces are bad and must be fetched again elsewhere. */
  | { readonly type: 'piecesInvalidated', readonly infoHash: InfoHash, readonly pieces: readonly PieceIndex[] }
  /** The whole blob is verified, in the cache, and may be announced complete. */
  | { readonly type: 'torrentVerified', readonly infoHash: InfoHash }
  | { readonly type: 'shutdown' }

/** What is to be done, in this order. What an effect leads to comes back as an event. */
export type Effect =
  | { readonly type: 'announce', readonly infoHash: InfoHash, readonly isComplete: boolean }
  | { readonly type: 'dial', readonly conn: ConnId, readonly infoHash: InfoHash, readonly peer: PeerInfo, readonly neighbours: readonly PeerId[] }
  | { readonly type: 'accept', readonly conn: ConnId, readonly neighbours: readonly PeerId[] }
  | { readonly type: 'refuse', readonly conn: ConnId, readonly reason: CloseReason }
  | { readonly type: 'close', readonly conn: ConnId, readonly reason: CloseReason }
  | { readonly type: 'request', readonly conn: ConnId, readonly piece: PieceIndex }
  | { readonly type: 'serve', readonly conn: ConnId, readonly piece: PieceIndex }
  | { readonly type: 'sendError', readonly conn: ConnId, readonly piece: PieceIndex, readonly text: string }
  | { readonly type: 'sendPieceAnnounce', readonly conn: ConnId, readonly piece: PieceIndex }
  | { readonly type: 'sendComplete', readonly conn: ConnId }
  | { readonly type: 'receive', readonly conn: ConnId, readonly piece: PieceIndex }
  | { readonly type: 'discard', readonly conn: ConnId, readonly piece: PieceIndex }
  /** Every piece is stored: check the whole, move it to the cache, then report `torrentVerified` or `piecesInvalidated`. */
  | { readonly type: 'verifyTorrent', readonly infoHash: InfoHash }
  /** Waiting callers get this error; the files of the download are deleted if `deleteFiles`. */
  | { readonly type: 'failTorrent', readonly infoHash: InfoHash, readonly code: ErrorCode, readonly message: string, readonly deleteFiles: boolean }
  /** Idle for too long: drop it from memory; its files stay. */
  | { readonly type: 'forgetTorrent', readonly infoHash: InfoHash }
