import t from 'tap'
import { type Millis } from '../../../runtime/core/clock.js'
import { type InfoHash } from '../../../runtime/core/infohash.js'
import { seededPrng } from '../../../runtime/core/prng.js'
import { AnnounceQueue } from '../../../runtime/torrent/announce-queue.js'

const A = 'a'.repeat(40) as InfoHash
const B = 'b'.repeat(40) as InfoHash
const at = (ms: number): Millis => ms as Millis

t.test('a torrent is due at once, then an interval after each answer', async t => {
  const queue = new AnnounceQueue()
  queue.add(A, at(0))
  t.same(queue.due(at(0), 9), [A])
  t.ok(queue.begin(A, at(0)))
  t.notOk(queue.begin(A, at(1)), 'under way')
  t.same(queue.due(at(50_000), 9), [])
  queue.answered(A, at(100), 3_000)
  t.same(queue.due(at(3_099), 9), [])
  t.same(queue.due(at(3_100), 9), [A])
})

for (const [interval, believed] of [[0, 5_000], [60_000, 60_000], [60_001, 5_000], [-1, 5_000], [1, 1]] as const) {
  t.test(`an interval of ${interval} ms means ${believed}`, async t => {
    const queue = new AnnounceQueue()
    queue.add(A, at(0))
    queue.begin(A, at(0))
    queue.answered(A, at(0), interval)
    t.same(queue.due(at(believed - 1), 9), [])
    t.same(queue.due(at(believed), 9), [A])
  })
}

t.test('failures are repeated ever later, half a minute to a minute apart in the end', async t => {
  const queue = new AnnounceQueue()
  const prng = seededPrng(1)
  queue.add(A, at(0))
  for (const [attempt, ms] of [[1, 1_000], [2, 2_000], [3, 4_000]] as const) {
    queue.begin(A, at(0))
    queue.failed(A, at(0), prng)
    t.same(queue.due(at(ms - 1), 9), [], `attempt ${attempt}`)
    t.same(queue.due(at(2 * ms), 9), [A], `attempt ${attempt}`)
  }
  for (let i = 0; i < 20; i++) queue.failed(A, at(0), prng)
  t.same(queue.due(at(29_999), 9), [])
  t.same(queue.due(at(60_000), 9), [A])
})

t.test('an announce without any outcome is taken for failed after a minute', async t => {
  const queue = new AnnounceQueue()
  queue.add(A, at(0))
  queue.begin(A, at(0))
  t.same(queue.due(at(59_999), 9), [])
  t.same(queue.due(at(60_000), 9), [A])
  t.ok(queue.begin(A, at(60_000)))
})

t.test('the most overdue go first, and no more than asked for', async t => {
  const queue = new AnnounceQueue()
  queue.add(B, at(5))
  queue.add(A, at(0))
  t.same(queue.due(at(10), 9), [A, B])
  t.same(queue.due(at(10), 1), [A])
})

t.test('hastening brings the next one forward, never back', async t => {
  const queue = new AnnounceQueue()
  queue.add(A, at(0))
  queue.begin(A, at(0))
  queue.answered(A, at(0), 3_000)
  queue.hasten(A, 1_000)
  t.same(queue.due(at(1_000), 9), [A])
  queue.hasten(A, 2_000)
  t.same(queue.due(at(1_000), 9), [A])
})

t.test('a removed torrent is ignored, and one that is there is not entered twice', async t => {
  const queue = new AnnounceQueue()
  queue.add(A, at(0))
  queue.begin(A, at(0))
  queue.add(A, at(0))
  t.same(queue.due(at(0), 9), [], 'still under way')
  queue.remove(A)
  queue.answered(A, at(0), 3_000)
  queue.failed(A, at(0), seededPrng(1))
  queue.hasten(A, 1)
  t.notOk(queue.begin(A, at(0)))
  t.equal(queue.size, 0)
})
