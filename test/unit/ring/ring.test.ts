import t from 'tap'
import { digestOf, parseDigest } from '../../../runtime/core/digest.js'
import { Ring } from '../../../runtime/ring/ring.js'

const DIGEST = digestOf('hello')
const MEMBERS = ['o1:1', 'o2:1', 'o3:1', 'o4:1', 'o5:1']

t.test('every member is in the order of every digest, once', async t => {
  const ring = new Ring([...MEMBERS, 'o1:1'])
  t.same(ring.members, MEMBERS)
  t.same([...ring.ownersOf(DIGEST)].sort(), MEMBERS)
})

t.test('the order in which members are listed does not matter', async t => {
  t.same(new Ring([...MEMBERS].reverse()).ownersOf(DIGEST), new Ring(MEMBERS).ownersOf(DIGEST))
})

t.test('a member that leaves changes nothing between the others', async t => {
  const all = new Ring(MEMBERS)
  const fewer = new Ring(MEMBERS.slice(1))
  for (let i = 0; i < 100; i++) {
    const digest = digestOf(`${i}`)
    t.same(fewer.ownersOf(digest), all.ownersOf(digest).filter(owner => owner !== 'o1:1'))
  }
})

t.test('digests of one shard, in whatever case, share one row', async t => {
  const ring = new Ring(MEMBERS)
  const row = ring.ownersOf(parseDigest(`sha256:abcd${'0'.repeat(60)}`))
  t.equal(ring.ownersOf(parseDigest(`sha256:ABCD${'f'.repeat(60)}`)), row)
})

t.test('a ring of many members forgets rows and computes them again', async t => {
  const ring = new Ring(Array.from({ length: 5000 }, (_, i) => `host${i}:80`))
  const row = ring.ownersOf(DIGEST)
  for (let i = 0; i < 425; i++) ring.ownersOf(digestOf(`${i}`))
  const again = ring.ownersOf(DIGEST)
  t.not(again, row, 'it was forgotten')
  t.same(again, row)
})

t.test('nobody owns anything in an empty ring', async t => {
  t.same(new Ring([]).ownersOf(DIGEST), [])
  t.same(new Ring([]).locationsOf(DIGEST, () => true, 3), [])
})

t.test('locations', async t => {
  const ring = new Ring(MEMBERS)
  const [a = '', b = '', c = '', d = '', e = ''] = ring.ownersOf(DIGEST)
  const located = (replicasMax: number, ...healthy: string[]): string[] =>
    ring.locationsOf(DIGEST, member => healthy.includes(member), replicasMax)
  t.same(located(3, a, b, c, d, e), [a, b, c])
  t.same(located(3, c, a, d), [a, c], 'owners that are not healthy are not replaced')
  t.same(located(3, e, d), [d], 'the first healthy one further down')
  t.same(located(3), [a], 'nobody is healthy')
  t.same(located(9, e, a), [a, e])
  t.same(located(1, b), [b])
})
