import { type PeerId } from '../core/peer-id.js'

/**
 * A number from which `affinity` is computed quickly.
 * Peers need not agree on it over the wire: each derives it from the ids that it knows anyway.
 */
export function affinitySeed (peer: PeerId): number {
  let seed = 0
  for (let at = 0; at < peer.length; at += 8) seed = mix(seed ^ parseInt(peer.slice(at, at + 8), 16))
  return seed
}

/**
 * How strongly a peer is drawn to a piece, an unsigned 32-bit number (rendezvous hashing). Leechers that know each other
 * come to the same answer on which of them fetches a piece from an origin for all, without a word being said about it.
 */
export function affinity (seed: number, piece: number): number { return mix(seed ^ Math.imul(piece + 1, 0x9e3779b1)) }

/** The finaliser of MurmurHash3 with 32 bits. */
function mix (h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
