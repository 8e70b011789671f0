import { type Policy } from './policy.js'

/** A candidate that the fewest connected agents have (p2p specification 6.6, `rarest_first`). */
export const rarestFirst: Policy = (candidates, prng, accepts) => {
  for (let rank = 0; rank < candidates.rankCount; rank++) {
    const piece = candidates.sample(candidates.startOf(rank), candidates.startOf(rank + 1), prng, accepts)
    if (piece !== undefined) return piece
  }
  return undefined
}
