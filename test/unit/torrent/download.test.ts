import fc from '../../support/fc.js'
import t from 'tap'
import { type Bitfield } from '../../../runtime/core/bitfield.js'
import { type Millis } from '../../../runtime/core/clock.js'
import { Lengths, type PieceIndex } from '../../../runtime/core/lengths.js'
import { seededPrng } from '../../../runtime/core/prng.js'
import { type ActiveConn } from '../../../runtime/torrent/conn-table.js'
import { Download } from '../../../runtime/torrent/download.js'
import { type ConnId } from '../../../runtime/torrent/events.js'
import { bits, peerId, SELF } from '../../support/lone-scheduler.js'
import { simConfig } from '../../support/sim/swarm.js'

const { dispatch } = simConfig()
const prng = seededPrng(1)
const MIB = 1024 * 1024
const at = (ms: number): Millis => ms as Millis
const piece = (n: number): PieceIndex => n as PieceIndex

function conn (n: number, has: Bitfield): ActiveConn {
  const source = { peer: peerId(`peer ${n}`), isOrigin: false, isDialled: true }
  return {
    ...source,
    source,
    state: 'active',
    id: n as ConnId,
    storedMark: 0,
    since: at(0),
    has,
    pieceAt: at(0),
    progressAt: at(0),
    answeredUpTo: at(0),
    goodPieces: 0,
    refusals: 0,
    stalls: 0,
    unsolicited: 0
  }
}

for (const [totalBytes, pieceBytes, timeoutMs] of [
  [1, 4 * MIB, 4_000], [MIB, 4 * MIB, 4_000], [MIB + 1, 4 * MIB, 4_001], [40 * MIB, 4 * MIB, 16_000], [2 * MIB, 1024, 4_000]
] as const) {
  t.test(`a piece of a blob of ${totalBytes} bytes in pieces of ${pieceBytes} may take ${timeoutMs} ms`, async t => {
    const lengths = new Lengths(totalBytes, pieceBytes)
    t.equal(new Download(lengths, bits(lengths.pieceCount), SELF, dispatch).timeoutMs, timeoutMs)
  })
}

t.test('patience follows what is usual, within bounds', async t => {
  const lengths = new Lengths(40 * MIB, 4 * MIB)
  const download = new Download(lengths, bits(10), SELF, dispatch)
  t.equal(download.patienceMs, 16_000, 'nothing is usual yet')
  t.equal(download.hedgeMs, 4_000)
  const peer = conn(1, bits(10, 0, 1))
  download.join(peer)
  download.ask(peer.id, piece(0), at(0))
  download.stored(peer.id, peer.source, piece(0), false, at(200), prng)
  t.equal(download.patienceMs, 1_600)
  t.equal(download.hedgeMs, 600)
  download.ask(peer.id, piece(1), at(200))
  download.stored(peer.id, peer.source, piece(1), false, at(201), prng)
  t.equal(download.patienceMs, 8 * 160.2)
})

t.test('who delivered what turned out wrong', async t => {
  const download = new Download(new Lengths(4, 1), bits(4, 3), SELF, dispatch)
  const [a, b] = [conn(1, bits(4, 0, 1)), conn(2, bits(4, 2))] as [ActiveConn, ActiveConn]
  download.join(a)
  download.join(b)
  for (const [peer, n] of [[a, 0], [a, 1], [b, 2]] as const) t.ok(download.stored(peer.id, peer.source, piece(n), false, at(0), prng))
  t.notOk(download.stored(b.id, b.source, piece(0), false, at(0), prng), 'it was here')
  t.same(download.invalidate([piece(0), piece(1), piece(3)]), [a.source], 'piece 3 was on disk before')
  t.equal(download.missingCount, 3)
  download.check()
})

t.test('no piece is ever lost: it is stored, open, asked for or cooling, whatever happens', async t => {
  const COUNT = 5
  const what = fc.constantFrom('join', 'leave', 'ask', 'arrive', 'stored', 'dropped', 'refused', 'expire', 'wait', 'invalidate')
  const step = fc.record({ what, conn: fc.integer({ min: 1, max: 3 }), piece: fc.nat(COUNT - 1), has: fc.uniqueArray(fc.nat(COUNT - 1)) })
  fc.assert(fc.property(fc.array(step, { maxLength: 80 }), steps => {
    const have = bits(COUNT)
    const download = new Download(new Lengths(COUNT, 1), have, SELF, dispatch)
    const conns = new Map<number, ActiveConn>()
    let now = at(0)
    for (const { what, conn: n, piece: p, has } of steps) {
      const peer = conns.get(n)
      if (what === 'wait') {
        now = at(now + 3_000)
        download.attend(now)
      } else if (what === 'join' && peer === undefined) {
        const joined = conn(n, bits(COUNT, ...has))
        conns.set(n, joined)
        download.join(joined)
      } else if (what === 'invalidate') download.invalidate([piece(p)])
      else if (peer === undefined) continue
      else if (what === 'leave') {
        conns.delete(n)
        download.leave(peer)
      } else if (what === 'ask') {
        if (download.availability.open.has(piece(p)) && download.requests.find(peer.id, piece(p)) === undefined) download.ask(peer.id, piece(p), now)
      } else if (what === 'arrive') download.arrive(peer, piece(p), now)
      else if (what === 'stored') download.stored(peer.id, peer.source, piece(p), false, now, prng)
      else if (what === 'dropped') download.dropped(peer.id, piece(p), now)
      else if (what === 'refused') download.refused(peer.id, piece(p))
      else if (what === 'expire') download.expire(peer, now)
      download.check()
    }
  }), { numRuns: 500 })
  t.pass()
})
