import t from 'tap'
import { type Prng, seededPrng, shuffle } from '../../../runtime/core/prng.js'

function draws (prng: Prng, count: number): number[] { return Array.from({ length: count }, () => prng.next()) }

t.test('the same seed draws the same numbers, another seed others', async t => {
  t.same(draws(seededPrng(7), 100), draws(seededPrng(7), 100))
  t.notSame(draws(seededPrng(7), 5), draws(seededPrng(8), 5))
})

t.test('numbers stay within their bounds and reach all of them', async t => {
  const prng = seededPrng(1)
  t.ok(draws(prng, 10_000).every(n => n >= 0 && n < 1))
  const counts = new Array<number>(6).fill(0)
  for (let i = 0; i < 6000; i++) counts[prng.below(6)] = (counts[prng.below(6)] ?? 0) + 1
  t.ok(counts.every(count => count > 800 && count < 1200), `${counts}`)
  t.equal(prng.below(1), 0)
})

t.test('a shuffle keeps everything and depends on the seed alone', async t => {
  const items = Array.from({ length: 50 }, (_, i) => i)
  const shuffled = shuffle([...items], seededPrng(3))
  t.same(shuffled, shuffle([...items], seededPrng(3)))
  t.notSame(shuffled, items)
  t.same([...shuffled].sort((a, b) => a - b), items)
  t.same(shuffle([], seededPrng(3)), [])
})

t.test('a shuffle puts every item everywhere', async t => {
  const prng = seededPrng(4)
  const firsts = new Set(Array.from({ length: 200 }, () => shuffle([0, 1, 2, 3], prng)[0]))
  t.equal(firsts.size, 4)
})
