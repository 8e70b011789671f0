import t from 'tap'
import { Lengths } from '../../../runtime/core/lengths.js'
import { must } from '../../support/must.js'

const TIB = 2 ** 40

for (const [total, piece, sizes] of [
  [0, 4, []],
  [1, 4, [1]],
  [3, 4, [3]],
  [4, 4, [4]],
  [5, 4, [4, 1]],
  [8, 4, [4, 4]],
  [10, 4, [4, 4, 2]],
  [3, 1, [1, 1, 1]]
] as const) {
  t.test(`${total} bytes in pieces of ${piece}`, async t => {
    const lengths = new Lengths(total, piece)
    t.equal(lengths.pieceCount, sizes.length)
    t.same([...lengths.indices()].map(index => lengths.sizeOf(index)), sizes)
    t.same([...lengths.indices()].map(index => lengths.offsetOf(index)), sizes.map((_, i) => i * piece))
    t.equal(lengths.index(sizes.length), undefined)
  })
}

t.test('only a number that a piece has becomes an index', async t => {
  const lengths = new Lengths(10, 4)
  t.equal(lengths.index(2), 2)
  for (const n of [-1, 3, 0.5, NaN, Infinity, 2 ** 32]) t.equal(lengths.index(n), undefined, `${n}`)
})

t.test('sizes beyond 32 bits are exact', async t => {
  const lengths = new Lengths(4 * TIB + 1, 4 * 2 ** 20)
  t.equal(lengths.pieceCount, 2 ** 20 + 1)
  const last = must(lengths.index(2 ** 20))
  t.equal(lengths.offsetOf(last), 4 * TIB)
  t.equal(lengths.sizeOf(last), 1)
})
