import t from 'tap'
import { LoneScheduler, ofType, peerId, peerInfo, types } from '../../support/lone-scheduler.js'
import { simConfig } from '../../support/sim/swarm.js'

const origin = peerInfo('origin', { isOrigin: true })

t.test('an agent is asked for three pieces, an origin for two and for one more with each that it delivers', async t => {
  const lone = new LoneScheduler({ pieceCount: 40 })
  lone.open()
  t.equal(ofType(lone.accept('seeder', ...lone.everything).effects, 'request').length, 3)
  const other = new LoneScheduler({ pieceCount: 40 })
  other.open()
  const { conn, effects } = other.dial(origin, ...other.everything)
  const asked = ofType(effects, 'request').map(e => e.piece)
  const counts = [asked.length]
  for (let piece = asked.shift(); piece !== undefined && counts.length < 6; piece = asked.shift()) {
    asked.push(...ofType(other.deliver(conn, piece), 'request').map(e => e.piece))
    counts.push(asked.length)
  }
  t.same(counts, [2, 3, 4, 5, 5, 5])
})

t.test('every peer with quota is asked, not only the one that something came from', async t => {
  const lone = new LoneScheduler({ pieceCount: 3 })
  lone.open()
  const a = lone.accept('a', 0, 1, 2)
  const b = lone.accept('b', 0, 1, 2)
  t.equal(ofType(a.effects, 'request').length, 3)
  t.same(ofType(b.effects, 'request'), [], 'nobody is asked for a piece twice')
  const out = lone.step({ type: 'connClosed', conn: a.conn, reason: 'network' })
  t.same(ofType(out, 'request').map(e => [e.conn, e.piece]).sort(), [0, 1, 2].map(piece => [b.conn, piece]))
})

t.test('few pieces come from many sides', async t => {
  const lone = new LoneScheduler({ pieceCount: 3 })
  lone.open()
  const seeds = ['a', 'b', 'c'].map(name => lone.accept(name))
  for (const { conn } of seeds) lone.step({ type: 'pieceAnnounced', conn, piece: lone.piece(0) })
  const out = seeds.flatMap(({ conn }) => lone.step({ type: 'peerCompleted', conn }))
  t.equal(new Set(ofType(out, 'request').map(e => e.piece)).size, ofType(out, 'request').length)
})

t.test('an announced piece is asked for, an announced one that we have is not, nor one announced twice', async t => {
  const lone = new LoneScheduler()
  lone.open({ have: [1] })
  const { conn } = lone.accept('a')
  t.same(lone.step({ type: 'pieceAnnounced', conn, piece: lone.piece(0) }), [{ type: 'request', conn, piece: 0 }])
  t.same(lone.step({ type: 'pieceAnnounced', conn, piece: lone.piece(0) }), [])
  t.same(lone.step({ type: 'pieceAnnounced', conn, piece: lone.piece(1) }), [])
})

t.test('a piece is announced to those that lack it and to nobody else', async t => {
  const lone = new LoneScheduler()
  lone.open()
  const seed = lone.dial(origin, ...lone.everything)
  const lacking = lone.accept('lacking', 5)
  lone.accept('having', 0)
  lone.accept('complete', ...lone.everything)
  t.same(ofType(lone.deliver(seed.conn, lone.piece(0)), 'sendPieceAnnounce'), [{ type: 'sendPieceAnnounce', conn: lacking.conn, piece: 0 }])
})

t.test('a piece that is here is served, another refused', async t => {
  const lone = new LoneScheduler()
  lone.open({ have: [2] })
  const { conn } = lone.accept('a')
  t.same(lone.step({ type: 'pieceRequested', conn, piece: lone.piece(2) }), [{ type: 'serve', conn, piece: 2 }])
  t.same(lone.step({ type: 'pieceRequested', conn, piece: lone.piece(3) }), [{ type: 'sendError', conn, piece: 3, text: 'piece not complete' }])
})

