import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { seededPrng } from '../../../runtime/core/prng.js'
import { type Logger, noLog } from '../../../runtime/observe/log.js'
import { type RetryPolicy, type TaskKind } from '../../../runtime/retry/task.js'
import { TaskQueue } from '../../../runtime/retry/task-queue.js'
import { ManualTime, settle, until } from '../../support/manual-time.js'

const COPY: TaskKind<{ to: string }> = {
  name: 'copy',
  parse: stored => {
    if (typeof stored !== 'object' || stored === null || !('to' in stored) || typeof stored.to !== 'string') throw new Error('no copy')
    return { to: stored.to }
  }
}
const POLICY: RetryPolicy = { workers: 2, spacingMs: 0, pauseMinMs: 1000, pauseMaxMs: 8000, failuresMax: Infinity }

interface Setting { dir?: string, time?: ManualTime, tasksMax?: number, log?: Logger }

async function queueIn (t: Test, { dir, time = new ManualTime(), tasksMax, log = noLog }: Setting = {}) {
  const folder = dir ?? await mkdtemp(join(tmpdir(), 'shoal-tasks-'))
  const limit = tasksMax === undefined ? {} : { tasksMax }
  const queue = await TaskQueue.open({ dir: folder, clock: time.clock, sleep: time.sleep, prng: seededPrng(1), log, ...limit })
  t.teardown(async () => {
    const closing = queue.close()
    await time.advance(10_000)
    await closing
    await rm(folder, { recursive: true, force: true })
  })
  return { queue, time, dir: folder }
}

t.test('a task runs once, when its delay is over, and is gone', async t => {
  const { queue, time } = await queueIn(t)
  const done: string[] = []
  queue.handle(COPY, POLICY, async ({ key, payload }) => { done.push(`${key}>${payload.to}`) })
  await queue.add(COPY, { key: 'a', payload: { to: 'x' }, delayMs: 5000 })
  await time.advance(4999)
  t.same(done, [])
  await time.advance(1)
  await until(() => queue.size === 0)
  t.same(done, ['a>x'])
})

t.test('a failed attempt is repeated with growing pauses', async t => {
  const pauses: number[] = []
  const log: Logger = { ...noLog, warn: fields => { if ('pauseMs' in fields) pauses.push(Number(fields.pauseMs)) } }
  const { queue, time } = await queueIn(t, { log })
  const at: number[] = []
  queue.handle(COPY, POLICY, async () => {
    at.push(time.clock.now())
    if (at.length < 5) throw new Error('not yet')
  })
  await queue.add(COPY, { key: 'a', payload: { to: 'x' } })
  await until(async () => { await time.advance(100); return queue.size === 0 })
  t.equal(at.length, 5)
  t.equal(pauses.length, 4)
  for (const [i, pause] of pauses.entries()) {
    const whole = Math.min(8000, 1000 * 2 ** i)
    t.ok(pause >= whole / 2 && pause <= whole, `pause ${i} is ${pause}`)
    // How much later depends on the disk, which does not heed this clock.
    t.ok((at[i + 1] ?? 0) - (at[i] ?? 0) >= pause - 1, 'and is kept')
  }
})

t.test('tasks outlive the queue, with their failures, delays and pins', async t => {
  const time = new ManualTime()
  const dir = await mkdtemp(join(tmpdir(), 'shoal-tasks-'))
  const first = await queueIn(t, { dir, time })
  first.queue.handle(COPY, { ...POLICY, failuresMax: 1 }, async ({ key }) => { if (key === 'bad') throw new Error('broken') })
  await first.queue.addAll(COPY, [
    { key: 'later', payload: { to: 'x' }, delayMs: 60_000, pin: 'blob' },
    { key: 'bad', payload: { to: 'y' }, pin: 'blob' }
  ])
  await until(() => first.queue.stats().copy?.parked === 1)
  t.equal(first.queue.pinCount('blob'), 2)
  await first.queue.close()

  const { queue } = await queueIn(t, { dir, time })
  t.equal(queue.pinCount('blob'), 2)
  t.match(queue.list({ state: 'parked' }), [{ key: 'bad', failures: 1, reason: 'broken' }])
  const done: string[] = []
  queue.handle(COPY, POLICY, async ({ key }) => { done.push(key) })
  t.ok(await queue.retry('copy', 'bad'))
  await until(() => queue.size === 1)
  t.equal(queue.pinCount('blob'), 1)
  await time.advance(60_000)
  await until(() => queue.size === 0)
  t.same(done, ['bad', 'later'])
  t.equal(queue.pinCount('blob'), 0)
})

