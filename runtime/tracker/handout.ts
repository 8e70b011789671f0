import { type PeerInfo } from '../core/peer.js'
import { type Prng, shuffle } from '../core/prng.js'

export type HandoutPolicy = 'default' | 'completeness'

/**
 * The peers that an announcing peer is told of, in the order in which it will dial them (p2p specification 7.4): at most
 * `limit` of the known peers, picked at random, and all origins. With `completeness` those that have everything come
 * first, then origins, then those that lack pieces; equals are in random order, so that no peer is everybody's first.
 *
 * Unlike the reference, which means to but does not, the announcer is never among them.
 * @param peers - known peers of the torrent; one that is an origin too counts as an origin
 */
export function handout<P extends PeerInfo> (
  policy: HandoutPolicy, announcer: Pick<PeerInfo, 'id'>, peers: readonly P[], origins: readonly P[], limit: number, prng: Prng
): P[] {
  const taken = new Set([announcer.id, ...origins.map(origin => origin.id)])
  const others = shuffle(peers.filter(peer => !taken.has(peer.id)), prng).slice(0, limit)
  const seeds = shuffle(origins.filter(origin => origin.id !== announcer.id), prng)
  const all = policy === 'completeness' ? [...others, ...seeds] : shuffle([...others, ...seeds], prng)
  return all.sort((a, b) => rank(policy, a) - rank(policy, b))
}

function rank (policy: HandoutPolicy, peer: PeerInfo): number {
  if (policy === 'default') return 0
  if (peer.isOrigin) return 1
  return peer.isComplete ? 0 : 2
}
