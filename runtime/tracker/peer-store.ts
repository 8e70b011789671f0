import assert from 'node:assert/strict'
import { after, type Millis } from '../core/clock.js'
import { type InfoHash } from '../core/infohash.js'
import { type PeerInfo } from '../core/peer.js'
import { type PeerId } from '../core/peer-id.js'
import { type Prng } from '../core/prng.js'
import { type PeerSource } from './announcer.js'
import { type Aged, Recency } from './recency.js'
import { WrittenPeer } from './peer-text.js'

export interface PeerStoreLimits {
  /** How long a peer is remembered after its last announce (p2p specification 7.6: 5 h). */
  readonly ttlMs: number
  /** Peers of one torrent, at most. */
  readonly torrentPeersMax: number
  /** Peers of all torrents together, at most; so also the number of torrents. About 0.4 KB each. */
  readonly peersMax: number
}

/**
 * Who has announced which torrent, in memory.
 *
 *   torrents by last announce:   oldest <-> ... <-> newest
 *                                  |                  |
 *   peers of each, likewise:     oldest <-> newest   ...
 *
 * Expired peers are never handed out. When a torrent is full, the peer of it that was silent for the longest time makes
 * room; when the store is full, that of the torrent nobody announced for the longest time.
 */
export class PeerStore implements PeerSource {
  readonly #torrents = new Map<InfoHash, Torrent>()
  readonly #order = new Recency<Torrent>()
  #peerCount = 0

  constructor (readonly limits: PeerStoreLimits) {}

  get peerCount (): number { return this.#peerCount }
  get torrentCount (): number { return this.#torrents.size }

  exchange (now: Millis, infoHash: InfoHash, peer: PeerInfo, count: number, prng: Prng): WrittenPeer[] {
    this.update(now, infoHash, peer)
    return count === 0 ? [] : this.sample(now, infoHash, count, peer.id, prng)
  }

  /** Records an announce made at `now`, which never runs backwards. Handed-out agents are no origins, whatever they say. */
  update (now: Millis, infoHash: InfoHash, announced: PeerInfo): void {
    const torrent = this.#torrentOf(infoHash)
    const expiresAt = after(now, this.limits.ttlMs)
    const seat = torrent.peers.get(announced.id)
    if (seat === undefined) {
      this.#admit(torrent, new WrittenPeer({ ...announced, isOrigin: false }), expiresAt)
    } else {
      if (!isSame(seat.peer, announced)) seat.peer = new WrittenPeer({ ...announced, isOrigin: false })
      seat.expiresAt = expiresAt
      torrent.order.touch(seat)
    }
    this.#order.touch(torrent)
    this.#makeRoom(torrent)
    this.#expire(now)
  }

  /**
   * Up to `count` distinct peers of the torrent, drawn at random, without the one called `exceptId`. Costs O(count): the
   * drawn seats are swapped to the front of the torrent's table, whose order means nothing.
   */
  sample (now: Millis, infoHash: InfoHash, count: number, exceptId: PeerId, prng: Prng): WrittenPeer[] {
    const torrent = this.#torrents.get(infoHash)
    if (torrent === undefined) return []
    this.#expireIn(torrent, now)
    const { seats } = torrent
    const drawn: WrittenPeer[] = []
    for (let at = 0; at < seats.length && drawn.length < count; at++) {
      const seat = swap(seats, at, at + prng.below(seats.length - at))
      if (seat.peer.id !== exceptId) drawn.push(seat.peer)
    }
    return drawn
  }

  #torrentOf (infoHash: InfoHash): Torrent {
    const known = this.#torrents.get(infoHash)
    if (known !== undefined) return known
    const torrent: Torrent = { infoHash, peers: new Map(), seats: [], order: new Recency(), older: undefined, newer: undefined }
    this.#torrents.set(infoHash, torrent)
    this.#order.add(torrent)
    return torrent
  }

  #admit (torrent: Torrent, peer: WrittenPeer, expiresAt: Millis): void {
    const seat: Seat = { peer, at: torrent.seats.length, expiresAt, older: undefined, newer: undefined }
    torrent.peers.set(peer.id, seat)
    torrent.seats.push(seat)
    torrent.order.add(seat)
    this.#peerCount++
  }

  /** Meets both limits again after one peer more; the newest peer of the newest torrent is the last that would go. */
  #makeRoom (torrent: Torrent): void {
    if (torrent.seats.length > this.limits.torrentPeersMax) this.#unseat(torrent, torrent.order.oldest)
    if (this.#peerCount > this.limits.peersMax) this.#unseat(this.#order.oldest, this.#order.oldest?.order.oldest)
  }

  #unseat (torrent: Torrent | undefined, seat: Seat | undefined): void {
    if (torrent === undefined || seat === undefined) return
    swap(torrent.seats, seat.at, torrent.seats.length - 1)
    torrent.seats.pop()
    torrent.peers.delete(seat.peer.id)
    torrent.order.remove(seat)
    this.#peerCount--
    if (torrent.seats.length === 0) {
      this.#torrents.delete(torrent.infoHash)
      this.#order.remove(torrent)
    }
  }

  /** Forgets what has expired among the oldest torrents; two at a time keep up with any rate of announces. */
  #expire (now: Millis): void {
    for (let turn = 0; turn < 2; turn++) {
      const oldest = this.#order.oldest
      if (oldest === undefined || !this.#expireIn(oldest, now)) return
    }
  }

  /** True if the torrent lost a peer. */
  #expireIn (torrent: Torrent, now: Millis): boolean {
    let isChanged = false
    for (let seat = torrent.order.oldest; seat !== undefined && seat.expiresAt <= now; seat = torrent.order.oldest) {
      this.#unseat(torrent, seat)
      isChanged = true
    }
    return isChanged
  }
}

/** One torrent: its peers by id, and the same in a dense table to draw from. */
interface Torrent extends Aged<Torrent> {
  readonly infoHash: InfoHash
  readonly peers: Map<PeerId, Seat>
  readonly seats: Seat[]
  readonly order: Recency<Seat>
}

interface Seat extends Aged<Seat> {
  peer: WrittenPeer
  /** The seat's index in the table. */
  at: number
  expiresAt: Millis
}

function isSame (known: PeerInfo, announced: PeerInfo): boolean {
  return known.ip === announced.ip && known.port === announced.port && known.isComplete === announced.isComplete
}

/** Exchanges two seats and returns the one that is now at `a`. */
function swap (seats: Seat[], a: number, b: number): Seat {
  const fromA = seats[a]
  const fromB = seats[b]
  assert(fromA !== undefined && fromB !== undefined)
  seats[a] = fromB
  seats[b] = fromA
  fromB.at = a
  fromA.at = b
  return fromB
}
