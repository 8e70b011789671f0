import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { seededPrng } from '../../../runtime/core/prng.js'
import { hexOf } from '../../../runtime/core/digest.js'
import { noLog } from '../../../runtime/observe/log.js'
import { OwedCopies } from '../../../runtime/origin/owed-copies.js'
import { storeIdOf, StoreWatch } from '../../../runtime/origin/store-id.js'
import { TaskQueue } from '../../../runtime/retry/task-queue.js'
import { ManualTime, until } from '../../support/manual-time.js'
import { MemoryOrigins } from '../../support/origin-doubles.js'

const BYTES = Buffer.from('a blob that was pushed')

async function setUp (t: Test, members = ['a', 'b', 'c'], owners = members) {
  const time = new ManualTime()
  const dir = await mkdtemp(join(tmpdir(), 'shoal-owed-'))
  const queue = await TaskQueue.open({ dir, clock: time.clock, sleep: time.sleep, prng: seededPrng(1), log: noLog })
  const origins = new MemoryOrigins('a', members, owners)
  const copying = new Set<string>()
  const owed = new OwedCopies({
    queue,
    placement: origins,
    replica: origins.replica,
    content: origins.content,
    isCopying: owner => copying.has(owner),
    log: noLog
  })
  const stop = new AbortController()
  t.teardown(async () => {
    stop.abort()
    await queue.close()
    await rm(dir, { recursive: true, force: true })
  })
  const digest = origins.put('a', BYTES)
  const owe = async (owner: string): Promise<void> => { await owed.owe([{ owner, namespace: 'ns', digest, delayMs: 1000 }]) }
  return { time, queue, origins, owed, digest, owe, copying, signal: stop.signal }
}

t.test('an owner that comes back gets its copy at once', async t => {
  const { origins, owed, digest, owe, queue, signal } = await setUp(t)
  origins.down.add('b')
  owed.start(signal)
  await owe('b')
  t.equal(owed.count, 1)
  t.equal(queue.pinCount(hexOf(digest)), 1, 'and until then ours must not be deleted')
  await until(() => queue.list()[0]?.state === 'waiting')
  t.same(origins.calls, [], 'one that is known to be down is not asked')
  origins.down.delete('b')
  origins.change()
  await until(() => owed.count === 0)
  t.same(origins.holders(digest), ['a', 'b'])
  t.equal(queue.pinCount(hexOf(digest)), 0)
})

t.test('an owner that has it by now gets nothing, as does one that is no owner any more', async t => {
  const { origins, owed, owe, signal } = await setUp(t, ['a', 'b', 'c'], ['a', 'b'])
  origins.put('b', BYTES)
  await owe('b')
  await owe('c')
  owed.start(signal)
  await until(() => owed.count === 0)
  t.same(origins.calls, ['stat b'])
})

t.test('a copy that is on its way is not sent twice', async t => {
  const { time, origins, owed, owe, copying, signal } = await setUp(t)
  copying.add('b')
  await owe('b')
  owed.start(signal)
  await until(() => time.sleeping > 0)
  t.same(origins.calls, [])
  copying.clear()
  await until(async () => {
    await time.advance(500)
    return owed.count === 0
  })
  t.same(origins.calls, ['stat b', 'duplicate+1000 b'])
})

t.test('what we lost ourselves is left to those who have it, and told of if nobody does', async t => {
  const { origins, owed, owe, digest, queue, signal } = await setUp(t)
  origins.blobs.get('a')?.delete(digest)
  origins.put('c', BYTES)
  await owe('b')
  owed.start(signal)
  await until(() => owed.count === 0)
  origins.blobs.get('c')?.delete(digest)
  await owe('b')
  await until(() => queue.stats().copy?.parked === 1)
  t.match(queue.list(), [{ reason: 'no origin has the blob any more' }])
})

t.test('a disk has an id of its own, and another one is noticed', async t => {
  const [one, two] = [await mkdtemp(join(tmpdir(), 'shoal-store-')), await mkdtemp(join(tmpdir(), 'shoal-store-'))]
  t.teardown(async () => { await Promise.all([one, two].map(async dir => { await rm(dir, { recursive: true, force: true }) })) })
  const id = await storeIdOf(one)
  t.equal(await storeIdOf(one), id)
  t.not(await storeIdOf(two), id)
  const lost: string[] = []
  const watch = new StoreWatch(noLog)
  watch.onLoss(address => { lost.push(address) })
  watch.saw('a', id)
  watch.saw('a', undefined)
  watch.saw('a', 'nonsense')
  watch.saw('a', id)
  t.same(lost, [])
  watch.saw('a', await storeIdOf(two))
  t.same(lost, ['a'])
})
