import t from 'tap'
import { type Millis } from '../../../runtime/core/clock.js'
import { Lengths } from '../../../runtime/core/lengths.js'
import { seededPrng } from '../../../runtime/core/prng.js'
import { ask, type Asking, hedge, originsAreBusy } from '../../../runtime/torrent/asking.js'
import { type ActiveConn, ConnTable } from '../../../runtime/torrent/conn-table.js'
import { Download } from '../../../runtime/torrent/download.js'
import { type ConnId, type Effect } from '../../../runtime/torrent/events.js'
import { bits, ofType, peerId, SELF } from '../../support/lone-scheduler.js'
import { simConfig } from '../../support/sim/swarm.js'

const { dispatch } = simConfig()
const at = (ms: number): Millis => ms as Millis

/** A download of `pieceCount` pieces with some peers, which are numbered from 1. */
function swarm (pieceCount: number, ...peers: Array<{ isOrigin?: boolean, has?: number[] }>): Asking & { conns: ConnTable['active'], peer: (n: number) => ActiveConn } {
  const all = Array.from({ length: pieceCount }, (_, i) => i)
  const download = new Download(new Lengths(pieceCount, 1), bits(pieceCount), SELF, dispatch)
  const table = new ConnTable(SELF, { openConnsMax: 100, mutualConnsMax: 100 })
  const active = peers.map(({ isOrigin = false, has = all }, i) => {
    const pending = { state: 'pending' as const, id: i + 1 as ConnId, peer: peerId(`peer ${i}`), isOrigin, isDialled: true, storedMark: 0, since: at(0) }
    table.addPending(pending)
    const conn = table.activate(pending, at(0), bits(pieceCount, ...has))
    download.join(conn)
    return conn
  })
  const peer = (n: number): ActiveConn => {
    const conn = active[n - 1]
    if (conn === undefined) throw new Error(`there is no peer ${n}`)
    return conn
  }
  return { download, conns: table.active, config: dispatch, prng: seededPrng(1), now: at(0), peer }
}

function requests (asking: Asking, act: (asking: Asking, out: Effect[]) => void): Array<[number, number]> {
  const out: Effect[] = []
  act(asking, out)
  asking.download.check()
  return ofType(out, 'request').map(e => [e.conn, e.piece])
}

t.test('peers take turns: a few pieces are spread over all', async t => {
  const asked = requests(swarm(4, {}, {}, {}, {}), ask)
  t.same(asked.map(([conn]) => conn).sort(), [1, 2, 3, 4])
  t.same(asked.map(([, piece]) => piece).sort(), [0, 1, 2, 3])
})

t.test('nobody is asked for what it lacks, and who has nothing for us is passed over', async t => {
  t.same(requests(swarm(3, { has: [2] }, { has: [] }), ask), [[1, 2]])
  t.same(requests(swarm(3), ask), [])
})

t.test('agents come before origins', async t => {
  t.same(requests(swarm(3, { isOrigin: true }, {}), ask).map(([conn]) => conn), [2, 2, 2])
  const busy = swarm(3, { isOrigin: true }, { has: [] })
  requests(busy, ask)
  t.ok(originsAreBusy(busy.download, busy.conns))
})

t.test('a second peer is asked once all pieces are asked for and one is overdue, an agent rather than an origin', async t => {
  const asking = swarm(1, { has: [0] }, { isOrigin: true }, { has: [0] })
  const [[first]] = requests(asking, ask) as [[number, number]]
  const later = { ...asking, now: at(asking.download.hedgeMs + 1) }
  t.same(requests(asking, hedge), [], 'not yet')
  t.same(requests(later, hedge), [[first === 1 ? 3 : 1, 0]])
  t.same(requests({ ...later, now: at(1e6) }, hedge), [], 'no third')
})

t.test('while pieces are open nobody is asked twice, unless few are missing', async t => {
  const many = swarm(20, { has: [0] }, { has: [0] })
  requests(many, ask)
  t.same(requests({ ...many, now: at(5_000) }, hedge), [])
  const few = swarm(3, { has: [0] }, { has: [0] })
  requests(few, ask)
  t.equal(requests({ ...few, now: at(5_000) }, hedge).length, 1)
})

t.test('a peer that missed a deadline gets one request, one that missed two none', async t => {
  const asking = swarm(9, {})
  asking.peer(1).stalls = 1
  t.equal(requests(asking, ask).length, 1)
  const again = swarm(9, {})
  again.peer(1).stalls = 2
  t.equal(requests(again, ask).length, 0)
})
