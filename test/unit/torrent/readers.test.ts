import t from 'tap'
import { Bitfield } from '../../../runtime/core/bitfield.js'
import { Lengths, type PieceIndex } from '../../../runtime/core/lengths.js'
import { PieceBuckets } from '../../../runtime/torrent/piece-buckets.js'
import { Readers } from '../../../runtime/torrent/readers.js'
import { INFO_HASH, LoneScheduler, ofType } from '../../support/lone-scheduler.js'

const piece = (n: number): PieceIndex => n as PieceIndex
const any = (): boolean => true

function scene (pieceCount: number): { readers: Readers, have: Bitfield, open: PieceBuckets } {
  const have = new Bitfield(pieceCount)
  const open = new PieceBuckets(new Uint16Array(pieceCount))
  for (let n = 0; n < pieceCount; n++) open.add(piece(n))
  return { readers: new Readers(new Lengths(pieceCount, 1), have), have, open }
}

t.test('without a reader nothing is chosen', async t => {
  const { readers, open } = scene(10)
  t.equal(readers.choose(open, any), undefined)
})

t.test('the first missing piece from a reader on, among the candidates, that is acceptable', async t => {
  const { readers, have, open } = scene(100)
  readers.set([piece(10)])
  t.equal(readers.choose(open, any), 10)
  have.add(10)
  have.add(11)
  open.remove(piece(12))
  t.equal(readers.choose(open, n => n !== 13), 14)
  t.equal(readers.choose(open, n => n < 10), undefined, 'never behind the reader')
  t.equal(readers.choose(open, n => n > 60), undefined, 'nor far ahead of it')
  readers.set([])
  t.equal(readers.choose(open, any), undefined)
})

t.test('of several readers each gets its turn when the ones before lack nothing that is to be had', async t => {
  const { readers, have, open } = scene(100)
  readers.set([piece(99), piece(50), piece(99)])
  t.equal(readers.choose(open, any), 99)
  have.add(99)
  open.remove(piece(99))
  t.equal(readers.choose(open, any), 50)
})

t.test('a peer is asked for what is read next, and in order', async t => {
  const lone = new LoneScheduler({ pieceCount: 50 })
  lone.open()
  lone.step({ type: 'torrentRead', infoHash: INFO_HASH, from: [lone.piece(20)] })
  const { effects } = lone.accept('seed', ...lone.everything)
  const asked = ofType(effects, 'request').map(effect => effect.piece)
  t.ok(asked.length >= 2)
  t.same(asked, asked.map((_, i) => 20 + i))
})
