import t from 'tap'
import { withDebug } from '../../../net/http/debug.js'
import { createRouter } from '../../../net/http/router.js'
import { noLog } from '../../../runtime/observe/log.js'
import { bytesOf, fakeRequest } from '../../support/registry/fake-request.js'

t.test('the numbers of the process as JSON', async t => {
  const router = withDebug(createRouter({ component: 'test', misses: 'not-found', log: noLog }))
  const reply = await router.handle(fakeRequest('GET', '/debug/vars'))
  t.match(reply, { status: 200, headers: { 'Content-Type': 'application/json; charset=utf-8', 'Cache-Control': 'no-cache' } })
  const vars: { cmdline: unknown, memstats: Record<string, number> } = JSON.parse((await bytesOf(reply)).toString())
  t.ok(Array.isArray(vars.cmdline))
  for (const name of ['Alloc', 'HeapAlloc', 'HeapSys', 'Sys']) t.ok(Number(vars.memstats[name]) > 0, name)
  t.equal((await router.handle(fakeRequest('POST', '/debug/vars'))).status, 404)
})
