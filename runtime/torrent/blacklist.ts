import { after, type Millis } from '../core/clock.js'
import { type InfoHash } from '../core/infohash.js'
import { type PeerInfo } from '../core/peer.js'
import { type PeerId } from '../core/peer-id.js'
import { type Prng } from '../core/prng.js'
import { type Source } from './conn-table.js'
import { type CloseReason } from './events.js'

export interface BlacklistEntry { readonly peerId: PeerId, readonly infoHash: InfoHash, readonly remainingMs: number }

/**
 * A peer that dialled us may have used another's name. Its harm is not held against the address that the tracker gives
 * out under that name, and nothing that it does against an origin, which never dials.
 */
type Culprit = Pick<Source, 'peer' | 'isDialled'>

/** `quietUntil`: not dialled before. `bannedUntil`: not let in before. `isHearsay`: quiet for what somebody did who dialled us. */
interface Entry { quietUntil: Millis, isHearsay: boolean, bannedUntil: Millis, reason: CloseReason, retries: number, bans: number }

/** A connection that failed for want of room, or broke, is tried again after one to two of these, then twice that ... */
const RETRY_MS = 1_000
/** The first ban lasts this many times the configured duration, each further one twice the one before. */
const BAN_FACTOR = 2
const BAN_MS_MAX = 60 * 60_000
/** How long it is remembered, after the time is over, how often a peer failed. */
const MEMORY_MS = 10 * 60_000
/** Doublings beyond any limit above. */
const DOUBLINGS_MAX = 20
const NEVER = -Infinity as Millis

/** Which peers of which torrents are left alone, and for how long (p2p specification 6.5). */
export class Blacklist {
  readonly #torrents = new Map<InfoHash, Map<PeerId, Entry>>()

  /** @param durationMs - the configured duration; 0 keeps nothing but short retries */
  constructor (readonly durationMs: number) {}

  /** The peer is not dialled for the configured time. */
  pause (infoHash: InfoHash, culprit: Culprit, now: Millis, reason: CloseReason): void {
    quiet(this.#entry(infoHash, culprit, reason), culprit, after(now, this.durationMs))
  }

  /** The peer may work soon: it is dialled again after a second or two, and after ever longer if that fails too. */
  retry (infoHash: InfoHash, culprit: Culprit, now: Millis, reason: CloseReason, prng: Prng): void {
    const entry = this.#entry(infoHash, culprit, reason)
    const growingMs = Math.min(RETRY_MS * 2 ** Math.min(entry.retries++, DOUBLINGS_MAX), Math.max(this.durationMs / 2, RETRY_MS))
    quiet(entry, culprit, after(now, growingMs * (1 + prng.next())))
  }

  /** The peer did us harm: it is not let in, each time for longer, and not dialled either if that is how we got it. */
  ban (infoHash: InfoHash, culprit: Culprit, now: Millis, reason: CloseReason): void {
    const entry = this.#entry(infoHash, culprit, reason)
    const growingMs = this.durationMs * BAN_FACTOR * 2 ** Math.min(entry.bans++, DOUBLINGS_MAX)
    entry.bannedUntil = after(now, Math.min(growingMs, BAN_MS_MAX))
    entry.reason = reason
    if (culprit.isDialled) quiet(entry, culprit, entry.bannedUntil)
  }

  /** The peer works: what went wrong before no longer counts. */
  forgive (infoHash: InfoHash, peer: PeerId): void {
    const entry = this.#torrents.get(infoHash)?.get(peer)
    if (entry !== undefined) entry.retries = 0
  }

  /** True if the peer is not to be dialled now. */
  blocks (infoHash: InfoHash, peer: Pick<PeerInfo, 'id' | 'isOrigin'>, now: Millis): boolean {
    const entry = this.#torrents.get(infoHash)?.get(peer.id)
    return entry !== undefined && entry.quietUntil > now && !(entry.isHearsay && peer.isOrigin)
  }

  /** Why the peer is not to be let in now, or undefined if it may come. */
  banned (infoHash: InfoHash, peer: PeerId, now: Millis): CloseReason | undefined {
    const entry = this.#torrents.get(infoHash)?.get(peer)
    return entry !== undefined && entry.bannedUntil > now ? entry.reason : undefined
  }

  /** Lifts everything but bans. */
  clear (infoHash: InfoHash, now: Millis): void {
    const entries = this.#torrents.get(infoHash)
    if (entries === undefined) return
    for (const [peer, entry] of entries) if (entry.bannedUntil <= now) entries.delete(peer)
    if (entries.size === 0) this.#torrents.delete(infoHash)
  }

  /** Who is left alone at present. */
  entries (now: Millis): BlacklistEntry[] {
    const found: BlacklistEntry[] = []
    for (const [infoHash, entries] of this.#torrents) {
      for (const [peerId, entry] of entries) {
        const until = endOf(entry)
        if (until > now) found.push({ peerId, infoHash, remainingMs: until - now })
      }
    }
    return found
  }

  /** Forgets what is long over, so that the list does not grow for ever. */
  sweep (now: Millis): void {
    for (const [infoHash, entries] of this.#torrents) {
      for (const [peer, entry] of entries) if (endOf(entry) + MEMORY_MS < now) entries.delete(peer)
      if (entries.size === 0) this.#torrents.delete(infoHash)
    }
  }

  #entry (infoHash: InfoHash, { peer }: Culprit, reason: CloseReason): Entry {
    const entries = this.#torrents.get(infoHash) ?? new Map<PeerId, Entry>()
    this.#torrents.set(infoHash, entries)
    const entry: Entry = entries.get(peer) ?? { quietUntil: NEVER, isHearsay: false, bannedUntil: NEVER, reason, retries: 0, bans: 0 }
    entries.set(peer, entry)
    return entry
  }
}

/** A longer time that is already running is not shortened. */
function quiet (entry: Entry, { isDialled }: Culprit, until: Millis): void {
  if (until <= entry.quietUntil) return
  entry.quietUntil = until
  entry.isHearsay = !isDialled
}

function endOf ({ quietUntil, bannedUntil }: Entry): number { return Math.max(quietUntil, bannedUntil) }
