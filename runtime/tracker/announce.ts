import { digestFromHex, parseDigest, parseDigestHex, type Digest } from '../core/digest.js'
import { AppError, messageOf } from '../core/errors.js'
import { idFromJson } from '../core/id-bytes.js'
import { type InfoHash } from '../core/infohash.js'
import { field, isRecord, parseFirstJson } from '../core/json.js'
import { peerInfoFromJson, type PeerInfo } from '../core/peer.js'
import { peerText } from './peer-text.js'

/** A body has some 600 bytes; peers that name themselves at length get this much. */
export const ANNOUNCE_BYTES_MAX = 16 * 1024

const NANOS_PER_MILLI = 1_000_000

/** The body of an announce as far as it could be understood without looking at the peer. */
export interface AnnounceBody {
  readonly digest: Digest
  /** What the body says; version 2 of the call takes it from the path instead. */
  readonly infoHash: InfoHash
  readonly peer: unknown
}

/**
 * Reads the body of an announce as leniently as the reference does (http-api specification 1.4, 1.5).
 * @throws AppError BODY_INVALID with the reference's texts
 */
export function decodeAnnounce (text: string): AnnounceBody {
  const root = parseFirstJson(text, 'json decode request')
  if (root !== null && !isRecord(root)) throw new AppError('BODY_INVALID', 'json decode request: not an object')
  return {
    infoHash: explained('json decode request', () => idFromJson(field(root, 'info_hash'), 'info_hash') as InfoHash),
    digest: digestOf(field(root, 'digest'), field(root, 'name')),
    peer: field(root, 'peer')
  }
}

/**
 * The peer that announces itself. It is handed to others as it is, so that only an address which can be dialled passes.
 * @throws AppError BODY_INVALID
 */
export function announcedPeer (value: unknown): PeerInfo {
  if (value === undefined || value === null) throw new AppError('BODY_INVALID', 'announce has no peer; send {"peer":{"peer_id":[...],"ip":...,"port":...}}')
  const peer = explained('announce: peer', () => peerInfoFromJson(value))
  if (!isHost(peer.ip)) throw new AppError('BODY_INVALID', `announce: peer ip ${JSON.stringify(peer.ip)} is neither an IP address nor a host name`)
  if (peer.port === 0) throw new AppError('BODY_INVALID', 'announce: peer port must be from 1 to 65535')
  return peer
}

/** The answer: `null` peers for one that has everything, a list otherwise; the interval in whole nanoseconds. */
export function announceReply (peers: readonly PeerInfo[] | undefined, intervalMs: number): string {
  const list = peers === undefined ? 'null' : `[${peers.map(peerText).join(',')}]`
  return `{"peers":${list},"interval":${Math.round(intervalMs * NANOS_PER_MILLI)}}\n`
}

function digestOf (digest: unknown, name: unknown): Digest {
  if (digest !== undefined && digest !== null) {
    if (typeof digest !== 'string') throw new AppError('BODY_INVALID', 'json decode request: digest must be a text')
    return explained('json decode request', () => parseDigest(digest))
  }
  if (name !== undefined && name !== null && typeof name !== 'string') throw new AppError('BODY_INVALID', 'json decode request: name must be a text')
  return explained('get request digest', () => digestFromHex(parseDigestHex(name ?? '')))
}

/** Letters of addresses and names only: what is stored here ends up in other programs' logs and dial calls. */
export function isHost (text: string): boolean { return /^[0-9A-Za-z]([0-9A-Za-z._-]*[0-9A-Za-z])?$/.test(text) || isIp6(text) }

function isIp6 (text: string): boolean { return text.includes(':') && /^[0-9A-Fa-f:.]{2,45}$/.test(text) }

function explained<T> (what: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new AppError('BODY_INVALID', `${what}: ${messageOf(cause)}`, { cause })
  }
}
