import t from 'tap'
import { TaskGroup } from '../../../runtime/cluster/task-group.js'
import { noLog } from '../../../runtime/observe/log.js'
import { settle } from '../../support/manual-time.js'

t.test('a failure is reported by name and ends nothing else', async t => {
  const reported: object[] = []
  const tasks = new TaskGroup({ ...noLog, error: fields => { reported.push(fields) } })
  tasks.run('failing', async () => { throw new Error('no') })
  tasks.run('waiting', async signal => await new Promise(resolve => { signal.addEventListener('abort', () => resolve()) }))
  await settle()
  t.same(reported, [{ task: 'failing', error: 'no' }])
  t.equal(tasks.size, 1)
  await tasks.close()
  t.equal(tasks.size, 0)
})

t.test('closing waits for the work, and what fails by it is not reported', async t => {
  const tasks = new TaskGroup({ ...noLog, error: () => { t.fail('reported') } })
  let isCleanedUp = false
  tasks.run('aborted', async signal => {
    await new Promise(resolve => { signal.addEventListener('abort', resolve) })
    await settle()
    isCleanedUp = true
    throw new Error('aborted')
  })
  await tasks.close()
  t.ok(isCleanedUp)
})

t.test('after that nothing is started', async t => {
  const tasks = new TaskGroup(noLog)
  await tasks.close()
  await tasks.close()
  tasks.run('late', async () => { t.fail('started') })
  t.equal(tasks.size, 0)
})