t.test('a peer that becomes complete is let go by a seeder', async t => {
  const lone = new LoneScheduler()
  lone.open({ isComplete: true, wanted: false })
  const { conn } = lone.accept('a')
  t.same(lone.step({ type: 'peerCompleted', conn }), [{ type: 'close', conn, reason: 'both-complete' }])
  const other = lone.accept('b')
  for (const piece of lone.lengths.indices()) lone.step({ type: 'pieceAnnounced', conn: other.conn, piece })
  t.same(lone.step({ type: 'pieceAnnounced', conn: other.conn, piece: lone.piece(7) }), [], 'an announce after all were announced')
})

t.test('a corrupt piece: its sender is cut off and kept out, the piece asked of another at once', async t => {
  const lone = new LoneScheduler({ pieceCount: 1 })
  lone.open()
  const bad = lone.accept('bad', 0)
  const good = lone.accept('good', 0)
  lone.step({ type: 'payloadStarted', conn: bad.conn, piece: lone.piece(0) })
  t.same(lone.step({ type: 'pieceCorrupt', conn: bad.conn, piece: lone.piece(0) }), [
    { type: 'close', conn: bad.conn, reason: 'corrupt-piece' },
    { type: 'request', conn: good.conn, piece: 0 }
  ])
  const conn = lone.conn()
  t.same(lone.incoming(conn, 'bad'), [{ type: 'refuse', conn, reason: 'corrupt-piece' }])
  t.same(types(lone.incoming(conn, 'somebody else')), ['accept'])
})

t.test('a piece that could not be kept is asked for again after a second', async t => {
  const lone = new LoneScheduler({ pieceCount: 1 })
  lone.open()
  const { conn } = lone.accept('a', 0)
  lone.step({ type: 'payloadStarted', conn, piece: lone.piece(0) })
  t.same(lone.step({ type: 'pieceDropped', conn, piece: lone.piece(0) }), [])
  t.same(ofType(lone.wait(900), 'request'), [])
  t.same(ofType(lone.wait(100), 'request'), [{ type: 'request', conn, piece: 0 }])
})

t.test('a piece whose connection ends while it is hashed still counts', async t => {
  const lone = new LoneScheduler({ pieceCount: 2 })
  lone.open()
  const { conn } = lone.accept('a', 0, 1)
  const other = lone.accept('b', 0, 1)
  lone.step({ type: 'payloadStarted', conn, piece: lone.piece(0) })
  const out = lone.step({ type: 'connClosed', conn, reason: 'network' })
  t.same(ofType(out, 'request').map(e => e.piece).sort(), [0, 1], 'nobody knows yet whether it was all there')
  lone.step({ type: 'pieceStored', conn, piece: lone.piece(0) })
  t.same(types(lone.step({ type: 'payloadStarted', conn: other.conn, piece: lone.piece(0) })), ['discard'])
  t.same(types(lone.deliver(other.conn, lone.piece(1))), ['receive', 'verifyTorrent'])
})

t.test('a corrupt piece is held against a peer that has gone', async t => {
  const lone = new LoneScheduler({ pieceCount: 2 })
  lone.open()
  const { conn } = lone.accept('a', 0)
  lone.step({ type: 'payloadStarted', conn, piece: lone.piece(0) })
  lone.step({ type: 'connClosed', conn, reason: 'remote-closed' })
  lone.step({ type: 'pieceCorrupt', conn, piece: lone.piece(0) })
  const again = lone.conn()
  t.match(lone.incoming(again, 'a'), [{ type: 'refuse', reason: 'corrupt-piece' }])
})

t.test('payloads: taken unasked if missing, not if here or arriving elsewhere, and only so many', async t => {
  const lone = new LoneScheduler({ pieceCount: 20 })
  lone.open({ have: [0] })
  const a = lone.accept('a')
  const b = lone.accept('b')
  t.same(types(lone.step({ type: 'payloadStarted', conn: a.conn, piece: lone.piece(0) })), ['discard'])
  t.same(types(lone.step({ type: 'payloadStarted', conn: a.conn, piece: lone.piece(1) })), ['receive'])
  t.same(types(lone.step({ type: 'payloadStarted', conn: b.conn, piece: lone.piece(1) })), ['discard'])
  t.same(types(lone.step({ type: 'pieceStored', conn: a.conn, piece: lone.piece(1) })), ['sendPieceAnnounce'], 'to b, not to a')
  for (let i = 0; i < 7; i++) t.same(types(lone.step({ type: 'payloadStarted', conn: b.conn, piece: lone.piece(0) })), ['discard'])
  t.same(types(lone.step({ type: 'payloadStarted', conn: b.conn, piece: lone.piece(0) })), ['discard', 'close'])
})

