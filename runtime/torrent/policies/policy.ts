import { type PieceIndex } from '../../core/lengths.js'
import { type Prng } from '../../core/prng.js'
import { type PieceBuckets } from '../piece-buckets.js'

/**
 * Which of the candidates to ask for next; undefined if none is acceptable. Looks at nothing but its arguments. Chance
 * decides among equals, so that leechers that start together ask for different pieces and have something to exchange.
 */
export type Policy = (candidates: PieceBuckets, prng: Prng, accepts: (piece: PieceIndex) => boolean) => PieceIndex | undefined
