import t from 'tap'
import { type Millis } from '../../../runtime/core/clock.js'
import { seededPrng } from '../../../runtime/core/prng.js'
import { Blacklist } from '../../../runtime/torrent/blacklist.js'
import { INFO_HASH, peerId } from '../../support/lone-scheduler.js'

const A = { peer: peerId('a'), isDialled: true }
const AGENT = { id: A.peer, isOrigin: false }
const at = (ms: number): Millis => ms as Millis
const prng = seededPrng(3)

t.test('a pause lasts as long as configured and is not shortened', async t => {
  const list = new Blacklist(30_000)
  list.pause(INFO_HASH, A, at(1_000), 'idle')
  t.ok(list.blocks(INFO_HASH, AGENT, at(30_999)))
  t.notOk(list.blocks(INFO_HASH, AGENT, at(31_000)))
  list.retry(INFO_HASH, A, at(1_500), 'remote-closed', prng)
  t.ok(list.blocks(INFO_HASH, AGENT, at(30_999)))
  t.same(list.entries(at(1_000)), [{ peerId: A.peer, infoHash: INFO_HASH, remainingMs: 30_000 }])
  t.same(list.entries(at(31_000)), [])
})

t.test('a retry waits one to two seconds, then longer each time, up to the configured time', async t => {
  const list = new Blacklist(30_000)
  let now = at(0)
  const waits: number[] = []
  for (let i = 0; i < 8; i++) {
    list.retry(INFO_HASH, A, now, 'remote-closed', prng)
    const [entry] = list.entries(now)
    waits.push(entry?.remainingMs ?? 0)
    now = at(now + (entry?.remainingMs ?? 0))
  }
  t.ok((waits[0] ?? 0) >= 1_000 && (waits[0] ?? 0) <= 2_000, `${waits[0]}`)
  t.ok((waits[2] ?? 0) >= 4_000 && (waits[2] ?? 0) <= 8_000, `${waits[2]}`)
  t.ok(waits.every(wait => wait <= 30_000))
  list.forgive(INFO_HASH, A.peer)
  list.retry(INFO_HASH, A, now, 'remote-closed', prng)
  t.ok((list.entries(now)[0]?.remainingMs ?? 0) <= 2_000, 'it worked meanwhile')
})

t.test('a ban keeps the peer out, longer each time', async t => {
  const list = new Blacklist(30_000)
  list.ban(INFO_HASH, A, at(0), 'corrupt-piece')
  t.equal(list.banned(INFO_HASH, A.peer, at(59_999)), 'corrupt-piece')
  t.ok(list.blocks(INFO_HASH, AGENT, at(59_999)))
  t.equal(list.banned(INFO_HASH, A.peer, at(60_000)), undefined)
  list.ban(INFO_HASH, A, at(60_000), 'corrupt-piece')
  t.equal(list.banned(INFO_HASH, A.peer, at(179_999)), 'corrupt-piece')
  t.equal(list.banned(INFO_HASH, A.peer, at(180_000)), undefined)
  for (let i = 0; i < 40; i++) list.ban(INFO_HASH, A, at(0), 'corrupt-piece')
  t.equal(list.entries(at(0))[0]?.remainingMs, 3_600_000, 'an hour at most')
})

t.test('who came in under a name does not spoil it for the one who is dialled under that name', async t => {
  const list = new Blacklist(30_000)
  const impostor = { ...A, isDialled: false }
  list.ban(INFO_HASH, impostor, at(0), 'corrupt-piece')
  t.equal(list.banned(INFO_HASH, A.peer, at(1)), 'corrupt-piece')
  t.notOk(list.blocks(INFO_HASH, AGENT, at(1)))
  list.pause(INFO_HASH, impostor, at(0), 'idle')
  t.ok(list.blocks(INFO_HASH, AGENT, at(1)))
  t.notOk(list.blocks(INFO_HASH, { id: A.peer, isOrigin: true }, at(1)), 'an origin never dials, so it was not the one')
})

t.test('clearing lifts all but bans', async t => {
  const list = new Blacklist(30_000)
  list.pause(INFO_HASH, A, at(0), 'idle')
  list.ban(INFO_HASH, { peer: peerId('b'), isDialled: true }, at(0), 'lying-bitfield')
  list.clear(INFO_HASH, at(1))
  t.same(list.entries(at(1)).map(entry => entry.peerId), [peerId('b')])
})

t.test('what is long over is forgotten', async t => {
  const list = new Blacklist(30_000)
  list.ban(INFO_HASH, A, at(0), 'corrupt-piece')
  list.sweep(at(660_000))
  list.ban(INFO_HASH, A, at(660_000), 'corrupt-piece')
  t.equal(list.entries(at(660_000))[0]?.remainingMs, 120_000, 'remembered for ten minutes')
  list.sweep(at(1_380_001))
  list.ban(INFO_HASH, A, at(1_380_001), 'corrupt-piece')
  t.equal(list.entries(at(1_380_001))[0]?.remainingMs, 60_000)
})

t.test('disabled, it keeps nothing but the pause before a retry', async t => {
  const list = new Blacklist(0)
  list.pause(INFO_HASH, A, at(0), 'idle')
  list.ban(INFO_HASH, A, at(0), 'corrupt-piece')
  t.same(list.entries(at(0)), [])
  list.retry(INFO_HASH, A, at(0), 'remote-closed', prng)
  t.ok((list.entries(at(0))[0]?.remainingMs ?? 0) <= 2_000)
})
