import t, { type Test } from 'tap'
import { TaskGroup } from '../../../runtime/cluster/task-group.js'
import { noLog } from '../../../runtime/observe/log.js'
import { Repair } from '../../../runtime/origin/repair.js'
import { ManualTime } from '../../support/manual-time.js'
import { MemoryOrigins } from '../../support/origin-doubles.js'

const BYTES = Buffer.from('a blob that lacks a copy')

function setUp (t: Test, self: string, owners: readonly string[] = ['a', 'b', 'c']) {
  const time = new ManualTime()
  const origins = new MemoryOrigins(self, ['a', 'b', 'c'], owners)
  const tasks = new TaskGroup(noLog)
  const repair = new Repair({
    placement: origins,
    replica: origins.replica,
    content: origins.content,
    listLocal: async function * () { yield * origins.blobs.get(self)?.keys() ?? [] },
    tasks,
    clock: time.clock,
    sleep: time.sleep,
    log: noLog,
    rememberedMax: 10
  })
  t.teardown(async () => { await tasks.close() })
  return { time, origins, tasks, repair }
}

t.test('the start compares everything and makes what is missing', async t => {
  const { time, origins, repair } = setUp(t, 'a')
  const digests = [1, 2, 3].map(n => origins.put('a', Buffer.from([n])))
  origins.put('b', Buffer.from([1]))
  repair.start()
  await time.advance(1_000)
  for (const digest of digests) t.same(origins.holders(digest), ['a', 'b', 'c'])
  t.equal(origins.calls.filter(call => call.startsWith('transfer')).length, 5)
  t.equal(repair.backlog, 0)
})

t.test('a better placed holder is given the time to do it', async t => {
  const { time, origins, repair } = setUp(t, 'b')
  const digest = origins.put('b', BYTES)
  origins.put('a', BYTES)
  repair.start()
  await time.advance(1_000)
  t.same(origins.holders(digest), ['a', 'b'])
  t.equal(repair.backlog, 1)
  await time.advance(5_000)
  t.same(origins.holders(digest), ['a', 'b', 'c'])
  t.equal(repair.backlog, 0)
})

t.test('a blob that is owned elsewhere goes to its owners', async t => {
  const { time, origins, repair } = setUp(t, 'c', ['a', 'b'])
  const digest = origins.put('c', BYTES)
  repair.start()
  await time.advance(1_000)
  t.same(origins.holders(digest), ['a', 'b', 'c'])
})

t.test('what fails is tried again with growing pauses', async t => {
  const { time, origins, repair } = setUp(t, 'a', ['a', 'b'])
  const digest = origins.put('a', BYTES)
  let failures = 3
  origins.beforeCopy = async () => { if (failures-- > 0) throw new Error('disk full') }
  const copies = (): number => origins.calls.filter(call => call.startsWith('transfer')).length
  repair.start()
  await time.advance(100)
  t.equal(copies(), 1)
  await time.advance(5_000)
  t.equal(copies(), 2)
  await time.advance(9_800)
  t.equal(copies(), 2)
  await time.advance(200)
  t.equal(copies(), 3)
  await time.advance(20_000)
  t.same(origins.holders(digest), ['a', 'b'])
  t.equal(repair.backlog, 0)
})

t.test('the return of a member brings it what it missed', async t => {
  const { time, origins, repair } = setUp(t, 'a')
  origins.down.add('b')
  repair.start()
  await time.advance(1_000)
  const digest = origins.put('a', BYTES)
  origins.put('c', BYTES)
  origins.down.delete('b')
  origins.change()
  await time.advance(1_000)
  t.same(origins.holders(digest), ['a', 'b', 'c'])
})

t.test('a remembered blob is looked after, one that was deleted forgotten', async t => {
  const { time, origins, repair } = setUp(t, 'a')
  repair.start()
  await time.advance(1_000)
  const digest = origins.put('a', BYTES)
  repair.remember(digest)
  const gone = origins.put('a', Buffer.from('deleted'))
  repair.remember(gone)
  origins.blobs.get('a')?.delete(gone)
  await time.advance(10_000)
  t.same(origins.holders(digest), ['a', 'b', 'c'])
  t.equal(repair.backlog, 0)
})

t.test('more blobs than it remembers are found by a later comparison', async t => {
  const { time, origins, repair } = setUp(t, 'a', ['a', 'b'])
  repair.start()
  await time.advance(1_000)
  origins.beforeCopy = async () => { throw new Error('disk full') }
  const digests = Array.from({ length: 13 }, (_, n) => origins.put('a', Buffer.from(`${n}`)))
  for (const digest of digests) repair.remember(digest)
  t.equal(repair.backlog, 10)
  origins.beforeCopy = async () => {}
  await time.advance(400_000)
  t.equal(repair.backlog, 0)
  t.equal(origins.blobs.get('b')?.size, digests.length)
})

t.test('nothing goes on after the group is closed', async t => {
  const { time, origins, repair, tasks } = setUp(t, 'a')
  repair.start()
  await time.advance(1_000)
  await tasks.close()
  t.equal(time.sleeping, 0)
  t.equal(origins.listening, 0)
  origins.put('a', BYTES)
  repair.compareAll()
  await time.advance(60_000)
  t.notOk(origins.calls.some(call => call.startsWith('transfer')))
})
