import fc from '../../support/fc.js'
import t from 'tap'
import { type PeerInfo } from '../../../runtime/core/peer.js'
import { seededPrng } from '../../../runtime/core/prng.js'
import { handout } from '../../../runtime/tracker/handout.js'
import { peerInfo } from '../../support/lone-scheduler.js'

const me = peerInfo('me')
const leechers = ['l1', 'l2', 'l3', 'l4'].map(name => peerInfo(name))
const seeders = ['s1', 's2'].map(name => peerInfo(name, { isComplete: true }))
const origins = ['o1', 'o2'].map(name => peerInfo(name, { isOrigin: true }))

t.test('completeness: complete agents, then origins, then the others, without the announcer', async t => {
  const peers = handout('completeness', me, [me, ...leechers, ...seeders], origins, 50, seededPrng(1))
  t.same(peers.slice(0, 2).sort(byId), [...seeders].sort(byId))
  t.same(peers.slice(2, 4).sort(byId), [...origins].sort(byId))
  t.same(peers.slice(4).sort(byId), [...leechers].sort(byId))
})

t.test('equals come in any order', async t => {
  const firsts = new Set(Array.from({ length: 100 }, (_, seed) => handout('completeness', me, leechers, [], 50, seededPrng(seed))[0]?.id))
  t.equal(firsts.size, leechers.length)
})

t.test('default: everybody in any order', async t => {
  const firsts = new Set(Array.from({ length: 200 }, (_, seed) => handout('default', me, leechers, origins, 50, seededPrng(seed))[0]?.id))
  t.equal(firsts.size, leechers.length + origins.length)
})

t.test('the limit holds for peers and not for origins', async t => {
  t.equal(handout('completeness', me, [...leechers, ...seeders], origins, 3, seededPrng(1)).length, 5)
  t.equal(handout('completeness', me, leechers, origins, 0, seededPrng(1)).length, 2)
})

t.test('an origin that announced itself is named once, as an origin', async t => {
  const [first] = origins
  const peers = handout('completeness', me, [peerInfo('o1'), ...leechers], origins, 50, seededPrng(1))
  t.equal(peers.filter(peer => peer.id === first?.id).length, 1)
  t.ok(peers.find(peer => peer.id === first?.id)?.isOrigin)
})

t.test('nobody is handed out twice, nor to himself, and nothing handed in is changed', async t => {
  const flags = fc.record({ isOrigin: fc.constant(false), isComplete: fc.boolean() })
  const some = fc.uniqueArray(fc.tuple(fc.nat(30), flags), { selector: ([n]) => n }).map(list => list.map(([n, f]) => peerInfo(`p${n}`, f)))
  fc.assert(fc.property(some, fc.nat(60), fc.integer(), fc.constantFrom('default' as const, 'completeness' as const), (peers, limit, seed, policy) => {
    const before = [...peers]
    const announcer = peers[0] ?? me
    const result = handout(policy, announcer, peers, origins, limit, seededPrng(seed))
    return new Set(result.map(peer => peer.id)).size === result.length && !result.includes(announcer) &&
      result.length <= limit + origins.length && before.every((peer, i) => peer === peers[i])
  }))
  t.pass()
})

function byId (a: PeerInfo, b: PeerInfo): number { return a.id < b.id ? -1 : 1 }
