import t from 'tap'
import { HIGH, LOW, newWord } from '../../../runtime/ring/murmur3.js'
import { contestOf, orderByScore, rankOf, rankOfHash, scoreOf } from '../../../runtime/ring/rendezvous.js'

const KEY = Uint8Array.of(0xe3, 0xb0)

t.test('a contest is the key and then the label', async t => {
  t.same([...contestOf(KEY, 'a:1')], [0xe3, 0xb0, 0x61, 0x3a, 0x31])
  t.same([...contestOf(new Uint8Array(0), 'é')], [0xc3, 0xa9])
})

t.test('the rank is the low 53 bits of the hash', async t => {
  const word = newWord()
  word[HIGH] = 0xffffffff
  word[LOW] = 0xffffffff
  t.equal(rankOfHash(word), 2 ** 53 - 1)
  word[HIGH] = 0xffe00000
  word[LOW] = 1
  t.equal(rankOfHash(word), 1)
})

t.test('the score grows with the rank and with the weight', async t => {
  t.ok(scoreOf(2 ** 52, 100) > scoreOf(2 ** 51, 100))
  t.equal(scoreOf(2 ** 52, 200), 2 * scoreOf(2 ** 52, 100))
  t.equal(scoreOf(0, 100), 0)
  t.ok(Number.isFinite(scoreOf(2 ** 53 - 1, 100)))
})

t.test('the order does not depend on the order of the candidates', async t => {
  const candidates = ['a', 'b', 'c', 'd'].map((label, i) => ({ label, weight: 100 * (i + 1) }))
  t.same(orderByScore(KEY, [...candidates].reverse()), orderByScore(KEY, candidates))
})

t.test('equal scores are in the order of their labels', async t => {
  const weightless = ['c', 'a', 'b'].map(label => ({ label, weight: 0 }))
  t.same(orderByScore(KEY, weightless).map(({ label }) => label), ['a', 'b', 'c'])
})

t.test('twice the weight wins about twice as often', async t => {
  let wins = 0
  for (let i = 0; i < 3000; i++) {
    const [first] = orderByScore(Uint8Array.of(i >> 8, i), [{ label: 'one', weight: 100 }, { label: 'two', weight: 200 }])
    if (first?.label === 'two') wins++
  }
  t.ok(wins > 1850 && wins < 2150, `${wins} of 3000`)
})

t.test('a rank belongs to its contest', async t => {
  t.equal(rankOf(contestOf(KEY, 'a:1')), rankOf(contestOf(KEY, 'a:1')))
  t.not(rankOf(contestOf(KEY, 'a:1')), rankOf(contestOf(KEY, 'a:2')))
})
