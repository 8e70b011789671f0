import t from 'tap'
import { type Millis } from '../../../runtime/core/clock.js'
import { TtlCache } from '../../../runtime/tracker/ttl-cache.js'

function cacheOver (load: (key: string) => Promise<number>, entriesMax = 10): { cache: TtlCache<string, number>, pass: (ms: number) => void } {
  let now = 0
  const cache = new TtlCache(load, { ttlMs: 100, errorTtlMs: 10, entriesMax, now: () => now as Millis })
  return { cache, pass: ms => { now += ms } }
}

await t.test('a value is kept for its time and then loaded again', async t => {
  let loads = 0
  const { cache, pass } = cacheOver(async () => ++loads)
  t.equal(cache.peek('a'), undefined)
  t.same(await cache.get('a'), { ok: true, value: 1 })
  pass(99)
  t.same(cache.peek('a'), { ok: true, value: 1 })
  t.same(await cache.get('a'), { ok: true, value: 1 })
  pass(1)
  t.equal(cache.peek('a'), undefined)
  t.same(await cache.get('a'), { ok: true, value: 2 })
})

await t.test('a failure is kept for its shorter time', async t => {
  let loads = 0
  const { cache, pass } = cacheOver(async () => { throw new Error(`failure ${++loads}`) })
  t.match(await cache.get('a'), { ok: false, error: { message: 'failure 1' } })
  pass(9)
  t.match(await cache.get('a'), { ok: false, error: { message: 'failure 1' } })
  pass(1)
  t.match(await cache.get('a'), { ok: false, error: { message: 'failure 2' } })
})

await t.test('one load at a time for a key', async t => {
  const waiting: Array<(value: number) => void> = []
  const { cache } = cacheOver(async () => new Promise(resolve => { waiting.push(resolve) }))
  const both = Promise.all([cache.get('a'), cache.get('a'), cache.get('b')])
  t.equal(waiting.length, 2)
  for (const [i, resolve] of waiting.entries()) resolve(i)
  t.same(await both, [{ ok: true, value: 0 }, { ok: true, value: 0 }, { ok: true, value: 1 }])
})

await t.test('the entry loaded first makes room', async t => {
  const { cache } = cacheOver(async key => key.length, 2)
  for (const key of ['a', 'bb', 'ccc']) await cache.get(key)
  t.equal(cache.peek('a'), undefined)
  t.same(cache.peek('bb'), { ok: true, value: 2 })
})
