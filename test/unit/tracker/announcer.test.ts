import t from 'tap'
import { digestOf } from '../../../runtime/core/digest.js'
import { parseInfoHash } from '../../../runtime/core/infohash.js'
import { type PeerInfo } from '../../../runtime/core/peer.js'
import { makePeerId } from '../../../runtime/core/peer-id.js'
import { seededPrng } from '../../../runtime/core/prng.js'
import { noLog } from '../../../runtime/observe/log.js'
import { Announcer } from '../../../runtime/tracker/announcer.js'
import { PeerStore } from '../../../runtime/tracker/peer-store.js'
import { WrittenPeer } from '../../../runtime/tracker/peer-text.js'
import { ManualTime } from '../../support/manual-time.js'

const DIGEST = digestOf('blob')
const HASH = parseInfoHash('1'.repeat(40))
const ORIGIN = new WrittenPeer(peer('origin', { isOrigin: true, isComplete: true }))

function peer (ip: string, more: Partial<PeerInfo> = {}): PeerInfo {
  return { id: makePeerId('addr_hash', ip, 16001), ip, port: 16001, isOrigin: false, isComplete: false, ...more }
}

function announcerWith (owners: () => WrittenPeer[] | Promise<WrittenPeer[]>): Announcer {
  return new Announcer({
    peers: new PeerStore({ ttlMs: 1000, torrentPeersMax: 100, peersMax: 100 }),
    origins: { owners },
    handout: (_announcer, peers, origins) => [...peers, ...origins],
    limit: 2,
    intervalMs: 3000,
    clock: new ManualTime().clock,
    prng: seededPrng(1),
    log: noLog
  })
}

function addressesIn (answer: string): string[] {
  const { peers } = JSON.parse(answer) as { peers: Array<{ ip: string }> }
  return peers.map(({ ip }) => ip)
}

t.test('the peer itself is left out, origins come on top of the limit', async t => {
  const announcer = announcerWith(() => [ORIGIN])
  t.same(addressesIn(await announcer.announce(DIGEST, HASH, peer('a'))), ['origin'])
  t.same(addressesIn(await announcer.announce(DIGEST, HASH, peer('b'))), ['a', 'origin'])
  await announcer.announce(DIGEST, HASH, peer('c'))
  t.equal(addressesIn(await announcer.announce(DIGEST, HASH, peer('d'))).length, 3)
})

t.test('a complete peer is recorded and gets nobody', async t => {
  const announcer = announcerWith(() => { throw new Error('not asked') })
  t.equal(announcer.announce(DIGEST, HASH, peer('a', { isComplete: true })), '{"peers":null,"interval":3000000000}\n')
  t.same(addressesIn(await announcer.announce(DIGEST, HASH, peer('b'))), ['a'])
})

t.test('an answer needs no promise when the origins are known', async t => {
  t.type(announcerWith(() => [ORIGIN]).announce(DIGEST, HASH, peer('a')), 'string')
  t.same(addressesIn(await announcerWith(async () => [ORIGIN]).announce(DIGEST, HASH, peer('a'))), ['origin'])
})

t.test('origins that cannot be found are left out', async t => {
  for (const owners of [() => { throw new Error('down') }, async () => { throw new Error('down') }]) {
    const announcer = announcerWith(owners)
    t.equal(await announcer.announce(DIGEST, HASH, peer('a')), '{"peers":[],"interval":3000000000}\n')
    t.same(addressesIn(await announcer.announce(DIGEST, HASH, peer('b'))), ['a'])
  }
})
