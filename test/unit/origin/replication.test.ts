import t from 'tap'
import { TaskGroup } from '../../../runtime/cluster/task-group.js'
import { seededPrng } from '../../../runtime/core/prng.js'
import { noLog } from '../../../runtime/observe/log.js'
import { type OwedCopy } from '../../../runtime/origin/owed-copies.js'
import { Replication } from '../../../runtime/origin/replication.js'
import { ManualTime, settle } from '../../support/manual-time.js'
import { MemoryOrigins } from '../../support/origin-doubles.js'

const BYTES = Buffer.from('a blob that was pushed')

function setUp (members = ['a', 'b', 'c'], owners = members, copiesMin = 2) {
  const time = new ManualTime()
  const origins = new MemoryOrigins('a', members, owners)
  const tasks = new TaskGroup(noLog)
  const owed: string[] = []
  const replication = new Replication({
    placement: origins,
    replica: origins.replica,
    content: origins.content,
    staggerMs: 1_000,
    copiesMin,
    owed: { owe: async (copies: readonly OwedCopy[]) => { owed.push(...copies.map(({ owner }) => owner)) } },
    tasks,
    sleep: time.sleep,
    prng: seededPrng(1),
    log: noLog
  })
  return { time, origins, tasks, owed, replication, digest: origins.put('a', BYTES) }
}

t.test('every other owner has a copy when it resolves, with staggered delays', async t => {
  const { origins, replication, digest, owed } = setUp()
  await replication.replicate('ns', digest)
  t.same(origins.holders(digest), ['a', 'b', 'c'])
  t.same(origins.calls.map(call => call.split(' ')[0]).toSorted(), ['duplicate+1000', 'duplicate+2000'])
  t.same(owed, [])
})

t.test('a cluster of one copies nothing', async t => {
  const { origins, replication, digest } = setUp(['a'])
  await replication.replicate('ns', digest)
  t.same(origins.calls, [])
})

t.test('a copy that fails is owed', async t => {
  const { origins, replication, digest, owed } = setUp()
  origins.beforeCopy = async owner => { if (owner === 'b') throw new Error('disk full') }
  await replication.replicate('ns', digest)
  t.same(origins.holders(digest), ['a', 'c'])
  t.same(owed, ['b'])
})

t.test('the next member in the ring steps in for an owner that is down, which is owed its copy', async t => {
  const { origins, replication, digest, owed } = setUp(['a', 'b', 'c', 'd'], ['a', 'b'])
  origins.down.add('b')
  await replication.replicate('ns', digest)
  t.same(origins.holders(digest), ['a', 'c'])
  t.same(owed, ['b'])
  t.same(origins.calls, ['duplicate+1000 c'])
})

t.test('one after the other steps in until there are enough copies', async t => {
  const { origins, replication, digest, owed } = setUp(['a', 'b', 'c', 'd', 'e'], ['a', 'b', 'c'], 3)
  origins.beforeCopy = async owner => { if (owner === 'b' || owner === 'd') throw new Error('disk full') }
  await replication.replicate('ns', digest)
  t.same(origins.holders(digest), ['a', 'c', 'e'])
  t.same(owed, ['b'])
})

t.test('an owner that says nothing is stood in for', async t => {
  const { time, origins, replication, digest, owed, tasks } = setUp(['a', 'b', 'c'], ['a', 'b'])
  origins.beforeCopy = async owner => { if (owner === 'b') await new Promise<never>(() => {}) }
  let isAnswered = false
  const work = replication.replicate('ns', digest).then(() => { isAnswered = true })
  await time.advance(999)
  t.notOk(isAnswered)
  await time.advance(1)
  t.ok(isAnswered)
  await work
  t.same(origins.holders(digest), ['a', 'c'])
  t.same(owed, ['b'])
  t.ok(replication.isCopying('b', digest))
  await tasks.close()
  t.notOk(replication.isCopying('b', digest))
})

t.test('if nobody can take a copy, all are owed and it does not fail', async t => {
  const { origins, replication, digest, owed } = setUp(['a', 'b', 'c'], ['a', 'b'])
  origins.beforeCopy = async () => { throw new Error('disk full') }
  await replication.replicate('ns', digest)
  t.same(origins.holders(digest), ['a'])
  t.same(owed, ['b'])
  t.same(origins.calls.map(call => call.split(' ')[1]), ['b', 'c'])
})

t.test('before a copy is missing even those are asked who seem to be down', async t => {
  const { origins, replication, digest } = setUp(['a', 'b'])
  origins.down.add('b')
  await replication.replicate('ns', digest)
  t.same(origins.calls, ['duplicate+1000 b'])
})

t.test('what cannot be put on record is not acknowledged', async t => {
  const { origins, replication, digest } = setUp(['a', 'b'])
  origins.down.add('b')
  replication.options.owed.owe = async () => { throw new Error('no space left') }
  await t.rejects(replication.replicate('ns', digest), /no space/)
})

t.test('with enough copies a slow owner is waited for a moment only, and gets its copy afterwards', async t => {
  const { time, origins, replication, digest, tasks, owed } = setUp()
  let finish = (): void => {}
  origins.beforeCopy = async owner => { if (owner === 'b') await new Promise<void>(resolve => { finish = resolve }) }
  let isAnswered = false
  const work = replication.replicate('ns', digest).then(() => { isAnswered = true })
  await time.advance(999)
  t.notOk(isAnswered)
  await time.advance(1)
  t.ok(isAnswered)
  await work
  t.same(origins.holders(digest), ['a', 'c'])
  t.same(owed, ['b'], 'in case this process does not live to see the end')
  finish()
  await settle()
  t.same(origins.holders(digest), ['a', 'b', 'c'])
  t.equal(tasks.size, 0)
  t.equal(time.sleeping, 0)
})

t.test('commits of one blob share the work', async t => {
  const { origins, replication, digest } = setUp()
  await Promise.all([replication.replicate('ns', digest), replication.replicate('ns', digest)])
  t.equal(origins.calls.length, 2)
})

t.test('closing the group ends what runs, and what is missing is owed', async t => {
  const { origins, replication, digest, tasks, owed } = setUp()
  origins.beforeCopy = async () => await new Promise<never>(() => {})
  const work = replication.replicate('ns', digest)
  await settle()
  await tasks.close()
  await work
  t.same(origins.holders(digest), ['a'])
  t.same(owed.toSorted(), ['b', 'c'])
})
