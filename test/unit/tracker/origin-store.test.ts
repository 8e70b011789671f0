import t from 'tap'
import { type Millis } from '../../../runtime/core/clock.js'
import { digestOf } from '../../../runtime/core/digest.js'
import { type PeerContext } from '../../../runtime/core/peer.js'
import { makePeerId } from '../../../runtime/core/peer-id.js'
import { OriginStore } from '../../../runtime/tracker/origin-store.js'

const DIGEST = digestOf('some blob')
const TTL = { locationsTtlMs: 10_000, locationsErrorTtlMs: 1000, contextTtlMs: 10_000, unavailableTtlMs: 60_000 }

function contextOf (ip: string): PeerContext {
  return { ip, port: 15001, id: makePeerId('addr_hash', ip, 15001), zone: '', cluster: '', isOrigin: true }
}

/** A cluster of origins whose answers and failures the test sets, and that counts what it is asked. */
function cluster (addresses: string[]): { store: OriginStore, down: Set<string>, asked: string[], pass: (ms: number) => void } {
  let now = 0
  const down = new Set<string>()
  const asked: string[] = []
  const answer = async <V>(what: string, value: V): Promise<V> => {
    asked.push(what)
    if (down.has(what)) throw new Error(`${what} is down`)
    return value
  }
  const store = new OriginStore({
    locations: async () => answer('locations', addresses),
    peerContext: async address => answer(address, contextOf(address))
  }, TTL, () => now as Millis)
  return { store, down, asked, pass: ms => { now += ms } }
}

await t.test('owners come in ring order, complete and as origins, and without a promise once known', async t => {
  const { store, asked } = cluster(['b', 'a'])
  const first = store.owners(DIGEST)
  t.type(first, Promise)
  t.match(await first, [{ ip: 'b', isOrigin: true, isComplete: true }, { ip: 'a', isOrigin: true, isComplete: true }])
  const second = store.owners(DIGEST)
  t.ok(Array.isArray(second))
  t.same(asked, ['locations', 'b', 'a'])
})

await t.test('everything is asked again after 10 s', async t => {
  const { store, asked, pass } = cluster(['a'])
  await store.owners(DIGEST)
  pass(10_000)
  await store.owners(DIGEST)
  t.same(asked, ['locations', 'a', 'locations', 'a'])
})

await t.test('an origin that fails is left out for 60 s', async t => {
  const { store, asked, down, pass } = cluster(['a', 'b'])
  down.add('a')
  t.match(await store.owners(DIGEST), [{ ip: 'b' }])
  down.clear()
  pass(59_999)
  t.equal((await store.owners(DIGEST)).length, 1)
  t.equal(asked.filter(what => what === 'a').length, 1)
  pass(1)
  t.match(await store.owners(DIGEST), [{ ip: 'a' }, { ip: 'b' }])
})

await t.test('the failure is reported if no origin answers', async t => {
  const { store, down } = cluster(['a', 'b'])
  down.add('a').add('b')
  await t.rejects(Promise.resolve(store.owners(DIGEST)), { message: 'a is down' })
  t.throws(() => store.owners(DIGEST), { message: 'a is down' }, 'from memory')
})

await t.test('a failed look-up of the owners is repeated after 1 s', async t => {
  const { store, asked, down, pass } = cluster(['a'])
  down.add('locations')
  await t.rejects(Promise.resolve(store.owners(DIGEST)), { message: 'locations is down' })
  t.throws(() => store.owners(DIGEST))
  t.same(asked, ['locations'])
  down.clear()
  pass(1000)
  t.match(await store.owners(DIGEST), [{ ip: 'a' }])
})

await t.test('a digest that nobody owns is an error', async t => {
  await t.rejects(Promise.resolve(cluster([]).store.owners(DIGEST)), { code: 'UNAVAILABLE' })
})

await t.test('contexts are fetched at the same time', async t => {
  const waiting: Array<() => void> = []
  const store = new OriginStore({
    locations: async () => ['a', 'b', 'c'],
    peerContext: async address => new Promise(resolve => { waiting.push(() => { resolve(contextOf(address)) }) })
  }, TTL, () => 0 as Millis)
  const owners = Promise.resolve(store.owners(DIGEST))
  while (waiting.length < 3) await Promise.resolve()
  for (const answer of waiting) answer()
  t.equal((await owners).length, 3)
})
