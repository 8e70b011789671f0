import t from 'tap'
import fc from '../../support/fc.js'
import { type Millis } from '../../../runtime/core/clock.js'
import { parseInfoHash, type InfoHash } from '../../../runtime/core/infohash.js'
import { type PeerInfo } from '../../../runtime/core/peer.js'
import { parsePeerId, type PeerId } from '../../../runtime/core/peer-id.js'
import { seededPrng } from '../../../runtime/core/prng.js'
import { PeerStore } from '../../../runtime/tracker/peer-store.js'

const NOBODY = parsePeerId('f'.repeat(40))
const HASH = hash(1)
const wide = { ttlMs: 1000, torrentPeersMax: 100, peersMax: 1000 }
const prng = seededPrng(7)

function at (ms: number): Millis { return ms as Millis }
function hash (n: number): InfoHash { return parseInfoHash(n.toString(16).padStart(40, '0')) }
function id (n: number): PeerId { return parsePeerId(n.toString(16).padStart(40, '0')) }
function peer (n: number, more: Partial<PeerInfo> = {}): PeerInfo {
  return { id: id(n), ip: `10.0.0.${n % 256}`, port: 16001, isOrigin: false, isComplete: false, ...more }
}
function idsIn (store: PeerStore, infoHash = HASH, now = 0, count = 1000): string[] {
  return store.sample(at(now), infoHash, count, NOBODY, prng).map(found => found.id).sort()
}

await t.test('an announced peer is handed out as announced, but never as an origin', async t => {
  const store = new PeerStore(wide)
  store.update(at(0), HASH, peer(1, { isOrigin: true, isComplete: true }))
  const [found] = store.sample(at(0), HASH, 10, NOBODY, prng)
  t.match(found, { id: id(1), ip: '10.0.0.1', port: 16001, isOrigin: false, isComplete: true })
  t.same(JSON.parse(found?.json ?? ''), { peer_id: [...new Array<number>(19).fill(0), 1], ip: '10.0.0.1', port: 16001, origin: false, complete: true })
  t.same(idsIn(store, hash(2)), [], 'another torrent has nobody')
})

await t.test('a second announce refreshes address, completeness and expiry', async t => {
  const store = new PeerStore(wide)
  store.update(at(0), HASH, peer(1))
  store.update(at(900), HASH, peer(1, { ip: '10.9.9.9', isComplete: true }))
  const [found, ...others] = store.sample(at(1500), HASH, 10, NOBODY, prng)
  t.match(found, { ip: '10.9.9.9', isComplete: true })
  t.match(found?.json, '"ip":"10.9.9.9","port":16001,"origin":false,"complete":true')
  t.same(others, [])
  t.equal(store.peerCount, 1)
})

await t.test('a peer is gone when its time is over, not a millisecond earlier', async t => {
  const store = new PeerStore(wide)
  store.update(at(0), HASH, peer(1))
  store.update(at(500), HASH, peer(2))
  t.same(idsIn(store, HASH, 999), [id(1), id(2)])
  t.same(idsIn(store, HASH, 1000), [id(2)])
  t.same(idsIn(store, HASH, 1500), [])
  t.equal(store.peerCount, 0)
  t.equal(store.torrentCount, 0)
})

await t.test('torrents that nobody asks for are forgotten as others are announced', async t => {
  const store = new PeerStore(wide)
  for (let n = 0; n < 50; n++) store.update(at(n), hash(n), peer(n))
  for (let n = 0; n < 50; n++) store.update(at(2000 + n), hash(1000), peer(n))
  t.equal(store.torrentCount, 1)
  t.equal(store.peerCount, 50)
})

await t.test('a full torrent loses the peer that was silent for the longest time', async t => {
  const store = new PeerStore({ ...wide, torrentPeersMax: 3 })
  for (const n of [1, 2, 3, 1, 4]) store.update(at(0), HASH, peer(n))
  t.same(idsIn(store), [id(1), id(3), id(4)])
})

await t.test('a full store loses a peer of the torrent that was silent for the longest time', async t => {
  const store = new PeerStore({ ...wide, peersMax: 3 })
  store.update(at(0), hash(1), peer(1))
  store.update(at(0), hash(1), peer(2))
  store.update(at(0), hash(2), peer(3))
  store.update(at(0), hash(3), peer(4))
  t.same([hash(1), hash(2), hash(3)].map(infoHash => idsIn(store, infoHash)), [[id(2)], [id(3)], [id(4)]])
})

await t.test('limits of one still keep the newest peer', async t => {
  for (const limits of [{ ...wide, peersMax: 1 }, { ...wide, torrentPeersMax: 1 }]) {
    const store = new PeerStore(limits)
    for (let n = 1; n < 5; n++) store.update(at(0), HASH, peer(n))
    t.same(idsIn(store), [id(4)])
    t.equal(store.peerCount, 1)
  }
})

await t.test('a sample is distinct, bounded, without the one who asks, and in the end fair', async t => {
  const store = new PeerStore(wide)
  for (let n = 0; n < 20; n++) store.update(at(0), HASH, peer(n))
  const seen = new Map<string, number>()
  for (let turn = 0; turn < 2000; turn++) {
    const ids = store.sample(at(0), HASH, 5, id(0), prng).map(found => found.id)
    if (ids.length !== 5 || new Set(ids).size !== 5 || ids.includes(id(0))) t.fail(`bad sample ${ids.join()}`)
    for (const found of ids) seen.set(found, (seen.get(found) ?? 0) + 1)
  }
  t.equal(seen.size, 19)
  // 2000 draws of 5 out of 19 make 526 each; five standard deviations are about 100.
  for (const count of seen.values()) if (count < 426 || count > 626) t.fail(`drawn ${count} times`)
})

await t.test('any history leaves what a plain list would hold', async () => {
  const step = fc.record({ wait: fc.integer({ min: 0, max: 400 }), torrent: fc.integer({ min: 0, max: 3 }), peer: fc.integer({ min: 0, max: 6 }) })
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 5 }), (steps, torrentPeersMax) => {
    const store = new PeerStore({ ttlMs: 1000, torrentPeersMax, peersMax: 1000 })
    const lists = new Map<number, Array<{ n: number, at: number }>>()
    let now = 0
    for (const { wait, torrent, peer: n } of steps) {
      now += wait
      store.update(at(now), hash(torrent), peer(n))
      const list = (lists.get(torrent) ?? []).filter(other => other.n !== n && other.at + 1000 > now)
      lists.set(torrent, [...list, { n, at: now }].slice(-torrentPeersMax))
    }
    for (const [torrent, list] of lists) {
      const wanted = list.filter(other => other.at + 1000 > now).map(other => id(other.n)).sort()
      if (idsIn(store, hash(torrent), now).join() !== wanted.join()) return false
    }
    return store.peerCount <= 7 * 4
  }))
})
