import t from 'tap'
import { INFO_HASH, LoneScheduler, ofType, peerId, peerInfo, SELF, types } from '../../support/lone-scheduler.js'
import { simConfig } from '../../support/sim/swarm.js'
import { type PeerId } from '../../../runtime/core/peer-id.js'
import { type CloseReason } from '../../../runtime/torrent/events.js'

const origin = peerInfo('origin', { isOrigin: true })
const agents = Array.from({ length: 12 }, (_, i) => peerInfo(`agent${i}`))

t.test('peers are dialled in the order of the handout, ourselves never', async t => {
  const lone = new LoneScheduler()
  lone.open()
  const out = lone.announced(peerInfo('b', { isComplete: true }), { ...peerInfo('self'), id: SELF }, origin, peerInfo('a'))
  t.same(ofType(out, 'dial').map(e => e.peer.id), [peerId('b'), origin.id, peerId('a')])
  t.same(lone.announced(origin), [], 'who is being dialled is not dialled again')
})

t.test('slots: ten in all, two of them for origins only while we download', async t => {
  const lone = new LoneScheduler()
  lone.open()
  t.equal(ofType(lone.announced(...agents), 'dial').length, 8)
  t.equal(ofType(lone.announced(...agents, origin), 'dial').length, 1)
  t.equal(lone.scheduler.connCount(INFO_HASH), 9)
  const seeder = new LoneScheduler()
  seeder.open({ isComplete: true, wanted: false })
  for (let i = 0; i < 10; i++) seeder.accept(`a${i}`)
  const conn = seeder.conn()
  t.same(seeder.incoming(conn, 'one more'), [{ type: 'refuse', conn, reason: 'at-capacity' }])
})

t.test('peers that sit idle make room for who wants in, those that are of use do not', async t => {
  const lone = new LoneScheduler({ config: simConfig({ openConnsMax: 2 }) })
  lone.open({ isComplete: true, wanted: false })
  const idle = lone.accept('idle')
  const busy = lone.accept('busy')
  lone.wait(2_900)
  lone.step({ type: 'pieceRequested', conn: busy.conn, piece: lone.piece(0) })
  const early = lone.conn()
  t.same(types(lone.incoming(early, 'new')), ['refuse'], 'not idle for long enough')
  lone.wait(100)
  const conn = lone.conn()
  t.same(lone.incoming(conn, 'new'), [
    { type: 'close', conn: idle.conn, reason: 'idle' },
    { type: 'accept', conn, neighbours: [peerId('busy')] }
  ])
})

t.test('an idle peer makes room for an origin that is to be dialled', async t => {
  const lone = new LoneScheduler({ config: simConfig({ openConnsMax: 1 }) })
  lone.open()
  const { conn } = lone.accept('idle')
  t.same(ofType(lone.announced(origin), 'dial'), [])
  t.same(types(lone.wait(3_000)).slice(-2), ['close', 'dial'])
  t.same(lone.step({ type: 'connClosed', conn, reason: 'idle' }), [])
})

for (const [what, setUp, reason] of [
  ['an unknown torrent', () => {}, 'torrent-unknown'],
  ['a second connection of a peer', (lone: LoneScheduler) => { lone.open(); lone.accept('peer') }, 'duplicate'],
  ['a peer that calls itself an origin', (lone: LoneScheduler) => { lone.open(); lone.announced(peerInfo('peer', { isOrigin: true })) }, 'wrong-peer']
] as const) {
  t.test(`${what} is refused`, async t => {
    const lone = new LoneScheduler()
    setUp(lone)
    const conn = lone.conn()
    t.same(lone.incoming(conn, 'peer'), [{ type: 'refuse', conn, reason }])
  })
}

