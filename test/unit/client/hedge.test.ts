import t from 'tap'
import { type Hedge, hedged } from '../../../net/client/hedge.js'
import { ManualTime } from '../../support/manual-time.js'

interface Question { readonly host: string, heard (): void, answer (text: string): void, fail (reason: string): void }

/** Asks a, b and c; the test answers for them. */
function setUp (options: Partial<Hedge<string, string>> = {}) {
  const time = new ManualTime()
  const asked: Question[] = []
  const outcome = hedged(['a', 'b', 'c'], {
    ask: async (host, heard) => await new Promise<string>((resolve, reject) => {
      asked.push({ host, heard, answer: resolve, fail: reason => { reject(new Error(reason)) } })
    }),
    isFinal: error => error instanceof Error && error.message === 'final',
    sleep: time.sleep,
    afterMs: 400,
    ...options
  })
  return { time, outcome, asked, hosts: () => asked.map(({ host }) => host).join('') }
}

t.test('who answers in time is the only one that is asked', async t => {
  const { outcome, asked, hosts, time } = setUp()
  asked[0]?.answer('from a')
  t.same(await outcome, { isGood: true, answer: 'from a' })
  await time.advance(1_000)
  t.equal(hosts(), 'a')
  t.equal(time.sleeping, 0)
})

t.test('beside one that says nothing the next one is asked, and the first answer counts', async t => {
  const spare: string[] = []
  const { outcome, asked, hosts, time } = setUp({ onSpare: answer => { spare.push(answer) } })
  await time.advance(399)
  t.equal(hosts(), 'a')
  await time.advance(1)
  t.equal(hosts(), 'ab')
  asked[1]?.answer('from b')
  t.same(await outcome, { isGood: true, answer: 'from b' })
  asked[0]?.answer('late')
  await time.advance(1_000)
  t.same(spare, ['late'])
  t.equal(hosts(), 'ab')
})

t.test('one that talks is waited for', async t => {
  const { outcome, asked, hosts, time } = setUp()
  asked[0]?.heard()
  await time.advance(10_000)
  t.equal(hosts(), 'a')
  asked[0]?.answer('at last')
  t.match(await outcome, { answer: 'at last' })
})

t.test('after a failure, or an answer that is no good, the next one is asked at once', async t => {
  const { outcome, asked, hosts, time } = setUp({ isGood: answer => answer !== 'none' })
  asked[0]?.fail('down')
  await time.advance(0)
  t.equal(hosts(), 'ab')
  asked[1]?.answer('none')
  await time.advance(0)
  asked[2]?.fail('down too')
  t.match(await outcome, { isGood: false, answers: ['none'], failures: [{ message: 'down' }, { message: 'down too' }] })
})

t.test('one that fails after the next one was asked is not followed by another', async t => {
  const { outcome, asked, hosts, time } = setUp()
  await time.advance(400)
  asked[0]?.fail('down')
  await time.advance(0)
  t.equal(hosts(), 'ab')
  asked[1]?.fail('down')
  await time.advance(0)
  t.equal(hosts(), 'abc')
  asked[2]?.fail('down')
  t.match(await outcome, { isGood: false, failures: { length: 3 } })
})

t.test('a failure that is final ends it, and nobody at all is an answer too', async t => {
  const { outcome, asked } = setUp()
  asked[0]?.fail('final')
  await t.rejects(outcome, { message: 'final' })
  t.same(await hedged([], { ask: async () => 'x', isFinal: () => false, sleep: async () => {} }), { isGood: false, answers: [], failures: [] })
})
