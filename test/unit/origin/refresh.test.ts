import t, { type Test } from 'tap'
import { TaskGroup } from '../../../runtime/cluster/task-group.js'
import { type Digest, digestOf } from '../../../runtime/core/digest.js'
import { AppError } from '../../../runtime/core/errors.js'
import { noLog } from '../../../runtime/observe/log.js'
import { type Backend } from '../../../runtime/origin/ports.js'
import { Refresh } from '../../../runtime/origin/refresh.js'
import { ManualTime, settle } from '../../support/manual-time.js'
import { MemoryOrigins, streamOf } from '../../support/origin-doubles.js'

const BYTES = Buffer.from('a blob that is elsewhere')
const DIGEST = digestOf(BYTES)

interface SetUp { readonly members?: string[], readonly owners?: string[], readonly backend?: Backend, readonly backendBytesMax?: number }

function setUp (t: Test, options: SetUp = {}) {
  const { members = ['a', 'b', 'c'], owners = members, backend, backendBytesMax } = options
  const time = new ManualTime()
  const origins = new MemoryOrigins('a', members, owners)
  const tasks = new TaskGroup(noLog)
  const landed: Digest[] = []
  const state = { store: async (): Promise<void> => {} }
  const refresh = new Refresh({
    placement: origins,
    replica: origins.replica,
    backend,
    copiesMin: 2,
    backendBytesMax,
    store: async (digest, stream) => {
      await state.store()
      for await (const chunk of stream.chunks()) if (origins.put('a', chunk) !== digest) throw new AppError('DIGEST_MISMATCH', 'other bytes')
    },
    onLanded: digest => { landed.push(digest) },
    tasks,
    clock: time.clock,
    sleep: time.sleep,
    log: noLog
  })
  t.teardown(async () => { await tasks.close() })
  return { time, origins, tasks, landed, refresh, state }
}

t.test('a blob that nobody has is unknown', async t => {
  const { refresh, origins } = setUp(t)
  t.equal(await refresh.begin('ns', DIGEST), 'unknown')
  t.same(origins.calls, ['stat b', 'stat c'])
  t.equal(await refresh.begin('ns', DIGEST), 'unknown')
  t.equal(origins.calls.length, 4, 'asked again, since somebody may have pushed it')
})

t.test('the only origin knows by itself', async t => {
  const { refresh } = setUp(t, { members: ['a'] })
  t.equal(await refresh.begin('ns', DIGEST), 'unknown')
})

t.test('another owner has it: one fetch, and it lands here', async t => {
  const { refresh, origins, landed } = setUp(t)
  origins.put('c', BYTES)
  t.same(await Promise.all([refresh.begin('ns', DIGEST), refresh.begin('other', DIGEST)]), ['pending', 'pending'])
  t.equal(await refresh.begin('ns', DIGEST), 'pending')
  await settle()
  t.same(origins.holders(DIGEST), ['a', 'c'])
  t.same(landed, [DIGEST])
  t.notOk(refresh.isFetching(DIGEST))
  t.equal(origins.calls.filter(call => call.startsWith('download')).length, 1)
})

t.test('a member that is no owner may have it too', async t => {
  const { refresh, origins } = setUp(t, { owners: ['a', 'b'] })
  origins.put('c', BYTES)
  t.equal(await refresh.begin('ns', DIGEST), 'pending')
  await settle()
  t.same(origins.holders(DIGEST), ['a', 'c'])
})

t.test('a source that fails is followed by the next', async t => {
  const { refresh, origins, state } = setUp(t)
  origins.put('b', BYTES)
  origins.put('c', BYTES)
  let failures = 1
  state.store = async () => { if (failures-- > 0) throw new AppError('DIGEST_MISMATCH', 'other bytes') }
  await refresh.begin('ns', DIGEST)
  await settle()
  t.same(origins.holders(DIGEST), ['a', 'b', 'c'])
})

t.test('a failure is repeated for 15 seconds and then forgotten', async t => {
  const { time, refresh, origins, state } = setUp(t)
  origins.put('b', BYTES)
  state.store = async () => { throw new AppError('STORAGE_FULL', 'no space') }
  t.equal(await refresh.begin('ns', DIGEST), 'pending')
  await settle()
  await t.rejects(refresh.begin('ns', DIGEST), { code: 'STORAGE_FULL' })
  await time.advance(14_999)
  await t.rejects(refresh.begin('ns', DIGEST), { code: 'STORAGE_FULL' })
  await time.advance(1)
  t.equal(await refresh.begin('ns', DIGEST), 'pending')
})

t.test('it is not unknown if nobody could be asked', async t => {
  const { refresh, origins } = setUp(t)
  const healthy = origins.healthy
  Object.defineProperty(origins, 'healthy', { get: () => healthy })
  origins.down.add('b').add('c')
  await t.rejects(refresh.begin('ns', DIGEST), { code: 'UNAVAILABLE' })
})

