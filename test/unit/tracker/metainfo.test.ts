import t from 'tap'
import { type MetaInfoAnswer } from '../../../net/client/clients.js'
import { type Millis } from '../../../runtime/core/clock.js'
import { digestOf, hexOf, type Digest } from '../../../runtime/core/digest.js'
import { MetaInfo } from '../../../runtime/core/metainfo.js'
import { MetaInfoSource } from '../../../runtime/tracker/metainfo.js'
import { MetaInfoCache } from '../../../runtime/tracker/metainfo-cache.js'
import { ManualTime, settle } from '../../support/manual-time.js'

const DIGEST = digestOf('blob')
const PENDING: MetaInfoAnswer = { status: 'pending' }
const UNKNOWN: MetaInfoAnswer = { status: 'unknown' }

function metaInfoOf (digest: Digest, pieceCount = 1): MetaInfo { return new MetaInfo(hexOf(digest), pieceCount, 1, new Uint32Array(pieceCount)) }
const FOUND: MetaInfoAnswer = { status: 'found', metaInfo: metaInfoOf(DIGEST) }

/** Origins `a`, `b`, `c` with an answer each, and a record of who was asked. */
function origins (answers: Record<string, MetaInfoAnswer | Error>): { source: MetaInfoSource, time: ManualTime, asked: string[] } {
  const time = new ManualTime()
  const asked: string[] = []
  const source = new MetaInfoSource({
    locations: async () => Object.keys(answers),
    metaInfoAt: async (address, namespace) => {
      asked.push(`${address} ${namespace}`)
      const answer = answers[address]
      if (answer instanceof Error || answer === undefined) throw answer
      return answer
    },
    now: () => time.clock.now(),
    sleep: time.sleep
  })
  return { source, time, asked }
}

t.test('owners are asked in order until one has it or fetches it', async t => {
  for (const [answers, status, asked] of [
    [{ a: FOUND, b: FOUND }, 'found', ['a ns']],
    [{ a: PENDING, b: FOUND }, 'pending', ['a ns']],
    [{ a: UNKNOWN, b: FOUND }, 'found', ['a ns', 'b ns']],
    [{ a: new Error('down'), b: PENDING }, 'pending', ['a ns', 'b ns']],
    [{ a: UNKNOWN, b: UNKNOWN }, 'unknown', ['a ns', 'b ns']]
  ] as const) {
    const cluster = origins(answers)
    t.equal((await cluster.source.get('ns', DIGEST)).status, status)
    t.same(cluster.asked, asked)
    t.equal(cluster.time.sleeping, 0, 'nothing is left waiting')
  }
})

t.test('one that cannot be asked may have it, so the last failure is thrown', async t => {
  await t.rejects(origins({ a: new Error('a is down'), b: UNKNOWN }).source.get('ns', DIGEST), { message: 'a is down' })
  await t.rejects(origins({ a: UNKNOWN, b: new Error('b is down') }).source.get('ns', DIGEST), { message: 'b is down' })
  await t.rejects(origins({}).source.get('ns', DIGEST), { code: 'UNAVAILABLE' })
})

t.test('found is kept for five minutes, for every namespace', async t => {
  const { source, time, asked } = origins({ a: FOUND })
  await source.get('ns', DIGEST)
  await time.advance(299_999)
  t.same(await source.get('other', DIGEST), FOUND)
  t.equal(asked.length, 1)
  await time.advance(1)
  await source.get('ns', DIGEST)
  t.equal(asked.length, 2)
})

t.test('pending, unknown and failures are never kept', async t => {
  for (const answer of [PENDING, UNKNOWN, new Error('down')]) {
    const { source, asked } = origins({ a: answer })
    for (let i = 0; i < 2; i++) await source.get('ns', DIGEST).catch(() => {})
    t.equal(asked.length, 2)
  }
})

t.test('the same question at the same time is asked once', async t => {
  const { source, asked } = origins({ a: FOUND })
  t.same(await Promise.all([source.get('ns', DIGEST), source.get('ns', DIGEST)]), [FOUND, FOUND])
  t.equal(asked.length, 1)
})

t.test('an origin that takes too long is pending; its answer is kept all the same', async t => {
  const time = new ManualTime()
  let answer: (found: MetaInfoAnswer) => void = () => {}
  const source = new MetaInfoSource({
    locations: async () => ['a'],
    metaInfoAt: async () => new Promise(resolve => { answer = resolve }),
    now: () => time.clock.now(),
    sleep: time.sleep
  })
  const first = source.get('ns', DIGEST)
  await time.advance(8000)
  t.same(await first, PENDING)
  answer(FOUND)
  await settle()
  t.same(await source.get('ns', DIGEST), FOUND)
})

t.test('stopping ends what is under way', async t => {
  const time = new ManualTime()
  const source = new MetaInfoSource({
    locations: async () => ['a'],
    metaInfoAt: async (_address, _namespace, _digest, signal) => new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => { reject(new Error('stopped')) })
    }),
    now: () => time.clock.now(),
    sleep: time.sleep
  })
  const asked = source.get('ns', DIGEST)
  await settle()
  source.stop()
  await t.rejects(asked, { message: 'stopped' })
})

t.test('the cache keeps what was asked for last, within its bytes', async t => {
  const now = 0 as Millis
  const cache = new MetaInfoCache(1000, 3 * (1024 + 4))
  const digests = ['a', 'b', 'c', 'd'].map(digestOf)
  for (const digest of digests.slice(0, 3)) cache.set(now, digest, { metaInfo: metaInfoOf(digest), blob: undefined })
  cache.get(now, digestOf('a'))
  cache.set(now, digestOf('d'), { metaInfo: metaInfoOf(digestOf('d')), blob: undefined })
  t.same(digests.map(digest => cache.get(now, digest) !== undefined), [true, false, true, true])
  cache.set(now, digestOf('huge'), { metaInfo: metaInfoOf(digestOf('huge'), 1000), blob: undefined })
  t.equal(cache.size, 0, 'what exceeds the bound by itself is not kept either')
  cache.set(now, digestOf('a'), { metaInfo: metaInfoOf(digestOf('a')), blob: undefined })
  cache.set(now, digestOf('a'), { metaInfo: metaInfoOf(digestOf('a')), blob: undefined })
  t.equal(cache.size, 1)
  t.equal(cache.get(1000 as Millis, digestOf('a')), undefined)
  cache.set(now, digestOf('a'), { metaInfo: metaInfoOf(digestOf('a')), blob: new Uint8Array(4000) })
  t.equal(cache.size, 0, 'the bytes of the blob count')
  t.equal(cache.size, 0)
})
