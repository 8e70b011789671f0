import t from 'tap'
import { INFO_HASH, LoneScheduler, ofType, peerInfo, types } from '../../support/lone-scheduler.js'
import { simConfig } from '../../support/sim/swarm.js'
import { Bitfield } from '../../../runtime/core/bitfield.js'

const origin = peerInfo('origin', { isOrigin: true })

t.test('a wanted torrent is announced at once, another one at the next tick', async t => {
  const wanted = new LoneScheduler()
  t.same(wanted.open(), [{ type: 'announce', infoHash: INFO_HASH, isComplete: false }])
  t.same(wanted.step({ type: 'torrentWanted', infoHash: INFO_HASH }), [], 'an announce is under way')
  wanted.announced()
  t.same(types(wanted.step({ type: 'torrentWanted', infoHash: INFO_HASH })), ['announce'], 'every call asks')
  const resumed = new LoneScheduler()
  t.same(resumed.open({ wanted: false, have: [1] }), [])
  t.same(types(resumed.wait(100)), ['announce'])
})

t.test('the announce is repeated after the interval that the tracker names, sooner while there is nobody', async t => {
  const lone = new LoneScheduler()
  lone.open()
  lone.announced()
  t.same(types(lone.wait(900)), [])
  t.same(types(lone.wait(200)), ['announce'])
  const busy = new LoneScheduler()
  busy.open()
  busy.dial(origin, ...busy.everything)
  t.same(ofType(busy.wait(2_900), 'announce'), [])
  t.same(ofType(busy.wait(200), 'announce').length, 1)
})

t.test('with all slots taken by useful peers nothing is announced', async t => {
  const full = new LoneScheduler({ config: simConfig({ openConnsMax: 1 }) })
  full.open()
  full.dial(origin, ...full.everything)
  t.same(ofType(full.wait(3_200), 'announce'), [])
})

t.test('an announce that fails is repeated', async t => {
  const lone = new LoneScheduler()
  lone.open()
  t.same(lone.step({ type: 'announceFailed', infoHash: INFO_HASH }), [])
  t.same(types(lone.wait(2_100)), ['announce'])
})

t.test('a complete torrent is announced once as complete, and again only if the tracker did not hear it', async t => {
  const lone = new LoneScheduler()
  t.same(lone.open({ isComplete: true, wanted: false }), [{ type: 'announce', infoHash: INFO_HASH, isComplete: true }])
  lone.step({ type: 'announceFailed', infoHash: INFO_HASH })
  t.same(ofType(lone.wait(2_100), 'announce'), [{ type: 'announce', infoHash: INFO_HASH, isComplete: true }])
  lone.announced()
  t.same(ofType(lone.wait(60_000), 'announce'), [])
})

t.test('an origin neither announces nor dials', async t => {
  const lone = new LoneScheduler({ isSeederOnly: true })
  t.same(lone.open({ isComplete: true, wanted: false }), [])
  t.same(lone.announced(peerInfo('a')), [])
  t.same(lone.wait(60_000), [])
})

t.test('a blob comes in: announce, dial, request, store, verify, tell everybody', async t => {
  const lone = new LoneScheduler({ pieceCount: 2 })
  lone.open()
  const seed = lone.dial(origin, 0, 1)
  t.same(ofType(seed.effects, 'request').map(e => e.piece).sort(), [0, 1])
  const { conn: other } = lone.accept('other')
  t.same(lone.deliver(seed.conn, lone.piece(0)), [
    { type: 'receive', conn: seed.conn, piece: 0 },
    { type: 'sendPieceAnnounce', conn: other, piece: 0 }
  ])
  t.same(types(lone.deliver(seed.conn, lone.piece(1))), ['receive', 'sendPieceAnnounce', 'verifyTorrent'])
  t.same(lone.step({ type: 'torrentVerified', infoHash: INFO_HASH }), [
    { type: 'close', conn: seed.conn, reason: 'both-complete' },
    { type: 'sendComplete', conn: other },
    { type: 'announce', infoHash: INFO_HASH, isComplete: true }
  ])
  t.same(lone.step({ type: 'torrentVerified', infoHash: INFO_HASH }), [], 'only once')
  t.same(lone.scheduler.blacklist(lone.now).map(entry => entry.peerId), [origin.id])
  t.equal(lone.scheduler.stats.bytesFromOrigins, 2048)
})

