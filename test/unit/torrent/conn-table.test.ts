import t from 'tap'
import { type Millis } from '../../../runtime/core/clock.js'
import { type PeerId } from '../../../runtime/core/peer-id.js'
import { ConnTable, type PendingConn } from '../../../runtime/torrent/conn-table.js'
import { type ConnId } from '../../../runtime/torrent/events.js'
import { bits } from '../../support/lone-scheduler.js'

const LOW = '0'.repeat(40) as PeerId
const SELF = '8'.repeat(40) as PeerId
const HIGH = 'f'.repeat(40) as PeerId
const at = (ms: number): Millis => ms as Millis
const NEVER = -Infinity as Millis

function table (openConnsMax = 3, mutualConnsMax = openConnsMax): ConnTable { return new ConnTable(SELF, { openConnsMax, mutualConnsMax }) }

let next = 1
function pending (peer: PeerId, isDialled: boolean): PendingConn {
  return { state: 'pending', id: next++ as ConnId, peer, isOrigin: false, isDialled, storedMark: 0, since: at(0) }
}

t.test('pending and active connections take slots, a peer takes one', async t => {
  const conns = table(2)
  const first = pending(LOW, true)
  conns.addPending(first)
  t.equal(conns.slotsUsed, 1)
  conns.activate(first, at(5), bits(4))
  t.equal(conns.slotsUsed, 1)
  t.equal(conns.pending.size, 0)
  conns.addPending(pending(LOW, false))
  t.equal(conns.slotsUsed, 1)
  t.equal(conns.size, 2)
  conns.addPending(pending(HIGH, false))
  t.ok(conns.isFull)
  conns.check()
  t.throws(() => conns.addPending(pending('5'.repeat(40) as PeerId, true)), 'one more than allowed')
})

t.test('a connection with ourselves is an error, and is refused when it comes in', async t => {
  t.throws(() => table().addPending(pending(SELF, true)))
  t.same(table().admission(SELF, [], NEVER), { isAdmitted: false, reason: 'self' })
})

t.test('a peer that comes in twice is refused the second time', async t => {
  const conns = table()
  const first = pending(LOW, false)
  conns.addPending(first)
  t.same(conns.admission(LOW, [], at(0)), { isAdmitted: false, reason: 'duplicate' })
  conns.activate(first, at(100), bits(4))
  t.same(conns.admission(LOW, [], at(50)), { isAdmitted: false, reason: 'duplicate' })
})

t.test('a connection that has been quiet gives way to a new one of the same peer', async t => {
  const conns = table()
  const first = pending(LOW, false)
  conns.addPending(first)
  const active = conns.activate(first, at(100), bits(4))
  t.match(conns.admission(LOW, [], at(100)), { isAdmitted: true, superseded: [active] })
})

t.test('simultaneous open: the dial of the higher id is given up, that of the lower id is kept', async t => {
  const conns = table()
  const toLow = pending(LOW, true)
  const toHigh = pending(HIGH, true)
  conns.addPending(toLow)
  conns.addPending(toHigh)
  t.match(conns.admission(LOW, [], at(0)), { isAdmitted: true, superseded: [toLow] })
  t.match(conns.admission(HIGH, [], at(0)), { isAdmitted: true, superseded: [] })
  const fromHigh = pending(HIGH, false)
  conns.addPending(fromHigh)
  t.equal(conns.survivor(toHigh, fromHigh), toHigh)
  t.equal(conns.survivor(fromHigh, toHigh), toHigh)
  t.equal(conns.survivor(toLow, pending(LOW, false)).isDialled, false)
})

t.test('too many common neighbours', async t => {
  const conns = table(5, 1)
  const [a, b] = ['1', '2'].map(c => c.repeat(40) as PeerId) as [PeerId, PeerId]
  conns.addPending(pending(a, true))
  conns.addPending(pending(b, true))
  t.match(conns.admission(LOW, [a, a, HIGH], at(0)), { isAdmitted: true }, 'one, named twice')
  t.same(conns.admission(LOW, [a, b], at(0)), { isAdmitted: false, reason: 'too-many-mutual' })
})

t.test('neighbours are the peers with an active connection', async t => {
  const conns = table()
  const first = pending(LOW, true)
  conns.addPending(first)
  t.same(conns.neighbours(), [])
  const active = conns.activate(first, at(0), bits(4))
  t.same(conns.neighbours(), [LOW])
  conns.remove(active)
  t.same(conns.neighbours(), [])
  t.equal(conns.slotsUsed, 0)
  t.equal(conns.get(active.id), undefined)
})
