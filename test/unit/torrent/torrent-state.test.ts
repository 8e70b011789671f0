import t from 'tap'
import { Bitfield } from '../../../runtime/core/bitfield.js'
import { type Millis } from '../../../runtime/core/clock.js'
import { Lengths, type PieceIndex } from '../../../runtime/core/lengths.js'
import { type ActiveConn } from '../../../runtime/torrent/conn-table.js'
import { type ConnId } from '../../../runtime/torrent/events.js'
import { Torrent } from '../../../runtime/torrent/torrent-state.js'
import { bits, INFO_HASH, peerId, peerInfo, SELF } from '../../support/lone-scheduler.js'
import { simConfig } from '../../support/sim/swarm.js'

const COUNT = 4
const at = (ms: number): Millis => ms as Millis

function torrent (options: { isComplete?: boolean, openConnsMax?: number } = {}): Torrent {
  const { isComplete = false, openConnsMax = 10 } = options
  const have = isComplete ? Bitfield.full(COUNT) : new Bitfield(COUNT)
  return new Torrent(INFO_HASH, new Lengths(COUNT, 1), have, SELF, simConfig({ openConnsMax }), isComplete, at(0))
}

let next = 1
function connect (to: Torrent, name: string, flags: { isOrigin?: boolean, isDialled?: boolean, has?: number[], at?: number } = {}): ActiveConn {
  const { isOrigin = false, isDialled = isOrigin, has = [] } = flags
  const pending = { state: 'pending' as const, id: next++ as ConnId, peer: peerId(name), isOrigin, isDialled, storedMark: to.stored.length, since: at(0) }
  to.conns.addPending(pending)
  const conn = to.conns.activate(pending, at(flags.at ?? 0), bits(COUNT, ...has))
  to.download?.join(conn)
  return conn
}

t.test('leeching, verifying, leeching again, seeding', async t => {
  const state = torrent()
  t.ok(state.isLeeching)
  t.throws(() => state.beginVerifying(), 'with gaps')
  for (const piece of state.lengths.indices()) state.have.add(piece)
  state.beginVerifying()
  t.notOk(state.isLeeching)
  t.ok(state.download)
  t.throws(() => state.beginVerifying(), 'twice')
  state.reopened()
  t.ok(state.isLeeching)
  state.completed()
  t.ok(state.isSeeding)
  t.equal(state.download, undefined)
  t.throws(() => torrent().completed(), 'with gaps')
})

t.test('slots for origins: a fifth of all, less those that origins have, none when there is nothing to download', async t => {
  const state = torrent()
  t.equal(state.slotsForOrigins, 2)
  connect(state, 'o1', { isOrigin: true })
  t.equal(state.slotsForOrigins, 1)
  t.equal(torrent({ openConnsMax: 4 }).slotsForOrigins, 0)
  t.equal(torrent({ isComplete: true }).slotsForOrigins, 0)
})

t.test('an agent finds no slot among those for origins', async t => {
  const state = torrent({ openConnsMax: 5 })
  for (let i = 0; i < 4; i++) connect(state, `a${i}`)
  t.notOk(state.hasSlotFor(false))
  t.ok(state.hasSlotFor(true))
})

t.test('of the least use is who dialled us, has nothing for us, and has been idle for longest', async t => {
  const state = torrent()
  connect(state, 'useful', { has: [1] })
  connect(state, 'dialled', { isDialled: true })
  connect(state, 'recent', { at: 500 })
  t.equal(state.leastUseful(at(2_999)), undefined, 'too early')
  t.equal(state.leastUseful(at(3_000))?.peer, peerId('dialled'))
  t.equal(state.leastUseful(at(3_500))?.peer, peerId('recent'))
  const asked = connect(state, 'asked')
  state.download?.requests.arrive(asked.id, 2 as PieceIndex, at(0))
  t.not(state.leastUseful(at(9_000))?.peer, peerId('asked'), 'it is sending something')
})

t.test('whom nobody trusts any more is of no use', async t => {
  const state = torrent()
  const conn = connect(state, 'agent', { has: [0, 1, 2, 3] })
  t.equal(state.leastUseful(at(5_000)), undefined)
  state.download?.invalidate([])
  state.chooseWhomToTrust()
  t.equal(state.leastUseful(at(5_000)), undefined, 'no origin is known')
  state.known = [peerInfo('o', { isOrigin: true })]
  state.chooseWhomToTrust()
  t.equal(state.leastUseful(at(5_000)), conn)
})

t.test('what peers have is kept while downloading and while seeding', async t => {
  for (const isComplete of [false, true]) {
    const state = torrent({ isComplete })
    const conn = connect(state, 'a')
    t.ok(state.peerGained(conn, 1 as PieceIndex))
    t.notOk(state.peerGained(conn, 1 as PieceIndex))
    state.peerCompleted(conn)
    t.ok(conn.has.isFull)
    state.check()
  }
})

t.test('pieces that were stored and turned out wrong are not announced later', async t => {
  const state = torrent()
  for (const piece of state.lengths.indices()) {
    state.stored.push(piece)
    if (piece !== 2) state.have.add(piece)
  }
  t.same(state.storedSince(1), [1, 3])
})