t.test('all pieces stored and not yet verified: the whole is verified first', async t => {
  const lone = new LoneScheduler()
  t.same(lone.open({ have: lone.everything }), [{ type: 'verifyTorrent', infoHash: INFO_HASH }])
  t.same(ofType(lone.wait(10_000), 'announce'), [])
  t.same(types(lone.step({ type: 'torrentVerified', infoHash: INFO_HASH })), ['announce'])
})

t.test('a full bitfield that says nothing of being verified is so unless somebody waits', async t => {
  for (const [wanted, first] of [[true, 'verifyTorrent'], [false, 'announce']] as const) {
    const lone = new LoneScheduler()
    const out = lone.step({ type: 'torrentOpened', infoHash: INFO_HASH, lengths: lone.lengths, have: Bitfield.full(8), wanted })
    t.same(types(out), [first])
  }
})

t.test('a blob without pieces needs no peers', async t => {
  const lone = new LoneScheduler({ pieceCount: 0 })
  t.same(lone.open(), [{ type: 'verifyTorrent', infoHash: INFO_HASH }])
  t.same(lone.step({ type: 'torrentVerified', infoHash: INFO_HASH }), [{ type: 'announce', infoHash: INFO_HASH, isComplete: true }])
})

t.test('a wrong blob: agents that delivered are banned, their pieces fetched again from origins only', async t => {
  const lone = new LoneScheduler({ pieceCount: 2 })
  lone.open()
  lone.announced(origin, peerInfo('liar', { isComplete: true }))
  const [toOrigin, toLiar] = [1, 2].map(n => n as ReturnType<LoneScheduler['conn']>) as [ReturnType<LoneScheduler['conn']>, ReturnType<LoneScheduler['conn']>]
  lone.handshaken(toLiar, 0, 1)
  lone.handshaken(toOrigin, 0, 1)
  lone.deliver(toLiar, lone.piece(0))
  t.match(types(lone.deliver(toLiar, lone.piece(1))), ['receive', 'verifyTorrent'])
  const out = lone.step({ type: 'piecesInvalidated', infoHash: INFO_HASH, pieces: [lone.piece(0), lone.piece(1)] })
  t.same(ofType(out, 'close'), [{ type: 'close', conn: toLiar, reason: 'corrupt-piece' }])
  t.same(ofType(out, 'announce').length, 1)
  t.same(ofType(out, 'request').map(e => e.conn), [toOrigin, toOrigin])
  const agent = lone.accept('agent', 0, 1)
  t.same(ofType(agent.effects, 'request'), [])
  t.same(types(lone.step({ type: 'payloadStarted', conn: agent.conn, piece: lone.piece(0) })), ['discard'], 'nor is it let in unasked')
  lone.deliver(toOrigin, lone.piece(0))
  t.same(types(lone.deliver(toOrigin, lone.piece(1))), ['receive', 'verifyTorrent'])
})

t.test('a blob that stays wrong is given up', async t => {
  const lone = new LoneScheduler({ pieceCount: 1, config: { ...simConfig(), connState: { openConnsMax: 10, mutualConnsMax: 10, blacklistMs: 0 } } })
  lone.open()
  for (let attempt = 1; ; attempt++) {
    const { conn } = lone.dial(origin, 0)
    lone.deliver(conn, lone.piece(0))
    const out = lone.step({ type: 'piecesInvalidated', infoHash: INFO_HASH, pieces: [lone.piece(0)] })
    const [failure] = ofType(out, 'failTorrent')
    if (failure === undefined) continue
    t.equal(attempt, 5)
    t.match(failure, { code: 'CORRUPT', deleteFiles: true })
    t.same(types(out).slice(-2), ['failTorrent', 'forgetTorrent'])
    break
  }
  t.equal(lone.scheduler.torrentCount, 0)
})

