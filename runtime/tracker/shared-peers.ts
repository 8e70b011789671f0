import { type Clock, type Millis } from '../core/clock.js'
import { AppError, messageOf } from '../core/errors.js'
import { type InfoHash } from '../core/infohash.js'
import { type PeerInfo } from '../core/peer.js'
import { isPeerId, parsePeerId, type PeerId } from '../core/peer-id.js'
import { type Prng, shuffle } from '../core/prng.js'
import { type Logger } from '../observe/log.js'
import { isHost } from './announce.js'
import { type PeerSource } from './announcer.js'
import { WrittenPeer } from './peer-text.js'
import { type RedisCommand, type RedisLink } from './redis-link.js'

/** Peers whose text is remembered, so that it is not written anew for each announce; about 0.5 KB each. */
const WRITTEN_MAX = 100_000

export interface SharedPeersOptions {
  readonly redis: Pick<RedisLink, 'isUp' | 'failure' | 'run'>
  /** What this tracker was told itself, for while Redis is away. */
  readonly local: PeerSource
  readonly windowMs: number
  /** How many windows back peers are looked for, the running one included. */
  readonly windows: number
  /** Peers of one torrent and window, at most. */
  readonly windowPeersMax: number
  readonly clock: Clock
  readonly log: Logger
}

/**
 * Who has announced which torrent, in Redis, so that several trackers know the same; in the reference's form (p2p
 * specification 7.6), so that its trackers can be among them.
 *
 *   peerset:<info hash>:<window>  =  { <peer id>:<ip>:<port>:<0 or 1> ... }     1: complete
 *
 * A window is the Unix time in seconds at which it began. An announce is one round trip; a second one looks into the older
 * windows, if the running one has not enough. Without Redis, peers are those that have announced themselves here.
 */
export class SharedPeers implements PeerSource {
  readonly #written = new Map<string, WrittenPeer>()

  constructor (readonly options: SharedPeersOptions) {}

  exchange (now: Millis, infoHash: InfoHash, peer: PeerInfo, count: number, prng: Prng): readonly PeerInfo[] | Promise<readonly PeerInfo[]> {
    const { redis, local, log } = this.options
    const known = local.exchange(now, infoHash, peer, count, prng)
    if (!redis.isUp) return known
    const shared = this.#exchange(infoHash, peer, count, prng).catch(async (error: unknown) => {
      log.debug({ infoHash, reason: messageOf(error) }, 'announce answered without redis')
      return await known
    })
    // One that wants nobody need not wait until it is on record.
    return count === 0 ? known : shared
  }

  /** @throws AppError UNAVAILABLE if Redis is away */
  async checkReadiness (): Promise<void> {
    const { redis } = this.options
    if (!redis.isUp) throw new AppError('UNAVAILABLE', `peer store: redis: ${redis.failure}`)
    await redis.run([['PING']])
  }

  async #exchange (infoHash: InfoHash, peer: PeerInfo, count: number, prng: Prng): Promise<readonly PeerInfo[]> {
    const { redis, windowPeersMax } = this.options
    const [running = 0, ...older] = this.#windows()
    const key = keyOf(infoHash, running)
    const [, , , size, first] = await redis.run([
      ['SADD', key, memberOf(peer, peer.isComplete)],
      // What it was before is no longer so.
      ['SREM', key, memberOf(peer, !peer.isComplete)],
      ['EXPIREAT', key, this.#expiryOf(running)],
      ['SCARD', key],
      ...(count > 0 ? [['SRANDMEMBER', key, count + 1] as const] : [])
    ])
    if (typeof size === 'number' && size > windowPeersMax) await redis.run([['SPOP', key, size - windowPeersMax]])
    const drawn = new Drawn(peer.id)
    drawn.add(this.#read(first))
    if (drawn.size < count && older.length > 0) {
      const missing = count - drawn.size + 1
      const replies = await redis.run(older.map((window): RedisCommand => ['SRANDMEMBER', keyOf(infoHash, window), missing]))
      for (const reply of replies) drawn.add(this.#read(reply))
    }
    return shuffle(drawn.peers(), prng).slice(0, count)
  }

  /** Beginnings of the windows that count, newest first, in Unix seconds. */
  #windows (): number[] {
    const { clock, windows } = this.options
    const sizeSeconds = this.#windowSeconds
    const running = Math.floor(clock.wall() / 1000 / sizeSeconds) * sizeSeconds
    return Array.from({ length: windows }, (_, i) => running - i * sizeSeconds)
  }

  #expiryOf (window: number): number { return window + this.#windowSeconds * this.options.windows }

  get #windowSeconds (): number { return Math.max(1, Math.round(this.options.windowMs / 1000)) }

  #read (reply: unknown): WrittenPeer[] {
    if (!Array.isArray(reply)) return []
    return reply.flatMap((member: unknown) => {
      const peer = typeof member === 'string' ? this.#written.get(member) ?? this.#remember(member) : undefined
      return peer === undefined ? [] : [peer]
    })
  }

  #remember (member: string): WrittenPeer | undefined {
    const peer = peerIn(member)
    if (peer === undefined) return undefined
    if (this.#written.size >= WRITTEN_MAX) this.#written.clear()
    this.#written.set(member, peer)
    return peer
  }
}

/** Distinct peers; of what is said of one of them several times, that it is complete counts. */
class Drawn {
  readonly #peers = new Map<string, WrittenPeer>()

  constructor (readonly exceptId: PeerId) {}

  get size (): number { return this.#peers.size }

  add (peers: readonly WrittenPeer[]): void {
    for (const peer of peers) {
      if (peer.id === this.exceptId) continue
      const key = `${peer.id}:${peer.ip}:${peer.port}`
      if (peer.isComplete || !this.#peers.has(key)) this.#peers.set(key, peer)
    }
  }

  peers (): WrittenPeer[] { return [...this.#peers.values()] }
}

function keyOf (infoHash: InfoHash, window: number): string { return `peerset:${infoHash}:${window}` }

function memberOf ({ id, ip, port }: PeerInfo, isComplete: boolean): string { return `${id}:${ip}:${port}:${isComplete ? 1 : 0}` }

/** Undefined for what nobody could dial: others write there too. */
function peerIn (member: string): WrittenPeer | undefined {
  const [, id = '', ip = '', port = '', complete] = /^([0-9a-f]{40}):(.{1,255}):(\d{1,5}):([01])$/.exec(member) ?? []
  if (!isPeerId(id) || !isHost(ip) || Number(port) < 1 || Number(port) > 65_535) return undefined
  return new WrittenPeer({ id: parsePeerId(id), ip, port: Number(port), isOrigin: false, isComplete: complete === '1' })
}
