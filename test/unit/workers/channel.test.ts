import { MessageChannel } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { AppError } from '../../../runtime/core/errors.js'
import { Caller, type Emit, type Handlers, serveCalls } from '../../../workers/channel.js'

interface Calls {
  add: { input: { a: number, b: number }, output: { sum: number } }
  fail: { input: { isOurs: boolean }, output: object }
  hang: { input: object, output: object }
}
interface Events { said: { word: string } }

function setUp (t: Test, handlers: Partial<Handlers<Calls>> = {}): { caller: Caller<Calls, Events>, emit: Emit<Events>, closed: Promise<unknown> } {
  const { port1, port2 } = new MessageChannel()
  const closed = new Promise(resolve => port1.once('close', resolve))
  const emit = serveCalls<Calls, Events>(port2, {
    add: ({ a, b }) => ({ sum: a + b }),
    fail: async ({ isOurs }) => { throw isOurs ? new TypeError('oops') : new AppError('BLOB_UNKNOWN', 'no such blob') },
    hang: async (_, { signal }) => await new Promise(resolve => signal.addEventListener('abort', () => resolve({}))),
    ...handlers
  }, () => {})
  const caller = new Caller<Calls, Events>(port1, 'test')
  t.teardown(() => caller.end(new AppError('CANCELLED', 'the test is over')))
  return { caller, emit, closed }
}

t.test('calls are answered, many at a time', async t => {
  const { caller } = setUp(t)
  await caller.ready
  const sums = await Promise.all(Array.from({ length: 100 }, async (_, i) => (await caller.call('add', { a: i, b: 1 })).sum))
  t.same(sums, Array.from({ length: 100 }, (_, i) => i + 1))
})

t.test('errors keep their code; what is no AppError is our own fault', async t => {
  const { caller } = setUp(t)
  await t.rejects(caller.call('fail', { isOurs: false }), { name: 'AppError', code: 'BLOB_UNKNOWN', message: 'no such blob' })
  await t.rejects(caller.call('fail', { isOurs: true }), { name: 'AppError', code: 'INTERNAL', message: 'oops' })
})

t.test('an abort ends the waiting and reaches the handler', async t => {
  let isAborted: (value: boolean) => void = () => {}
  const aborted = new Promise<boolean>(resolve => { isAborted = resolve })
  const { caller } = setUp(t, {
    hang: async (_, { signal }) => {
      signal.addEventListener('abort', () => isAborted(true))
      await aborted
      return {}
    }
  })
  const abort = new AbortController()
  const call = caller.call('hang', {}, { signal: abort.signal })
  await caller.call('add', { a: 1, b: 1 })
  abort.abort()
  await t.rejects(call, { code: 'CANCELLED' })
  t.equal(await aborted, true)
  await t.rejects(caller.call('add', { a: 1, b: 1 }, { signal: abort.signal }), { code: 'CANCELLED' })
})

t.test('an event that was emitted before an answer comes before it', async t => {
  const seen: string[] = []
  const { caller, emit } = setUp(t, {
    add: ({ a, b }) => {
      emit('said', { word: 'adding' })
      return { sum: a + b }
    }
  })
  const stop = caller.on('said', ({ word }) => seen.push(word))
  await caller.call('add', { a: 1, b: 2 }).then(({ sum }) => seen.push(String(sum)))
  stop()
  await caller.call('add', { a: 1, b: 2 })
  t.same(seen, ['adding', '3'])
})

t.test('closing answers what runs, refuses what comes, and closes the port', async t => {
  let release = (): void => {}
  const gate = new Promise<void>(resolve => { release = resolve })
  const { caller, closed } = setUp(t, { hang: async () => { await gate; return {} } })
  const running = caller.call('hang', {})
  caller.requestClose()
  const late = caller.call('add', { a: 1, b: 1 })
  await t.rejects(late, { code: 'UNAVAILABLE' })
  release()
  await running
  await closed
})

t.test('after the end everything fails at once', async t => {
  const { caller } = setUp(t)
  const pending = caller.call('hang', {})
  caller.end(new AppError('INTERNAL', 'the thread died'))
  await t.rejects(pending, { code: 'INTERNAL' })
  await t.rejects(caller.call('add', { a: 1, b: 1 }), { code: 'INTERNAL', message: 'the thread died' })
})