t.test('ourselves and too many common neighbours are refused', async t => {
  const lone = new LoneScheduler({ config: { ...simConfig(), connState: { openConnsMax: 10, mutualConnsMax: 1, blacklistMs: 30_000 } } })
  lone.open()
  lone.accept('a')
  lone.accept('b')
  const conn = lone.conn()
  t.match(lone.incoming(conn, 'c', [peerId('a'), peerId('b')]), [{ type: 'refuse', reason: 'too-many-mutual' }])
  t.match(lone.incoming(conn, 'self'), [{ type: 'refuse', reason: 'self' }])
})

t.test('who used the name of an origin is put out when the origin is to be dialled', async t => {
  const lone = new LoneScheduler()
  lone.open()
  const { conn } = lone.accept('origin')
  t.same(types(lone.announced(origin)), ['close', 'dial'])
  t.same(lone.step({ type: 'connClosed', conn, reason: 'wrong-peer' }), [])
})

const LOW = '0'.repeat(40) as PeerId
const HIGH = 'f'.repeat(40) as PeerId

t.test('simultaneous open with a lower id: the incoming connection is taken, our dial given up', async t => {
  const lone = new LoneScheduler()
  lone.open()
  const [dial] = ofType(lone.announced({ ...peerInfo('low'), id: LOW }), 'dial')
  const conn = lone.conn()
  t.same(lone.step({ type: 'incoming', conn, infoHash: INFO_HASH, peer: LOW, neighbours: [] }), [
    { type: 'close', conn: dial?.conn, reason: 'superseded' },
    { type: 'accept', conn, neighbours: [] }
  ])
  t.same(lone.scheduler.blacklist(lone.now), [])
})

t.test('simultaneous open with a higher id: both are kept until ours is through, or refused', async t => {
  for (const outcome of ['handshaken', 'refused']) {
    const lone = new LoneScheduler()
    lone.open()
    const [dial] = ofType(lone.announced({ ...peerInfo('high'), id: HIGH }), 'dial')
    const conn = lone.conn()
    if (dial === undefined) throw new Error('not dialled')
    t.same(types(lone.step({ type: 'incoming', conn, infoHash: INFO_HASH, peer: HIGH, neighbours: [] })), ['accept'])
    lone.handshaken(conn)
    if (outcome === 'handshaken') t.same(lone.handshaken(dial.conn), [{ type: 'close', conn, reason: 'superseded' }])
    else t.same(lone.step({ type: 'handshakeFailed', conn: dial.conn, reason: 'remote-closed' }), [])
    t.equal(lone.scheduler.connCount(INFO_HASH), 1)
    t.same(lone.scheduler.blacklist(lone.now), [], outcome)
  }
})

t.test('pieces stored between the handshakes are announced, unless the peer has them', async t => {
  const lone = new LoneScheduler()
  lone.open({ have: [7] })
  const seed = lone.dial(origin, ...lone.everything)
  const conn = lone.conn()
  lone.incoming(conn, 'late')
  lone.deliver(seed.conn, lone.piece(0))
  lone.deliver(seed.conn, lone.piece(1))
  t.same(ofType(lone.handshaken(conn, 1), 'sendPieceAnnounce'), [{ type: 'sendPieceAnnounce', conn, piece: 0 }])
})

t.test('completion between the handshakes is told, or ends the connection that we dialled', async t => {
  const lone = new LoneScheduler({ pieceCount: 1 })
  lone.open()
  lone.announced(origin, peerInfo('a'), peerInfo('b', { isComplete: true }))
  const [toOrigin, toA, toB] = [1, 2, 3].map(n => n as ReturnType<LoneScheduler['conn']>) as Array<ReturnType<LoneScheduler['conn']>>
  if (toOrigin === undefined || toA === undefined || toB === undefined) throw new Error('unreachable')
  lone.handshaken(toOrigin, 0)
  lone.step({ type: 'payloadStarted', conn: toOrigin, piece: lone.piece(0) })
  lone.step({ type: 'pieceStored', conn: toOrigin, piece: lone.piece(0) })
  lone.step({ type: 'torrentVerified', infoHash: INFO_HASH })
  t.same(lone.handshaken(toA), [{ type: 'sendComplete', conn: toA }])
  t.same(lone.handshaken(toB, 0), [{ type: 'close', conn: toB, reason: 'both-complete' }])
})