t.test('the backend is asked last', async t => {
  const stats: string[] = []
  const { refresh, origins } = setUp(t, {
    backend: {
      stat: async namespace => {
        stats.push(namespace)
        return { sizeBytes: BYTES.length }
      },
      open: async () => streamOf(BYTES)
    }
  })
  t.equal(await refresh.begin('ns', DIGEST), 'pending')
  await settle()
  t.same(stats, ['ns'])
  t.same(origins.holders(DIGEST), ['a'])
})

/** A backend that has the blob, and what it was asked. */
function backendOf (asked: string[]): Backend {
  return {
    stat: async () => {
      asked.push('stat')
      return { sizeBytes: BYTES.length }
    },
    open: async () => {
      asked.push('open')
      return streamOf(BYTES)
    }
  }
}

t.test('the first owner reads the backend, the others copy from it', async t => {
  const asked: string[] = []
  const { time, refresh, origins } = setUp(t, { owners: ['b', 'a', 'c'], backend: backendOf(asked) })
  t.equal(await refresh.begin('ns', DIGEST), 'pending')
  await settle()
  t.same(origins.holders(DIGEST), [], 'b is at it')
  origins.put('b', BYTES)
  await time.advance(1_000)
  t.same(origins.holders(DIGEST), ['a', 'b'])
  t.same(asked, ['stat'])
})

t.test('the next owner takes over from one that dies', async t => {
  const asked: string[] = []
  const { time, refresh, origins } = setUp(t, { owners: ['b', 'c', 'a'], backend: backendOf(asked) })
  await refresh.begin('ns', DIGEST)
  await settle()
  origins.down.add('b')
  origins.onLease = async member => { if (member === 'c') origins.put('c', BYTES) }
  await time.advance(2_000)
  t.same(origins.holders(DIGEST), ['a', 'c'])
  t.same(asked, ['stat'])
})

t.test('if no owner can, we read the backend ourselves', async t => {
  const asked: string[] = []
  const { time, refresh, origins } = setUp(t, { owners: ['b', 'a'], backend: backendOf(asked) })
  await refresh.begin('ns', DIGEST)
  await settle()
  origins.down.add('b')
  await time.advance(2_000)
  t.same(origins.holders(DIGEST), ['a'])
  t.same(asked, ['stat', 'open'])
})

t.test('who is left the fetch does not leave it to a third', async t => {
  const asked: string[] = []
  const { refresh, origins } = setUp(t, { owners: ['b', 'a', 'c'], backend: backendOf(asked) })
  t.equal(await refresh.begin('ns', DIGEST, { isLeased: true }), 'pending')
  await settle()
  t.same(origins.holders(DIGEST), ['a'])
  t.same(asked, ['stat', 'open'])
})

t.test('absence counts for a second, failure of the backend not at all', async t => {
  let asked = 0
  let isDown = false
  const backend: Backend = {
    stat: async () => {
      asked++
      if (isDown) throw new AppError('UNAVAILABLE', 'the backend is down')
      return undefined
    },
    open: async () => undefined
  }
  const { time, refresh } = setUp(t, { backend })
  for (let i = 0; i < 5; i++) t.equal(await refresh.begin('ns', DIGEST), 'unknown')
  t.equal(asked, 1)
  await time.advance(1_000)
  isDown = true
  for (let i = 0; i < 2; i++) await t.rejects(refresh.begin('ns', DIGEST), { code: 'UNAVAILABLE' })
  isDown = false
  t.equal(await refresh.begin('ns', DIGEST), 'unknown')
  t.equal(asked, 4)
})

t.test('what is larger than the limit is not fetched', async t => {
  const asked: string[] = []
  const { refresh } = setUp(t, { members: ['a'], backend: backendOf(asked), backendBytesMax: BYTES.length - 1 })
  await t.rejects(refresh.begin('ns', DIGEST), { code: 'INTERNAL', message: /size_limit/ })
  t.same(asked, ['stat'])
})

t.test('many fetches wait for their turn, too many are refused', async t => {
  const { refresh, origins, state } = setUp(t)
  let running = 0
  let mostRunning = 0
  const finish: Array<() => void> = []
  state.store = async () => {
    mostRunning = Math.max(mostRunning, ++running)
    await new Promise<void>(resolve => finish.push(resolve))
    running--
  }
  const digests = Array.from({ length: 1_016 }, (_, n) => origins.put('b', Buffer.from(`${n}`)))
  for (const digest of digests) await refresh.begin('ns', digest)
  const one = origins.put('b', Buffer.from('one more'))
  await t.rejects(refresh.begin('ns', one), { code: 'UNAVAILABLE' })
  for (let round = 0; round < digests.length / 16; round++) {
    await settle()
    for (const done of finish.splice(0)) done()
  }
  await settle()
  t.equal(mostRunning, 16)
  t.equal(origins.blobs.get('a')?.size, digests.length)
  t.equal(await refresh.begin('ns', one), 'pending')
  await settle()
  finish[0]?.()
})
