import { AppError } from './errors.js'
import { idFromJson, idToJson } from './id-bytes.js'
import { field, isRecord } from './json.js'
import { type PeerId } from './peer-id.js'

/** A peer as it is announced and handed out (p2p specification 4.2). */
export interface PeerInfo {
  readonly id: PeerId
  /** IPv4 address or host name. */
  readonly ip: string
  readonly port: number
  readonly isOrigin: boolean
  readonly isComplete: boolean
}

/** What an origin tells about itself at `/internal/peercontext`. */
export interface PeerContext {
  readonly ip: string
  readonly port: number
  readonly id: PeerId
  readonly zone: string
  readonly cluster: string
  readonly isOrigin: boolean
}

/** The JSON members in the reference's order. */
export function peerInfoToJson (peer: PeerInfo): object {
  return { peer_id: idToJson(peer.id), ip: peer.ip, port: peer.port, origin: peer.isOrigin, complete: peer.isComplete }
}

/** @throws AppError BODY_INVALID */
export function peerInfoFromJson (value: unknown): PeerInfo {
  if (!isRecord(value)) throw new AppError('BODY_INVALID', 'peer must be an object')
  return {
    id: idFromJson(field(value, 'peer_id'), 'peer_id') as PeerId,
    ip: text(field(value, 'ip'), 'ip'),
    port: port(field(value, 'port')),
    isOrigin: field(value, 'origin') === true,
    isComplete: field(value, 'complete') === true
  }
}

export function peerContextToJson (peer: PeerContext): object {
  return { ip: peer.ip, port: peer.port, peer_id: idToJson(peer.id), zone: peer.zone, cluster: peer.cluster, origin: peer.isOrigin }
}

/** @throws AppError BODY_INVALID */
export function peerContextFromJson (value: unknown): PeerContext {
  if (!isRecord(value)) throw new AppError('BODY_INVALID', 'peer context must be an object')
  return {
    ip: text(field(value, 'ip'), 'ip'),
    port: port(field(value, 'port')),
    id: idFromJson(field(value, 'peer_id'), 'peer_id') as PeerId,
    zone: text(field(value, 'zone'), 'zone'),
    cluster: text(field(value, 'cluster'), 'cluster'),
    isOrigin: field(value, 'origin') === true
  }
}

function text (value: unknown, what: string): string {
  if (value === undefined || value === null) return ''
  if (typeof value !== 'string' || value.length > 255) throw new AppError('BODY_INVALID', `${what} must be a text of at most 255 characters`)
  return value
}

function port (value: unknown): number {
  if (value === undefined || value === null) return 0
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 65535) {
    throw new AppError('BODY_INVALID', 'port must be an integer from 0 to 65535')
  }
  return value
}
