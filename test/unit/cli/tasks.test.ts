import t, { type Test } from 'tap'
import { runTasks } from '../../../runtime/cli/tasks.js'
import { smallServer } from '../../support/small-server.js'

const TASKS = [
  { kind: 'write-back', key: 'sha256:ab team/app', state: 'parked', failures: 3, reason: 'no \u001b[2Jsuch host' },
  { kind: 'tag-copy', key: '10.0.0.1:80 team/app:1', state: 'waiting', dueInMs: 4_000, failures: 0 }
]

async function server (t: Test) {
  const { address, journal } = await smallServer(t, ({ method, target }) => {
    const url = new URL(target, 'http://here')
    if (url.pathname !== '/x/tasks' && url.pathname !== '/x/tasks/retry') return { status: 404, body: 'no such route' }
    const state = url.searchParams.get('state')
    const tasks = TASKS.filter(task => state === null || task.state === state)
    if (method === 'GET') return { status: 200, body: JSON.stringify({ stats: { 'tag-copy': { waiting: 1, running: 0, parked: 0, oldestMs: 2_500 } }, tasks }) }
    return { status: TASKS.some(({ key }) => key === url.searchParams.get('key')) ? (method === 'DELETE' ? 202 : 200) : 404 }
  })
  const run = async (...args: string[]): Promise<{ code: number, lines: string[] }> => {
    const lines: string[] = []
    const code = await runTasks(args, line => { lines.push(line) })
    return { code, lines }
  }
  return { address, journal, run }
}

t.test('tasks are listed, one a line, whatever is in them', async t => {
  const { address, journal, run } = await server(t)
  t.same(await run('list', address), {
    code: 0,
    lines: [
      'tag-copy: 1 waiting, 0 running, 0 parked, the oldest for 3 s',
      'write-back\tsha256:ab team/app\tparked\t3 failures\tno  [2Jsuch host',
      'tag-copy\t10.0.0.1:80 team/app:1\twaiting for 4 s'
    ]
  })
  const { lines } = await run('list', address, '--state', 'parked', '--kind', 'write-back', '--json')
  t.equal(JSON.parse(lines.join('')).tasks.length, 1)
  t.equal(journal.at(-1), 'GET /x/tasks?kind=write-back&state=parked&limit=1000')
})

t.test('tasks are begun anew, one or all that are parked, and dropped', async t => {
  const { address, journal, run } = await server(t)
  t.same(await run('retry', address, 'write-back', 'sha256:ab team/app'), { code: 0, lines: ['write-back sha256:ab team/app: begun anew'] })
  t.equal(journal.at(-1), 'POST /x/tasks/retry?kind=write-back&key=sha256%3Aab+team%2Fapp')
  t.same(await run('retry', address, '--parked'), { code: 0, lines: ['1 begun anew'] })
  t.same(await run('drop', address, 'tag-copy', '10.0.0.1:80 team/app:1'), { code: 0, lines: ['tag-copy 10.0.0.1:80 team/app:1: dropped'] })
  t.same(await run('drop', address, 'tag-copy', 'x'), { code: 1, lines: ['tag-copy x: there is no such task'] })
})

t.test('command lines that cannot be used, and servers without tasks', async t => {
  const { address, run } = await server(t)
  for (const args of [[], ['list'], ['list', '--json'], ['eat', address], ['retry', address], ['retry', address, 'kind'], ['drop', address, 'a', 'b', 'c']]) {
    await t.rejects(run(...args), { name: 'UsageError', exitCode: 2 })
  }
  await t.rejects(run('--help'), { name: 'UsageError', exitCode: 0 })
  const other = await smallServer(t, () => ({ status: 404, body: '404 page not found\n' }))
  await t.rejects(run('list', other.address), { code: 'PARAMETER_INVALID', message: /has no tasks/ })
  await other.close()
  await t.rejects(run('list', other.address), { code: 'NETWORK' })
})
