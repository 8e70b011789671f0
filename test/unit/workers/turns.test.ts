import t from 'tap'
import { Turns } from '../../../workers/turns.js'

t.test('no more than the limit are in, and they come in order', async t => {
  const turns = new Turns(2)
  const seen: number[] = []
  await turns.take()
  await turns.take()
  const waiting = [1, 2, 3].map(async n => { await turns.take(); seen.push(n) })
  t.same(seen, [])
  turns.give()
  await waiting[0]
  turns.give()
  await waiting[1]
  t.same(seen, [1, 2])
  turns.give()
  await waiting[2]
  turns.give()
  turns.give()
  await turns.close()
})

t.test('an abort withdraws one who waits and nobody else', async t => {
  const turns = new Turns(1)
  const abort = new AbortController()
  await turns.take(abort.signal)
  const first = turns.take(abort.signal)
  const second = turns.take()
  abort.abort()
  await t.rejects(first, { code: 'CANCELLED' })
  await t.rejects(turns.take(abort.signal), { code: 'CANCELLED' })
  turns.give()
  await second
  turns.give()
})

t.test('closing sends away those who wait and waits for those who are in', async t => {
  const turns = new Turns(1)
  await turns.take()
  const waiting = turns.take()
  let isClosed = false
  const closed = turns.close().then(() => { isClosed = true })
  await t.rejects(waiting, { code: 'CANCELLED' })
  await t.rejects(turns.take(), { code: 'CANCELLED' })
  t.equal(isClosed, false)
  turns.give()
  await closed
})
