import { type Policy } from './policy.js'

/** Any candidate, each as likely as the others (p2p specification 6.6, `default`). */
export const anyPiece: Policy = (candidates, prng, accepts) => candidates.sample(0, candidates.size, prng, accepts)
