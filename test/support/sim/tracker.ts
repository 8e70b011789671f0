import { type PeerId } from '../../../runtime/core/peer-id.js'
import { type PeerInfo } from '../../../runtime/core/peer.js'
import { type Prng } from '../../../runtime/core/prng.js'
import { handout, type HandoutPolicy } from '../../../runtime/tracker/handout.js'

/** A tracker of one torrent that remembers every peer for ever, with the real handout. */
export class SimTracker {
  announceCount = 0
  readonly completed: PeerId[] = []
  readonly #peers = new Map<PeerId, PeerInfo>()

  constructor (readonly origins: readonly PeerInfo[], readonly policy: HandoutPolicy, readonly limit: number, readonly prng: Prng) {}

  announce (peer: PeerInfo): PeerInfo[] {
    this.announceCount++
    this.#peers.set(peer.id, peer)
    if (peer.isComplete) {
      this.completed.push(peer.id)
      return []
    }
    return handout(this.policy, peer, [...this.#peers.values()], this.origins, this.limit, this.prng)
  }
}
