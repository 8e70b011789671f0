import { type Sleep, systemSleep } from '../../net/client/upstream.js'
import { type TrackerConfig } from '../config/types.js'
import { type Millis } from '../core/clock.js'
import { type Digest } from '../core/digest.js'
import { AppError } from '../core/errors.js'
import { type PeerContext } from '../core/peer.js'
import { WrittenPeer } from './peer-text.js'
import { type Outcome, TtlCache } from './ttl-cache.js'

/** Digests whose owners are remembered, about 0.3 KB each. */
const LOCATIONS_MAX = 100_000
const CONTEXTS_MAX = 10_000
/** How long owners are waited for that answer later than the first. */
const PATIENCE_MS = 300

/** What is asked of the origins. */
export interface OriginLookups {
  /** Addresses `host:port` of the owners of a digest. */
  locations (digest: Digest): Promise<readonly string[]>
  /** How the origin at an address is reached as a peer. */
  peerContext (address: string): Promise<PeerContext>
}

/** The origins that own a digest, as peers to hand out; remembered for the times of p2p specification 7.7. */
export class OriginStore {
  readonly #locations: TtlCache<Digest, readonly string[]>
  readonly #contexts: TtlCache<string, WrittenPeer>

  constructor (lookups: OriginLookups, ttl: TrackerConfig['originStore'], now: () => Millis, readonly sleep: Sleep = systemSleep) {
    this.#locations = new TtlCache(digest => lookups.locations(digest), {
      ttlMs: ttl.locationsTtlMs, errorTtlMs: ttl.locationsErrorTtlMs, entriesMax: LOCATIONS_MAX, now
    })
    this.#contexts = new TtlCache(async address => asPeer(await lookups.peerContext(address)), {
      ttlMs: ttl.contextTtlMs, errorTtlMs: ttl.unavailableTtlMs, entriesMax: CONTEXTS_MAX, now
    })
  }

  /**
   * The owners that answer, in ring order; without a promise if everything is known, which is the case for nearly every
   * announce.
   * @throws what the look-up of the owners threw, or that of the first owner if none answers
   */
  owners (digest: Digest): WrittenPeer[] | Promise<WrittenPeer[]> {
    const locations = this.#locations.peek(digest)
    if (locations === undefined) return this.#lookUp(digest)
    const contexts: Array<Outcome<WrittenPeer>> = []
    for (const address of valueOf(locations)) {
      const context = this.#contexts.peek(address)
      if (context === undefined) return this.#lookUp(digest)
      contexts.push(context)
    }
    return reachable(contexts, digest)
  }

  async #lookUp (digest: Digest): Promise<WrittenPeer[]> {
    const addresses = valueOf(await this.#locations.get(digest))
    const contexts: Array<Outcome<WrittenPeer>> = []
    const looking = addresses.map(async (address, i) => { contexts[i] = await this.#contexts.get(address) })
    await this.#patiently(looking, () => contexts.some(({ ok }) => ok))
    return reachable(contexts.filter(context => context !== undefined), digest)
  }

  /** Waits for all, but no longer than a moment once there is enough: an origin that is away must not hold up an announce. */
  async #patiently (looking: ReadonlyArray<Promise<void>>, isEnough: () => boolean): Promise<void> {
    const all = Promise.all(looking)
    const over = new AbortController()
    const late = Promise.race(looking).then(async () => {
      while (!over.signal.aborted) {
        await this.sleep(PATIENCE_MS, over.signal).catch(() => {})
        if (isEnough()) return
      }
    })
    await Promise.race([all, late])
    over.abort()
  }
}

/** An origin has every blob it owns, or fetches it. */
function asPeer ({ id, ip, port, isOrigin }: PeerContext): WrittenPeer {
  return new WrittenPeer({ id, ip, port, isOrigin, isComplete: true })
}

function reachable (contexts: ReadonlyArray<Outcome<WrittenPeer>>, digest: Digest): WrittenPeer[] {
  const peers: WrittenPeer[] = []
  for (const context of contexts) if (context.ok) peers.push(context.value)
  if (peers.length > 0) return peers
  const [first] = contexts
  if (first === undefined) throw new AppError('UNAVAILABLE', `no origin owns ${digest}`)
  return [valueOf(first)]
}

function valueOf<V> (outcome: Outcome<V>): V {
  if (!outcome.ok) throw outcome.error
  return outcome.value
}
