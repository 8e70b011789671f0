import t from 'tap'
import { type Millis } from '../../../runtime/core/clock.js'
import { type PieceIndex } from '../../../runtime/core/lengths.js'
import { type ConnId } from '../../../runtime/torrent/events.js'
import { PieceRequests } from '../../../runtime/torrent/piece-requests.js'

const A = 1 as ConnId
const B = 2 as ConnId
const piece = (n: number): PieceIndex => n as PieceIndex
const at = (ms: number): Millis => ms as Millis

t.test('a request is outstanding until it is answered', async t => {
  const requests = new PieceRequests()
  requests.ask(A, piece(3), at(10))
  t.equal(requests.outstanding(A), 1)
  t.same(requests.hopeful(piece(3)).map(r => r.conn), [A])
  requests.arrive(A, piece(3), at(20))
  t.match(requests.find(A, piece(3)), { phase: 'arriving', askedAt: 10, dueSince: 20 })
  t.equal(requests.outstanding(A), 1)
  requests.due(A, piece(3), false, at(30))
  t.equal(requests.find(A, piece(3))?.dueSince, undefined)
  requests.due(A, piece(3), true, at(40))
  t.match(requests.find(A, piece(3)), { phase: 'arriving', askedAt: 10, dueSince: 40 })
  t.equal(requests.outstanding(A), 1)
  requests.remove(A, piece(3))
  t.equal(requests.outstanding(A), 0)
  t.same([...requests.hopefulPieces()], [])
  t.equal(requests.remove(A, piece(3)), undefined)
})

t.test('a connection is asked once for a piece', async t => {
  const requests = new PieceRequests()
  requests.ask(A, piece(0), at(0))
  t.throws(() => requests.ask(A, piece(0), at(1)))
  requests.ask(B, piece(0), at(1))
  t.same(requests.hopeful(piece(0)).map(r => r.conn), [A, B])
})

t.test('a late answer does not count as outstanding, one that is no longer needed does', async t => {
  const requests = new PieceRequests()
  requests.ask(A, piece(0), at(0))
  requests.ask(A, piece(1), at(0))
  for (const [request] of [requests.hopeful(piece(0))]) if (request !== undefined) requests.demote(request, 'late')
  for (const [request] of [requests.hopeful(piece(1))]) if (request !== undefined) requests.demote(request, 'moot')
  t.equal(requests.outstanding(A), 1)
  t.same([...requests.hopefulPieces()], [])
  requests.arrive(A, piece(0), at(9))
  t.match(requests.find(A, piece(0)), { phase: 'arriving', askedAt: 0 }, 'late, and welcome')
  t.equal(requests.outstanding(A), 2)
})

t.test('what nobody asked for may arrive', async t => {
  const requests = new PieceRequests()
  requests.arrive(A, piece(5), at(7))
  t.match(requests.find(A, piece(5)), { phase: 'arriving', askedAt: 7 })
})

t.test('with its connection a request is gone, those of others stay', async t => {
  const requests = new PieceRequests()
  requests.ask(A, piece(0), at(0))
  requests.ask(B, piece(0), at(0))
  requests.ask(A, piece(1), at(0))
  t.same(requests.removeConn(A).map(r => r.piece), [0, 1])
  t.same([...requests.hopefulPieces()], [0])
  t.same(requests.removeConn(A), [])
})