t.test('of two tasks with one key there is one', async t => {
  const { queue, time } = await queueIn(t)
  const done: string[] = []
  await queue.add(COPY, { key: 'a', payload: { to: 'old' }, delayMs: 1000 })
  await queue.add(COPY, { key: 'a', payload: { to: 'kept out' } })
  await queue.add(COPY, { key: 'b', payload: { to: 'old' }, delayMs: 1000 })
  await queue.add(COPY, { key: 'b', payload: { to: 'new' }, delayMs: 2000, ifPresent: 'replace' })
  t.equal(queue.size, 2)
  queue.handle(COPY, POLICY, async ({ key, payload }) => { done.push(`${key}>${payload.to}`) })
  await time.advance(1000)
  await until(() => queue.size === 1)
  t.same(done, ['a>old'])
  await time.advance(1000)
  await until(() => queue.size === 0)
  t.same(done, ['a>old', 'b>new'])
})

t.test('one that is added again while it runs is run once more, with the new payload', async t => {
  const { queue } = await queueIn(t)
  const seen: string[] = []
  let finish: () => void = () => {}
  queue.handle(COPY, POLICY, async ({ payload }) => {
    seen.push(payload.to)
    if (payload.to === 'old') await new Promise<void>(resolve => { finish = resolve })
  })
  await queue.add(COPY, { key: 'a', payload: { to: 'old' } })
  await until(() => seen.length === 1)
  const added = queue.add(COPY, { key: 'a', payload: { to: 'new' }, ifPresent: 'replace' })
  finish()
  await added
  await until(() => queue.size === 0)
  t.same(seen, ['old', 'new'])
})

t.test('many replacements at once: the last one is the last to run', async t => {
  const { queue } = await queueIn(t)
  const seen: string[] = []
  queue.handle(COPY, POLICY, async ({ payload }) => { seen.push(payload.to) })
  await Promise.all(Array.from({ length: 50 }, async (_, i) => { await queue.add(COPY, { key: 'a', payload: { to: String(i) }, ifPresent: 'replace' }) }))
  await until(() => queue.size === 0)
  t.equal(seen.at(-1), '49')
})

t.test('workers are bounded', async t => {
  const { queue } = await queueIn(t)
  let running = 0
  let most = 0
  queue.handle(COPY, POLICY, async () => {
    most = Math.max(most, ++running)
    await settle()
    running--
  })
  await queue.addAll(COPY, Array.from({ length: 20 }, (_, i) => ({ key: String(i), payload: { to: 'x' } })))
  await until(() => queue.size === 0)
  t.equal(most, 2)
})

t.test('what is hopeless is parked, and can be dropped', async t => {
  const { queue } = await queueIn(t)
  queue.handle(COPY, POLICY, async () => ({ park: 'nobody has it' }))
  await queue.add(COPY, { key: 'a', payload: { to: 'x' }, pin: 'blob' })
  await until(() => queue.stats().copy?.parked === 1)
  t.match(queue.list(), [{ state: 'parked', reason: 'nobody has it', payload: { to: 'x' } }])
  t.ok(await queue.drop('copy', 'a'))
  t.notOk(await queue.drop('copy', 'a'))
  t.equal(queue.pinCount('blob'), 0)
})

t.test('waiting tasks can be woken', async t => {
  const { queue } = await queueIn(t)
  let isUp = false
  queue.handle(COPY, POLICY, async () => { if (!isUp) throw new Error('down') })
  await queue.add(COPY, { key: 'host-1 blob', payload: { to: 'x' } })
  await until(() => queue.list()[0]?.failures === 1 && queue.list()[0]?.state === 'waiting')
  isUp = true
  t.equal(queue.wake(COPY, key => key.startsWith('host-2 ')), 0)
  t.equal(queue.wake(COPY, key => key.startsWith('host-1 ')), 1)
  await until(() => queue.size === 0)
})

t.test('a full queue refuses and forgets nothing', async t => {
  const { queue } = await queueIn(t, { tasksMax: 1 })
  await queue.add(COPY, { key: 'a', payload: { to: 'x' } })
  await t.rejects(queue.add(COPY, { key: 'b', payload: { to: 'x' } }), { code: 'UNAVAILABLE' })
  t.equal(queue.size, 1)
})

t.test('long and strange keys stay apart', async t => {
  const { queue } = await queueIn(t)
  const keys = ['k'.repeat(5000), `${'k'.repeat(4999)}l`, 'with\nnewline', 'with\0nul', '#', '=']
  await queue.addAll(COPY, keys.map(key => ({ key, payload: { to: key } })))
  const seen: string[] = []
  queue.handle(COPY, POLICY, async ({ key, payload }) => {
    t.equal(payload.to, key)
    seen.push(key)
  })
  await until(() => queue.size === 0)
  t.same(seen.sort(), [...keys].sort())
})