t.test('a removed torrent: connections are closed, and a new download of it may dial at once', async t => {
  const lone = new LoneScheduler()
  lone.open()
  const { conn } = lone.dial(origin, ...lone.everything)
  t.same(lone.step({ type: 'torrentRemoved', infoHash: INFO_HASH }), [{ type: 'close', conn, reason: 'torrent-removed' }])
  t.same(lone.step({ type: 'connClosed', conn, reason: 'torrent-removed' }), [])
  t.same(lone.step({ type: 'pieceStored', conn, piece: lone.piece(0) }), [])
  t.equal(lone.scheduler.connCount(INFO_HASH), 0)
  lone.open()
  t.same(types(lone.announced(origin)), ['dial'])
})

t.test('a seeder is forgotten when no piece goes either way for long enough', async t => {
  const lone = new LoneScheduler()
  lone.open({ isComplete: true, wanted: false })
  lone.announced()
  lone.wait(200_000)
  const { conn } = lone.accept('a')
  t.same(types(lone.step({ type: 'pieceRequested', conn, piece: lone.piece(0) })), ['serve'])
  lone.step({ type: 'connClosed', conn, reason: 'remote-closed' })
  t.same(lone.wait(290_000), [], 'measured from the piece that was served last')
  t.same(lone.wait(40_000), [{ type: 'forgetTorrent', infoHash: INFO_HASH }])
  t.equal(lone.scheduler.torrentCount, 0)
})

t.test('a download that gets nothing for too long fails, with what may be the reason', async t => {
  const lone = new LoneScheduler()
  lone.open()
  const failure = ofType(lone.wait(330_000), 'failTorrent')
  t.match(failure, [{ code: 'TIMED_OUT', deleteFiles: true }])
  const full = new LoneScheduler({ pieceCount: 1 })
  full.open()
  const { conn } = full.dial(origin, 0)
  full.step({ type: 'payloadStarted', conn, piece: full.piece(0) })
  full.step({ type: 'pieceDropped', conn, piece: full.piece(0) })
  t.match(ofType(full.wait(330_000), 'failTorrent'), [{ code: 'STORAGE' }])
})

t.test('shutdown closes everything', async t => {
  const lone = new LoneScheduler()
  lone.open()
  const { conn } = lone.accept('a')
  t.same(lone.step({ type: 'shutdown' }), [{ type: 'close', conn, reason: 'shutdown' }])
  t.same(lone.wait(1_000), [])
})

t.test('a torrent is opened once, with a bitfield of its length', async t => {
  const lone = new LoneScheduler()
  lone.open()
  t.throws(() => lone.open())
  t.throws(() => new LoneScheduler().step({ type: 'torrentOpened', infoHash: INFO_HASH, lengths: lone.lengths, have: new Bitfield(7), wanted: true }))
})

t.test('news of what is gone is ignored', async t => {
  const lone = new LoneScheduler()
  const conn = lone.conn()
  const piece = lone.piece(0)
  for (const type of ['pieceAnnounced', 'pieceRequested', 'payloadStarted', 'pieceStored', 'pieceCorrupt', 'pieceDropped', 'requestRefused'] as const) {
    t.same(lone.step({ type, conn, piece }), [], type)
  }
  t.same(lone.step({ type: 'peerCompleted', conn }), [])
  t.same(lone.handshaken(conn), [])
  t.same(lone.announced(origin), [])
  t.same(lone.step({ type: 'torrentVerified', infoHash: INFO_HASH }), [])
})
