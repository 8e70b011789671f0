import assert from 'node:assert/strict'
import { type PieceIndex } from '../core/lengths.js'
import { type Prng } from '../core/prng.js'

const ABSENT = -1

/*
 * All members in one array, grouped by rank, without any order inside a group:
 *
 *   #items    | rank 0 ........ | rank 1 .... | rank 3 ......... |
 *             ^ #starts[0]      ^ #starts[1]  ^ #starts[2] = #starts[3]
 *
 * Adding, removing or ranking a piece moves at most one member of each group across its border, so each costs
 * O(number of ranks), and a rank is at most the number of connections.
 */

/**
 * A set of pieces that can be walked from the rarest to the most common. Ranks live outside, in an array that several
 * sets share; who changes a rank says so to every set that holds the piece.
 */
export class PieceBuckets {
  readonly #items: PieceIndex[] = []
  readonly #places: Int32Array
  readonly #starts: number[] = [0]

  constructor (readonly ranks: Uint16Array) { this.#places = new Int32Array(ranks.length).fill(ABSENT) }

  get size (): number { return this.#items.length }
  /** One more than the highest rank ever seen. */
  get rankCount (): number { return this.#starts.length }

  has (piece: PieceIndex): boolean { return this.#places[piece] !== ABSENT }

  /** Enters a piece that is not here, under its present rank. */
  add (piece: PieceIndex): void {
    assert(!this.has(piece), 'a piece is entered twice')
    const rank = this.#rankOf(piece)
    this.#reach(rank)
    let hole = this.#items.length
    this.#items.push(piece)
    for (let above = this.#starts.length - 1; above > rank; above--) {
      const first = this.startOf(above)
      if (first !== hole) this.#put(this.#at(first), hole)
      this.#starts[above] = first + 1
      hole = first
    }
    this.#put(piece, hole)
  }

  /** Takes out a piece that is here. */
  remove (piece: PieceIndex): void {
    let hole = this.#placeOf(piece)
    for (let above = this.#rankOf(piece) + 1; above < this.#starts.length; above++) {
      const last = this.startOf(above) - 1
      if (last !== hole) this.#put(this.#at(last), hole)
      this.#starts[above] = last
      hole = last
    }
    const last = this.#items.pop()
    assert(last !== undefined)
    if (hole < this.#items.length) this.#put(last, hole)
    this.#places[piece] = ABSENT
  }

  /** The rank of a piece that is here is about to grow by one. */
  raise (piece: PieceIndex): void {
    const rank = this.#rankOf(piece)
    this.#reach(rank + 1)
    const last = this.startOf(rank + 1) - 1
    this.#swap(this.#placeOf(piece), last)
    this.#starts[rank + 1] = last
  }

  /** The rank of a piece that is here is about to shrink by one. */
  lower (piece: PieceIndex): void {
    const rank = this.#rankOf(piece)
    assert(rank > 0, 'a piece cannot be rarer than held by nobody')
    const first = this.startOf(rank)
    this.#swap(this.#placeOf(piece), first)
    this.#starts[rank] = first + 1
  }

  /** Where the members of this rank or a higher one begin; `size` if there are none. */
  startOf (rank: number): number { return this.#starts[rank] ?? this.#items.length }

  /** The members of one rank in no order. */
  * ofRank (rank: number): Generator<PieceIndex> {
    for (let at = this.startOf(rank); at < this.startOf(rank + 1); at++) yield this.#at(at)
  }

  /** The first acceptable member at or behind a random place of `[start, end)`, wrapping around. */
  sample (start: number, end: number, prng: Prng, accepts: (piece: PieceIndex) => boolean): PieceIndex | undefined {
    const count = end - start
    if (count <= 0) return undefined
    const offset = count === 1 ? 0 : prng.below(count)
    for (let step = 0; step < count; step++) {
      const piece = this.#at(start + (offset + step) % count)
      if (accepts(piece)) return piece
    }
    return undefined
  }

  /** Throws if the groups are not what the ranks say; costs O(size), for tests. */
  check (): void {
    for (let rank = 0; rank < this.#starts.length; rank++) {
      for (const piece of this.ofRank(rank)) assert.equal(this.#rankOf(piece), rank, `piece ${piece} lies in the wrong group`)
    }
    this.#items.forEach((piece, place) => assert.equal(this.#places[piece], place))
  }

  #reach (rank: number): void { while (this.#starts.length <= rank) this.#starts.push(this.#items.length) }

  #swap (a: number, b: number): void {
    const held = this.#at(a)
    this.#put(this.#at(b), a)
    this.#put(held, b)
  }

  #put (piece: PieceIndex, place: number): void {
    this.#items[place] = piece
    this.#places[piece] = place
  }

  #at (place: number): PieceIndex {
    const piece = this.#items[place]
    assert(piece !== undefined)
    return piece
  }

  #placeOf (piece: PieceIndex): number {
    const place = this.#places[piece] ?? ABSENT
    assert(place !== ABSENT, 'a piece is expected that is not here')
    return place
  }

  #rankOf (piece: PieceIndex): number { return this.ranks[piece] ?? 0 }
}