t.test('a seeder takes no pieces', async t => {
  const lone = new LoneScheduler()
  lone.open({ isComplete: true, wanted: false })
  const { conn } = lone.accept('a')
  for (let i = 0; i < 8; i++) t.same(types(lone.step({ type: 'payloadStarted', conn, piece: lone.piece(i) })), ['discard'])
  t.same(lone.step({ type: 'payloadStarted', conn, piece: lone.piece(0) }).at(-1), { type: 'close', conn, reason: 'protocol-violation' })
})

t.test('a peer that refuses what it announced is not asked for that again, and cut off after eight times', async t => {
  const lone = new LoneScheduler({ pieceCount: 20 })
  lone.open()
  const { conn, effects } = lone.accept('liar', ...lone.everything)
  const asked = ofType(effects, 'request').map(e => e.piece)
  const refused = new Set<number>()
  for (let piece = asked.shift(); piece !== undefined; piece = asked.shift()) {
    t.notOk(refused.has(piece))
    refused.add(piece)
    const out = lone.step({ type: 'requestRefused', conn, piece })
    asked.push(...ofType(out, 'request').map(e => e.piece))
    if (refused.size === 8) {
      t.same(ofType(out, 'close'), [{ type: 'close', conn, reason: 'lying-bitfield' }])
      break
    }
  }
  t.equal(refused.size, 8)
  t.same(lone.step({ type: 'requestRefused', conn, piece: lone.piece(0) }), [])
})

t.test('an error about a piece that was not asked for changes nothing', async t => {
  const lone = new LoneScheduler()
  lone.open()
  const { conn } = lone.accept('a')
  for (let i = 0; i < 20; i++) t.same(lone.step({ type: 'requestRefused', conn, piece: lone.piece(0) }), [])
  t.same(types(lone.step({ type: 'pieceAnnounced', conn, piece: lone.piece(0) })), ['request'])
})

t.test('a silent peer loses its requests to others, is asked for one more, then for nothing, and is cut off', async t => {
  const lone = new LoneScheduler({ pieceCount: 20, config: { ...simConfig(), connTtiMs: 1e9 } })
  lone.open()
  const { conn, effects } = lone.accept('silent', ...lone.everything)
  t.equal(ofType(effects, 'request').length, 3)
  t.same(lone.wait(4_000).filter(e => 'conn' in e), [])
  const second = lone.wait(200)
  t.equal(ofType(second, 'request').length, 1)
  const rest = lone.wait(6_000)
  t.same(ofType(rest, 'request'), [])
  t.same(ofType(rest, 'close'), [{ type: 'close', conn, reason: 'stalled' }])
})

t.test('a late answer is taken if nobody else brings the piece', async t => {
  const lone = new LoneScheduler({ pieceCount: 1 })
  lone.open()
  const { conn } = lone.accept('slow', 0)
  lone.wait(4_200)
  t.same(types(lone.deliver(conn, lone.piece(0))), ['receive', 'verifyTorrent'])
})

t.test('the last piece is asked of a second peer only when the first takes unusually long', async t => {
  const lone = new LoneScheduler({ pieceCount: 1 })
  lone.open()
  const first = lone.accept('a', 0)
  const second = lone.accept('b', 0)
  t.equal(ofType(first.effects, 'request').length, 1)
  t.same(ofType(second.effects, 'request'), [])
  t.same(ofType(lone.wait(1_000), 'request'), [], 'a quarter of the deadline')
  t.same(ofType(lone.wait(100), 'request'), [{ type: 'request', conn: second.conn, piece: 0 }])
  lone.accept('c', 0)
  t.same(ofType(lone.wait(2_000), 'request'), [], 'two are enough')
  t.same(types(lone.deliver(second.conn, lone.piece(0))), ['receive', 'sendPieceAnnounce', 'verifyTorrent'].filter(type => type !== 'sendPieceAnnounce'))
  t.same(types(lone.step({ type: 'payloadStarted', conn: first.conn, piece: lone.piece(0) })), ['discard'])
})

