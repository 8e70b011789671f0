import { HIGH, LOW, murmur3, newWord, type Word } from './murmur3.js'

/*
 * Rendezvous hashing as in uber/kraken (cluster specification 2.2): every label competes for a key with a number drawn
 * from both. The number has 53 bits, exact in a double:
 *
 *   hash     |  11 bits, dropped  |  53 bits: rank  |      score = -weight / ln(rank / 2^53), larger is better
 *
 * With equal weights the score grows with the rank, so ranks alone give the order and no logarithm is needed.
 */
const RANK_LIMIT = 2 ** 53
const RANK_HIGH_MASK = 0x1fffff

/** Something that takes part with a weight above 0. */
export interface Weighted { readonly label: string, readonly weight: number }

/** What is hashed for a label and a key: the key's bytes, then the label's. */
export function contestOf (key: Uint8Array, label: string): Uint8Array {
  return Buffer.concat([key, Buffer.from(label, 'utf8')])
}

/** The rank of a contest, an integer below 2^53. */
export function rankOf (contest: Uint8Array): number {
  murmur3(contest, hash)
  return rankOfHash(hash)
}

/** The rank that a hash gives. A rank of 0 would have no logarithm: the eight bytes of the hash are hashed again then. */
export function rankOfHash (word: Word): number {
  const rank = lowest53(word)
  if (rank !== 0) return rank
  const bytes = new DataView(new ArrayBuffer(8))
  bytes.setUint32(0, word[HIGH] ?? 0)
  bytes.setUint32(4, word[LOW] ?? 0)
  murmur3(new Uint8Array(bytes.buffer), hash)
  return lowest53(hash)
}

export function scoreOf (rank: number, weight: number): number { return -weight / Math.log(rank / RANK_LIMIT) }

/** Candidates of different weights, best first; equal scores are in the order of their labels. */
export function orderByScore<T extends Weighted> (key: Uint8Array, candidates: readonly T[]): T[] {
  return candidates
    .map(candidate => ({ candidate, score: scoreOf(rankOf(contestOf(key, candidate.label)), candidate.weight) }))
    .sort((a, b) => b.score - a.score || compareLabels(a.candidate.label, b.candidate.label))
    .map(({ candidate }) => candidate)
}

/** The rule for ties, which the reference leaves to chance: the lower label comes first. */
export function compareLabels (a: string, b: string): number { return a < b ? -1 : a > b ? 1 : 0 }

const hash = newWord()

function lowest53 (word: Word): number { return ((word[HIGH] ?? 0) & RANK_HIGH_MASK) * 0x1_0000_0000 + (word[LOW] ?? 0) }
