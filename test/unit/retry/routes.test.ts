import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { createRouter } from '../../../net/http/router.js'
import { seededPrng } from '../../../runtime/core/prng.js'
import { noLog } from '../../../runtime/observe/log.js'
import { withTasks } from '../../../runtime/retry/routes.js'
import { TaskQueue } from '../../../runtime/retry/task-queue.js'
import { ManualTime, until } from '../../support/manual-time.js'
import { fakeRequest } from '../../support/registry/fake-request.js'

const KIND = { name: 'copy', parse: (stored: unknown) => stored }

t.test('tasks are listed, retried and dropped', async t => {
  const dir = await mkdtemp(join(tmpdir(), 'shoal-tasks-'))
  const { clock, sleep } = new ManualTime()
  const queue = await TaskQueue.open({ dir, clock, sleep, prng: seededPrng(1), log: noLog })
  t.teardown(async () => {
    await queue.close()
    await rm(dir, { recursive: true, force: true })
  })
  const { handle } = withTasks(createRouter({ component: 'test', misses: 'not-found', log: noLog }), queue)
  const ask = async (method: string, target: string): Promise<{ status: number, body: string }> => {
    const { status, body } = await handle(fakeRequest(method, target))
    return { status, body: typeof body === 'string' ? body : '' }
  }
  queue.handle(KIND, { workers: 1, spacingMs: 0, pauseMinMs: 1, pauseMaxMs: 1, failuresMax: 1 }, async () => { throw new Error('no such host') })
  await queue.add(KIND, { key: 'a b/c', payload: { to: 1 } })
  await until(() => queue.stats().copy?.parked === 1)

  const listed: unknown = JSON.parse((await ask('GET', '/x/tasks')).body)
  t.match(listed, {
    stats: { copy: { waiting: 0, running: 0, parked: 1 } },
    tasks: [{ kind: 'copy', key: 'a b/c', state: 'parked', failures: 1, reason: 'no such host', payload: { to: 1 } }]
  })
  t.match(JSON.parse((await ask('GET', '/x/tasks?state=waiting')).body), { tasks: [] })
  t.match(JSON.parse((await ask('GET', '/x/tasks?kind=other&limit=1')).body), { tasks: [] })
  t.equal((await ask('GET', '/x/tasks?limit=0')).status, 400)
  t.equal((await ask('POST', '/x/tasks/retry?kind=copy')).status, 400)
  t.equal((await ask('POST', '/x/tasks/retry?kind=copy&key=other')).status, 404)
  t.equal((await ask('POST', '/x/tasks/retry?kind=copy&key=a%20b%2Fc')).status, 200)
  await until(() => queue.stats().copy?.parked === 1)
  t.equal((await ask('DELETE', '/x/tasks?kind=copy&key=a%20b%2Fc')).status, 202)
  t.equal((await ask('DELETE', '/x/tasks?kind=copy&key=a%20b%2Fc')).status, 404)
})
