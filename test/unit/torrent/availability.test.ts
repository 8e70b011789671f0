import fc from '../../support/fc.js'
import t from 'tap'
import { Bitfield } from '../../../runtime/core/bitfield.js'
import { Lengths, type PieceIndex } from '../../../runtime/core/lengths.js'
import { Availability } from '../../../runtime/torrent/availability.js'
import { type ConnId } from '../../../runtime/torrent/events.js'
import { bits, peerId, SELF } from '../../support/lone-scheduler.js'

const COUNT = 9
const lengths = new Lengths(COUNT, 1)
const conn = (n: number): ConnId => n as ConnId

t.test('what a peer has and nobody is asked for can be asked of it', async t => {
  const availability = new Availability(lengths, bits(COUNT, 0), SELF)
  availability.join(conn(1), peerId('a'), bits(COUNT, 0, 1, 2), false)
  t.equal(availability.candidatesOf(conn(1)).size, 2)
  availability.take(1 as PieceIndex)
  t.equal(availability.candidatesOf(conn(1)).size, 1)
  t.equal(availability.open.size, 7)
  t.ok(availability.gained(conn(1), 5 as PieceIndex))
  t.notOk(availability.gained(conn(1), 5 as PieceIndex), 'known before')
  t.equal(availability.rarityOf(5 as PieceIndex), 1)
  availability.check()
})

t.test('a leecher takes over its share of the pieces and gives it back', async t => {
  const availability = new Availability(lengths, new Bitfield(COUNT), SELF)
  t.equal(availability.own.size, COUNT, 'alone, all is ours')
  availability.expect(conn(1), peerId('a'))
  const alone = availability.own.size
  t.ok(alone > 0 && alone < COUNT)
  availability.join(conn(1), peerId('a'), new Bitfield(COUNT), false)
  t.equal(availability.own.size, alone, 'connected as expected')
  availability.leave(conn(1))
  t.equal(availability.own.size, COUNT)
  availability.check()
})

t.test('origins and complete agents take no share', async t => {
  const availability = new Availability(lengths, new Bitfield(COUNT), SELF)
  availability.join(conn(1), peerId('o'), Bitfield.full(COUNT), true)
  availability.join(conn(2), peerId('s'), Bitfield.full(COUNT), false)
  t.equal(availability.own.size, COUNT)
  t.equal(availability.completeAgents, 1)
  t.equal(availability.rarityOf(0 as PieceIndex), 0)
  availability.check()
})

t.test('two leechers that know each other share all pieces without overlap', async t => {
  const a = new Availability(lengths, new Bitfield(COUNT), peerId('a'))
  const b = new Availability(lengths, new Bitfield(COUNT), peerId('b'))
  a.join(conn(1), peerId('b'), new Bitfield(COUNT), false)
  b.join(conn(1), peerId('a'), new Bitfield(COUNT), false)
  for (const piece of lengths.indices()) t.not(a.own.has(piece), b.own.has(piece), `piece ${piece}`)
})

t.test('a complete peer that turns out to lack a piece has candidates of its own', async t => {
  const availability = new Availability(lengths, new Bitfield(COUNT), SELF)
  availability.join(conn(1), peerId('s'), Bitfield.full(COUNT), false)
  availability.lost(conn(1), 3 as PieceIndex)
  t.equal(availability.candidatesOf(conn(1)).size, COUNT - 1)
  t.equal(availability.completeAgents, 0)
  availability.check()
  availability.completed(conn(1))
  t.equal(availability.candidatesOf(conn(1)), availability.open)
  availability.check()
})

t.test('a connection joins once and leaves once', async t => {
  const availability = new Availability(lengths, new Bitfield(COUNT), SELF)
  availability.join(conn(1), peerId('a'), bits(COUNT, 1), false)
  t.throws(() => availability.join(conn(1), peerId('a'), bits(COUNT), false))
  availability.leave(conn(1))
  t.throws(() => availability.leave(conn(1)))
  t.throws(() => availability.candidatesOf(conn(1)))
})

t.test('the books are right whatever happens', async t => {
  const step = fc.record({
    what: fc.constantFrom('join', 'expect', 'leave', 'gained', 'lost', 'completed', 'take', 'reopen', 'store'),
    conn: fc.integer({ min: 1, max: 4 }),
    piece: fc.nat(COUNT - 1),
    has: fc.uniqueArray(fc.nat(COUNT - 1)),
    isOrigin: fc.boolean()
  })
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), steps => {
    const have = new Bitfield(COUNT)
    const availability = new Availability(lengths, have, SELF)
    const joined = new Map<number, 'expected' | 'joined'>()
    for (const { what, conn: n, piece: p, has, isOrigin } of steps) {
      const piece = p as PieceIndex
      const state = joined.get(n)
      if (what === 'join' && state !== 'joined') {
        availability.join(conn(n), peerId(`peer ${n}`), bits(COUNT, ...has), isOrigin)
        joined.set(n, 'joined')
      } else if (what === 'expect' && state === undefined) {
        availability.expect(conn(n), peerId(`peer ${n}`))
        joined.set(n, 'expected')
      } else if (what === 'leave' && joined.delete(n)) availability.leave(conn(n))
      else if ((what === 'gained' || what === 'lost') && state === 'joined') availability[what](conn(n), piece)
      else if (what === 'completed' && state === 'joined') availability.completed(conn(n))
      else if (what === 'take') availability.take(piece)
      else if (what === 'reopen' && !have.has(piece)) availability.reopen(piece)
      else if (what === 'store') {
        availability.take(piece)
        have.add(piece)
      }
      availability.check()
    }
  }), { numRuns: 300 })
  t.pass()
})
