import t, { type Test } from 'tap'
import { createHttp, type Http } from '../../../net/client/http.js'
import { watchActively, watchPassively } from '../../../net/client/upstream.js'
import { noLog } from '../../../runtime/observe/log.js'
import { ManualTime, until } from '../../support/manual-time.js'
import { smallServer } from '../../support/small-server.js'

const HEALTH = { failsMax: 2, passesMin: 2, timeoutMs: 3000, intervalMs: 10_000 }

function configOf (...hosts: string[]): { hosts: { static: string[], dns: undefined, ttlMs: number }, health: typeof HEALTH } {
  return { hosts: { static: hosts, dns: undefined, ttlMs: 5000 }, health: HEALTH }
}

function client (t: Test): Http {
  const http = createHttp()
  t.teardown(() => http.close())
  return http
}

t.test('active: hosts go out after failures in a row and come back after passes in a row', async t => {
  const time = new ManualTime()
  const statuses = { a: 200, b: 200 }
  const a = await smallServer(t, () => ({ status: statuses.a }))
  const b = await smallServer(t, () => ({ status: statuses.b }))
  const upstream = watchActively(configOf(a.address, b.address), { http: client(t), log: noLog, clock: time.clock, sleep: time.sleep })
  t.teardown(() => upstream.close())
  let rounds = 0
  const round = async (): Promise<void> => {
    rounds++
    await time.advance(HEALTH.intervalMs)
    await until(() => a.journal.length === rounds && b.journal.length === rounds && time.sleeping === 1)
  }
  t.same(await upstream.hosts(), [a.address, b.address], 'new hosts are healthy')
  statuses.b = 503
  await round()
  t.same(await upstream.hosts(), [a.address, b.address])
  await round()
  t.same(await upstream.hosts(), [a.address])
  statuses.a = 500
  await round()
  await round()
  t.same(await upstream.hosts(), [a.address, b.address], 'with nobody healthy all are worth a try')
  statuses.b = 200
  await round()
  await round()
  t.same(await upstream.hosts(), [b.address])
})

t.test('active: a list of one is not asked, and close ends the rounds', async t => {
  const time = new ManualTime()
  const only = await smallServer(t, () => ({ status: 500 }))
  const upstream = watchActively(configOf(only.address), { http: client(t), log: noLog, clock: time.clock, sleep: time.sleep })
  await time.advance(10 * HEALTH.intervalMs)
  t.same(only.journal, [])
  t.same(await upstream.hosts(), [only.address])
  await upstream.close()
  t.equal(time.sleeping, 0)
})

t.test('passive: failures within the window put a host out for as long', async t => {
  const time = new ManualTime()
  const upstream = watchPassively(configOf('a:1', 'b:1'), { http: client(t), log: noLog, clock: time.clock })
  upstream.reportFailure('a:1')
  t.same(await upstream.hosts(), ['a:1', 'b:1'])
  upstream.reportFailure('a:1')
  t.same(await upstream.hosts(), ['b:1'])
  upstream.reportFailure('b:1')
  upstream.reportFailure('b:1')
  t.same(await upstream.hosts(), ['a:1', 'b:1'], 'with nobody healthy all are worth a try')
  await time.advance(HEALTH.timeoutMs)
  upstream.reportFailure('b:1')
  t.same(await upstream.hosts(), ['a:1', 'b:1'])
  await upstream.close()
})
