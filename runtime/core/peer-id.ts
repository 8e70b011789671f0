import { createHash, randomBytes } from 'node:crypto'
import { type Brand } from './brand.js'
import { AppError } from './errors.js'

/** 40 lower-case hex characters: 20 opaque bytes that name a peer. */
export type PeerId = Brand<string, 'PeerId'>

/** Parses 40 hex characters of either case. @throws AppError PARAMETER_INVALID */
export function parsePeerId (text: string): PeerId {
  if (!isPeerId(text)) throw new AppError('PARAMETER_INVALID', `invalid peer id "${text.slice(0, 64)}": expected 40 hex characters`)
  return text.toLowerCase() as PeerId
}

export function isPeerId (text: string): boolean { return /^[0-9a-fA-F]{40}$/.test(text) }

export type PeerIdPolicy = 'addr_hash' | 'random'

/** `addr_hash`: SHA-1 of `<ip>:<port>` exactly as announced, so that it survives restarts (p2p specification 4.1). */
export function makePeerId (policy: PeerIdPolicy, ip: string, port: number): PeerId {
  const bytes = policy === 'random' ? randomBytes(20) : createHash('sha1').update(`${ip}:${port}`).digest()
  return bytes.toString('hex') as PeerId
}
