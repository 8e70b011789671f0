import { type Clock, type Millis } from '../core/clock.js'
import { type Digest } from '../core/digest.js'
import { messageOf } from '../core/errors.js'
import { type InfoHash } from '../core/infohash.js'
import { type PeerInfo } from '../core/peer.js'
import { type Prng } from '../core/prng.js'
import { type Logger } from '../observe/log.js'
import { announceReply } from './announce.js'
import { type OriginStore } from './origin-store.js'

/** Who has announced what. */
export interface PeerSource {
  /**
   * Records an announce made at `now`, which never runs backwards, and draws up to `count` others of the torrent at random.
   * Never rejects.
   */
  exchange (now: Millis, infoHash: InfoHash, peer: PeerInfo, count: number, prng: Prng): readonly PeerInfo[] | Promise<readonly PeerInfo[]>
}

export interface AnnouncerOptions {
  readonly peers: PeerSource
  readonly origins: Pick<OriginStore, 'owners'>
  /** Chooses and orders what the announcer gets, out of other peers and the owners of the blob. */
  readonly handout: (announcer: PeerInfo, peers: readonly PeerInfo[], origins: readonly PeerInfo[], prng: Prng) => readonly PeerInfo[]
  /** Peers that are handed out at most, beside the origins. */
  readonly limit: number
  readonly intervalMs: number
  readonly clock: Clock
  readonly prng: Prng
  readonly log: Logger
}

/** What the tracker does with an announce (p2p specification 7.4). */
export class Announcer {
  readonly #options: AnnouncerOptions
  readonly #completeReply: string

  constructor (options: AnnouncerOptions) {
    this.#options = options
    this.#completeReply = announceReply(undefined, options.intervalMs)
  }

  /**
   * Records the peer and returns the text of the answer, at once unless somebody has to be asked. Unlike with the
   * reference, the peer itself is not in it, and a blob that nobody has yet is an empty list, not an error: the next
   * announce will see more.
   */
  announce (digest: Digest, infoHash: InfoHash, peer: PeerInfo): string | Promise<string> {
    const { peers, limit, clock, prng } = this.#options
    const others = peers.exchange(clock.now(), infoHash, peer, peer.isComplete ? 0 : limit, prng)
    if (peer.isComplete) return this.#completeReply
    const origins = this.#originsOf(digest)
    if (origins instanceof Promise || others instanceof Promise) {
      return Promise.all([others, origins]).then(([others, origins]) => this.#reply(peer, others, origins))
    }
    return this.#reply(peer, others, origins)
  }

  #reply (announcer: PeerInfo, others: readonly PeerInfo[], origins: readonly PeerInfo[]): string {
    const { handout, intervalMs, prng } = this.#options
    return announceReply(handout(announcer, others, origins, prng), intervalMs)
  }

  /** Origins that cannot be found now are left out; the other peers still help. */
  #originsOf (digest: Digest): readonly PeerInfo[] | Promise<readonly PeerInfo[]> {
    const without = (error: unknown): readonly PeerInfo[] => {
      this.#options.log.debug({ digest, reason: messageOf(error) }, 'announce answered without origins')
      return []
    }
    try {
      const owners = this.#options.origins.owners(digest)
      return owners instanceof Promise ? owners.catch(without) : owners
    } catch (error) {
      return without(error)
    }
  }
}
