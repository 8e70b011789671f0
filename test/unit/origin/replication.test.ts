import t from 'tap'
import { TaskGroup } from '../../../runtime/cluster/task-group.js'
import { type Digest } from '../../../runtime/core/digest.js'
import { seededPrng } from '../../../runtime/core/prng.js'
import { noLog } from '../../../runtime/observe/log.js'
import { Replication } from '../../../runtime/origin/replication.js'
import { ManualTime, settle } from '../../support/manual-time.js'
import { MemoryOrigins } from '../../support/origin-doubles.js'

const BYTES = Buffer.from('a blob that was pushed')

function setUp (members = ['a', 'b', 'c']) {
  const time = new ManualTime()
  const origins = new MemoryOrigins('a', members)
  const tasks = new TaskGroup(noLog)
  const left: Digest[] = []
  const replication = new Replication({
    placement: origins,
    replica: origins.replica,
    content: origins.content,
    staggerMs: 1_000,
    leaveToRepair: digest => { left.push(digest) },
    tasks,
    sleep: time.sleep,
    prng: seededPrng(1),
    log: noLog
  })
  return { time, origins, tasks, left, replication, digest: origins.put('a', BYTES) }
}

t.test('every other owner has a copy when it resolves, with staggered delays', async t => {
  const { origins, replication, digest, left } = setUp()
  await replication.replicate('ns', digest)
  t.same(origins.holders(digest), ['a', 'b', 'c'])
  t.same(origins.calls.map(call => call.split(' ')[0]).toSorted(), ['duplicate+1000', 'duplicate+2000'])
  t.same(left, [])
})

t.test('a cluster of one copies nothing', async t => {
  const { origins, replication, digest } = setUp(['a'])
  await replication.replicate('ns', digest)
  t.same(origins.calls, [])
})

t.test('one replica that fails is left to the repair, and not tried twice', async t => {
  const { origins, replication, digest, left } = setUp()
  origins.beforeCopy = async owner => { if (owner === 'b') throw new Error('disk full') }
  await replication.replicate('ns', digest)
  t.same(origins.holders(digest), ['a', 'c'])
  t.same(left, [digest])
  t.equal(origins.calls.length, 2)
})

t.test('without any replica it is tried once more', async t => {
  const { origins, replication, digest } = setUp(['a', 'b'])
  let failures = 1
  origins.beforeCopy = async () => { if (failures-- > 0) throw new Error('restarting') }
  await replication.replicate('ns', digest)
  t.same(origins.holders(digest), ['a', 'b'])
  t.equal(origins.calls.length, 2)
})

t.test('it gives up after that and does not fail', async t => {
  const { origins, replication, digest, left } = setUp(['a', 'b'])
  origins.beforeCopy = async () => { throw new Error('disk full') }
  await replication.replicate('ns', digest)
  t.same(origins.holders(digest), ['a'])
  t.same([...new Set(left)], [digest])
  t.equal(origins.calls.length, 2)
})

t.test('owners that are not healthy are not waited for', async t => {
  const { origins, replication, digest } = setUp()
  origins.down.add('b')
  await replication.replicate('ns', digest)
  t.same(origins.holders(digest), ['a', 'c'])
  t.equal(origins.calls.length, 1)
})

t.test('a slow replica holds the commit up for a while only, and is finished afterwards', async t => {
  const { time, origins, replication, digest, tasks } = setUp()
  let finish = (): void => {}
  origins.beforeCopy = async owner => { if (owner === 'b') await new Promise<void>(resolve => { finish = resolve }) }
  let isAnswered = false
  const work = replication.replicate('ns', digest).then(() => { isAnswered = true })
  await time.advance(9_999)
  t.notOk(isAnswered)
  await time.advance(1)
  t.ok(isAnswered)
  await work
  t.same(origins.holders(digest), ['a', 'c'])
  finish()
  await settle()
  t.same(origins.holders(digest), ['a', 'b', 'c'])
  t.equal(tasks.size, 0)
  t.equal(time.sleeping, 0)
})

t.test('commits of one blob share the work', async t => {
  const { origins, replication, digest } = setUp()
  await Promise.all([replication.replicate('ns', digest), replication.replicate('ns', digest)])
  await replication.settled(digest)
  t.equal(origins.calls.length, 2)
})

t.test('closing the group ends what runs', async t => {
  const { origins, replication, digest, tasks } = setUp()
  origins.beforeCopy = async () => await new Promise<never>(() => {})
  const work = replication.replicate('ns', digest)
  await settle()
  await tasks.close()
  await work
  t.same(origins.holders(digest), ['a'])
})