t.test('nothing is said to a peer that connects to a complete torrent', async t => {
  const lone = new LoneScheduler()
  lone.open({ isComplete: true, wanted: false })
  t.same(lone.accept('a').effects, [])
  t.same(lone.accept('complete', ...lone.everything).effects, [])
})

for (const [reason, isActive, min, max] of [
  ['remote-closed', false, 1_000, 2_000],
  ['network', false, 30_000, 30_000],
  ['handshake-timeout', false, 30_000, 30_000],
  ['wrong-peer', false, 30_000, 30_000],
  ['protocol-violation', false, 60_000, 60_000],
  ['remote-closed', true, 1_000, 2_000],
  ['network', true, 1_000, 2_000],
  ['idle', true, 30_000, 30_000],
  ['corrupt-piece', true, 60_000, 60_000],
  ['superseded', true, 0, 0]
] as Array<[CloseReason, boolean, number, number]>) {
  t.test(`after ${reason} of ${isActive ? 'a connection' : 'a dial'} the peer is left alone for ${min} to ${max} ms`, async t => {
    const lone = new LoneScheduler()
    lone.open()
    const [dial] = ofType(lone.announced(origin), 'dial')
    if (dial === undefined) throw new Error('not dialled')
    if (isActive) lone.handshaken(dial.conn, ...lone.everything)
    const again = lone.step({ type: isActive ? 'connClosed' : 'handshakeFailed', conn: dial.conn, reason })
    const remainingMs = lone.scheduler.blacklist(lone.now)[0]?.remainingMs ?? 0
    t.ok(remainingMs >= min && remainingMs <= max, `${remainingMs}`)
    if (max === 0) return t.same(ofType(again, 'dial').length, 1, 'dialled again at once')
    t.same(ofType(again, 'dial'), [])
    t.equal(ofType(lone.wait(max + 100), 'dial').length, 1, 'dialled again without another handout')
  })
}

t.test('a peer that failed to reach us is not blamed', async t => {
  const lone = new LoneScheduler()
  lone.open()
  const conn = lone.conn()
  lone.incoming(conn, 'a')
  lone.step({ type: 'handshakeFailed', conn, reason: 'network' })
  t.same(lone.scheduler.blacklist(lone.now), [])
})

t.test('connections that are idle or too old are closed, at the preemption interval', async t => {
  const lone = new LoneScheduler({ config: { ...simConfig(), connTtlMs: 100_000 } })
  lone.open({ isComplete: true, wanted: false })
  lone.announced()
  const idle = lone.accept('idle')
  const busy = lone.accept('busy')
  const closed = []
  for (let i = 0; i < 13; i++) {
    lone.step({ type: 'pieceRequested', conn: busy.conn, piece: lone.piece(0) })
    closed.push(...ofType(lone.wait(10_000), 'close').map(e => [e.conn, e.reason, lone.now]))
  }
  t.same(closed, [[idle.conn, 'idle', 40_000], [busy.conn, 'too-old', 130_000]])
})

t.test('a handshake that leads nowhere is given up', async t => {
  const lone = new LoneScheduler()
  lone.open()
  lone.announced(origin)
  t.same(ofType(lone.wait(20_000), 'close'), [])
  t.match(ofType(lone.wait(200), 'close'), [{ reason: 'handshake-timeout' }])
})

t.test('a peer whose connection has been quiet for long may connect anew', async t => {
  const lone = new LoneScheduler()
  lone.open({ isComplete: true, wanted: false })
  const first = lone.accept('a')
  lone.wait(5_100)
  const conn = lone.conn()
  t.same(types(lone.incoming(conn, 'a')), ['close', 'accept'])
  t.not(first.conn, conn)
  t.equal(lone.scheduler.connCount(INFO_HASH), 1)
})
