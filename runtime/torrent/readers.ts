import { type Bitfield } from '../core/bitfield.js'
import { type Lengths, type PieceIndex } from '../core/lengths.js'
import { type PieceBuckets } from './piece-buckets.js'

/** How many pieces ahead of a reader are asked for in order; beyond, what is rare in the swarm matters more. */
const AHEAD = 32
/** Of more readers at different places the first ones count. */
const FRONTS_MAX = 8

/**
 * Where the blob is being read while it arrives. What a reader needs next is asked for first, so that it need not wait for
 * the end of the download. Which pieces are ours to fetch from an origin stays as it is (affinity.ts): several agents that
 * are read at the same time still fetch different ones.
 */
export class Readers {
  #fronts: PieceIndex[] = []

  constructor (readonly lengths: Lengths, readonly have: Bitfield) {}

  /** @param fronts - the piece that each reader began with; what it has read since is stored, and passed over */
  set (fronts: readonly PieceIndex[]): void { this.#fronts = [...new Set(fronts)].slice(0, FRONTS_MAX) }

  /** The piece that is needed first of those in `candidates` that are acceptable and not far ahead; undefined if there is none. */
  choose (candidates: PieceBuckets, accepts: (piece: PieceIndex) => boolean): PieceIndex | undefined {
    for (const [i, front] of this.#fronts.entries()) {
      const next = this.#firstMissing(front)
      this.#fronts[i] = next
      for (let n: number = next; n < next + AHEAD; n++) {
        const piece = this.lengths.index(n)
        if (piece !== undefined && candidates.has(piece) && accepts(piece)) return piece
      }
    }
    return undefined
  }

  /** The last piece if none is missing from there on. */
  #firstMissing (front: PieceIndex): PieceIndex {
    let first = front
    for (let next = this.lengths.index(front); next !== undefined && this.have.has(first); next = this.lengths.index(first + 1)) first = next
    return first
  }
}