t.test('without endgame nobody is asked twice', async t => {
  const config = simConfig()
  const lone = new LoneScheduler({ pieceCount: 1, config: { ...config, dispatch: { ...config.dispatch, endgameDisabled: true } } })
  lone.open()
  lone.accept('a', 0)
  lone.accept('b', 0)
  t.same(ofType(lone.wait(3_900), 'request'), [])
})

t.test('an arrival that does not end makes way for another, and its sender is cut off', async t => {
  const lone = new LoneScheduler({ pieceCount: 1 })
  lone.open()
  const slow = lone.accept('slow', 0)
  const quick = lone.accept('quick', 0)
  lone.step({ type: 'payloadStarted', conn: slow.conn, piece: lone.piece(0) })
  t.same(ofType(lone.wait(1_100), 'request'), [{ type: 'request', conn: quick.conn, piece: 0 }])
  t.same(types(lone.step({ type: 'payloadStarted', conn: quick.conn, piece: lone.piece(0) })), ['receive'])
  t.match(ofType(lone.wait(8_000), 'close'), [{ conn: slow.conn, reason: 'stalled' }])
})

t.test('a peer is not blamed for the time that a piece spends here', async t => {
  const lone = new LoneScheduler({ pieceCount: 1 })
  lone.open()
  const { conn } = lone.accept('quick', 0)
  lone.accept('other', 0)
  const piece = lone.piece(0)
  lone.step({ type: 'payloadStarted', conn, piece })
  lone.step({ type: 'payloadDue', conn, piece, isDue: false })
  t.same(ofType(lone.wait(10_000), 'close'), [], 'while it waits for a slot')
  lone.step({ type: 'payloadDue', conn, piece, isDue: true })
  lone.step({ type: 'payloadDue', conn, piece, isDue: false })
  t.same(ofType(lone.wait(10_000), 'close'), [], 'while it is hashed and written')
  t.same(types(lone.step({ type: 'pieceStored', conn, piece })), ['verifyTorrent'])
})

t.test('agents are asked before origins, and origins only for our share of what no agent has', async t => {
  const lone = new LoneScheduler({ pieceCount: 200, pieceBytes: 1 })
  lone.open()
  const agent = lone.accept('agent', 0, 1, 2, 3, 4, 5)
  t.same(ofType(agent.effects, 'request').length, 3)
  const { conn, effects } = lone.dial(origin, ...lone.everything)
  const asked = ofType(effects, 'request').map(e => e.piece)
  const all = new Set<number>(asked)
  for (let piece = asked.shift(); piece !== undefined; piece = asked.shift()) {
    const more = ofType(lone.deliver(conn, piece), 'request').filter(e => e.conn === conn).map(e => e.piece)
    for (const next of more) all.add(next)
    asked.push(...more)
  }
  t.ok(all.size > 60 && all.size < 140, `${all.size} of 200 are our share`)
  t.notOk([0, 1, 2, 3, 4, 5].some(piece => all.has(piece)), 'none that the agent has')
  t.ok(ofType(lone.wait(400), 'request').some(e => e.conn === conn), 'the agent fetches nothing, so the rest comes from the origin')
})

t.test('two origins of which one refuses: the other is asked', async t => {
  const lone = new LoneScheduler({ pieceCount: 1 })
  lone.open()
  lone.announced(origin, peerInfo('second', { isOrigin: true }))
  const [first, second] = [1, 2].map(n => n as ReturnType<LoneScheduler['conn']>) as [ReturnType<LoneScheduler['conn']>, ReturnType<LoneScheduler['conn']>]
  t.same(types(lone.handshaken(first, 0)), ['request'])
  t.same(types(lone.handshaken(second, 0)), [])
  t.same(lone.step({ type: 'requestRefused', conn: first, piece: lone.piece(0) }), [{ type: 'request', conn: second, piece: 0 }])
  t.equal(lone.scheduler.stats.peersBanned, 0)
  t.not(peerId('second'), origin.id)
})
