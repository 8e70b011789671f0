import fc from '../../support/fc.js'
import t from 'tap'
import { Lengths, type PieceIndex } from '../../../runtime/core/lengths.js'
import { seededPrng } from '../../../runtime/core/prng.js'
import { PieceBuckets } from '../../../runtime/torrent/piece-buckets.js'

const COUNT = 12
const pieces = [...new Lengths(COUNT, 1).indices()]

t.test('pieces lie in groups by rank', async t => {
  const ranks = Uint16Array.from([2, 0, 1, 0])
  const buckets = new PieceBuckets(ranks)
  for (const piece of pieces.slice(0, 4)) buckets.add(piece)
  t.same([...buckets.ofRank(0)].sort(), [1, 3])
  t.same([...buckets.ofRank(1)], [2])
  t.same([...buckets.ofRank(2)], [0])
  t.same([...buckets.ofRank(9)], [])
  t.equal(buckets.size, 4)
})

t.test('adding twice, removing or lowering what is not there throw', async t => {
  const buckets = new PieceBuckets(new Uint16Array(2))
  const [first, second] = pieces as [PieceIndex, PieceIndex]
  buckets.add(first)
  t.throws(() => buckets.add(first))
  t.throws(() => buckets.remove(second))
  t.throws(() => buckets.lower(first), 'a rank below 0')
})

t.test('whatever happens, the groups are those that the ranks say', async t => {
  const action = fc.record({ piece: fc.nat(COUNT - 1), what: fc.constantFrom('toggle', 'raise', 'lower') })
  fc.assert(fc.property(fc.array(action, { maxLength: 200 }), actions => {
    const ranks = new Uint16Array(COUNT)
    const buckets = new PieceBuckets(ranks)
    const present = new Set<number>()
    for (const { piece: n, what } of actions) {
      const piece = n as PieceIndex
      const rank = ranks[n] ?? 0
      if (what === 'toggle') {
        if (present.delete(n)) buckets.remove(piece)
        else {
          present.add(n)
          buckets.add(piece)
        }
      } else if (what === 'raise' || rank > 0) {
        if (present.has(n)) buckets[what](piece)
        ranks[n] = what === 'raise' ? rank + 1 : rank - 1
      }
      buckets.check()
    }
    const walked = Array.from({ length: buckets.rankCount }, (_, rank) => [...buckets.ofRank(rank)]).flat()
    return walked.length === present.size && walked.every(piece => present.has(piece)) && buckets.size === present.size
  }))
  t.pass()
})

t.test('a sample is acceptable, and every acceptable member is drawn at times', async t => {
  const buckets = new PieceBuckets(new Uint16Array(COUNT))
  for (const piece of pieces) buckets.add(piece)
  const prng = seededPrng(1)
  const drawn = new Set<number>()
  for (let i = 0; i < 300; i++) drawn.add(buckets.sample(0, COUNT, prng, piece => piece % 2 === 0) ?? -1)
  t.same([...drawn].sort((a, b) => a - b), [0, 2, 4, 6, 8, 10])
  t.equal(buckets.sample(0, COUNT, prng, () => false), undefined)
  t.equal(buckets.sample(3, 3, prng, () => true), undefined)
})
