import { type Digest, shardKey } from '../core/digest.js'
import { compareLabels, contestOf, rankOf } from './rendezvous.js'

const KEY_BYTES = 2
/** Addresses remembered in all rows together: the whole table of a ring of up to 32 members. */
const REMEMBERED_MAX = 32 * 65_536

/**
 * Who owns which blob: the members of a cluster in an order of their own for each of the 65,536 shards, best first. Every
 * node of a cluster computes the same order from the same addresses (cluster specification 2, p2p specification 7.9), so
 * they must be spelt alike everywhere. Immutable: a change of membership makes a new ring.
 */
export class Ring {
  /** Without duplicates, in the order of their spelling. */
  readonly members: readonly string[]
  /** For each member what is hashed, with room for the key in front. */
  readonly #contests: readonly Uint8Array[]
  readonly #rows = new Map<number, readonly string[]>()
  readonly #rowsMax: number

  constructor (members: Iterable<string>) {
    this.members = [...new Set(members)].sort(compareLabels)
    this.#contests = this.members.map(member => contestOf(new Uint8Array(KEY_BYTES), member))
    this.#rowsMax = Math.ceil(REMEMBERED_MAX / Math.max(this.members.length, 1))
  }

  /** All members, best first; empty only if the ring is. */
  ownersOf (digest: Digest): readonly string[] {
    const key = shardKey(digest)
    const shard = (key[0] ?? 0) << 8 | (key[1] ?? 0)
    const known = this.#rows.get(shard)
    if (known !== undefined) return known
    if (this.#rows.size >= this.#rowsMax) this.#rows.clear()
    const row = this.#order(key)
    this.#rows.set(shard, row)
    return row
  }

  /**
   * The healthy ones among the first `replicasMax` owners; if there is none, the first healthy member further down; if
   * nobody is healthy, the first owner all the same (cluster specification 2.3). Unhealthy owners are dropped and not
   * replaced, because those who would step in do not hold the blob. Empty only if the ring is.
   */
  locationsOf (digest: Digest, isHealthy: (member: string) => boolean, replicasMax: number): string[] {
    const owners = this.ownersOf(digest)
    const healthy = owners.slice(0, replicasMax).filter(owner => isHealthy(owner))
    if (healthy.length > 0) return healthy
    const last = owners.find(owner => isHealthy(owner)) ?? owners[0]
    return last === undefined ? [] : [last]
  }

  #order (key: Uint8Array): readonly string[] {
    const ranks = this.#contests.map(contest => {
      contest.set(key)
      return rankOf(contest)
    })
    // The members are sorted by label and the sort is stable, so that equal ranks keep that order.
    const order = [...ranks.keys()].sort((a, b) => (ranks[b] ?? 0) - (ranks[a] ?? 0))
    return order.map(i => this.members[i] ?? '')
  }
}
