import t from 'tap'
import { Lengths } from '../../../../runtime/core/lengths.js'
import { seededPrng } from '../../../../runtime/core/prng.js'
import { PieceBuckets } from '../../../../runtime/torrent/piece-buckets.js'
import { anyPiece } from '../../../../runtime/torrent/policies/default.js'
import { rarestFirst } from '../../../../runtime/torrent/policies/rarest-first.js'

function bucketsOf (ranks: number[]): PieceBuckets {
  const buckets = new PieceBuckets(Uint16Array.from(ranks))
  for (const piece of new Lengths(ranks.length, 1).indices()) buckets.add(piece)
  return buckets
}

t.test('rarest_first takes a rarest piece, each as likely as the others', async t => {
  const buckets = bucketsOf([3, 1, 2, 1, 4, 1])
  const counts = new Map<number, number>()
  const prng = seededPrng(5)
  for (let i = 0; i < 3_000; i++) {
    const piece = rarestFirst(buckets, prng, () => true) ?? -1
    counts.set(piece, (counts.get(piece) ?? 0) + 1)
  }
  t.same([...counts.keys()].sort(), [1, 3, 5])
  for (const count of counts.values()) t.ok(count > 850 && count < 1_150, `drawn ${count} of 3000 times`)
})

t.test('rarest_first goes on to more common pieces when rarer ones are not acceptable', async t => {
  t.equal(rarestFirst(bucketsOf([3, 1, 2, 1]), seededPrng(1), piece => piece % 2 === 0), 2)
  t.equal(rarestFirst(bucketsOf([3, 1]), seededPrng(1), () => false), undefined)
  t.equal(rarestFirst(bucketsOf([]), seededPrng(1), () => true), undefined)
})

t.test('default takes any piece, however rare', async t => {
  const prng = seededPrng(2)
  const buckets = bucketsOf([3, 1, 2])
  t.same([...new Set(Array.from({ length: 200 }, () => anyPiece(buckets, prng, () => true)))].sort(), [0, 1, 2])
  t.equal(anyPiece(buckets, prng, piece => piece === 1), 1)
  t.equal(anyPiece(buckets, prng, () => false), undefined)
})

t.test('two that begin alike do not ask for the same pieces', async t => {
  const order = (seed: number): number[] => {
    const buckets = bucketsOf(new Array<number>(64).fill(0))
    const prng = seededPrng(seed)
    return Array.from({ length: 10 }, () => {
      const piece = rarestFirst(buckets, prng, () => true)
      if (piece !== undefined) buckets.remove(piece)
      return piece ?? -1
    })
  }
  const first = new Set(order(1))
  t.ok(order(2).filter(piece => first.has(piece)).length < 5)
})
