import t from 'tap'
import { type BlobContent } from '../../../net/client/clients.js'
import { TaskGroup } from '../../../runtime/cluster/task-group.js'
import { digestOf } from '../../../runtime/core/digest.js'
import { AppError } from '../../../runtime/core/errors.js'
import { noLog } from '../../../runtime/observe/log.js'
import { RemoteCopies } from '../../../runtime/origin/remote-copies.js'
import { ManualTime, settle } from '../../support/manual-time.js'

const DIGEST = digestOf('blob')
const EMPTY: BlobContent = { sizeBytes: 0, async * read () {} }

function setUp () {
  const time = new ManualTime()
  const tasks = new TaskGroup(noLog)
  const uploads: Array<{ remote: string, end: (error?: Error) => void }> = []
  let open = 0
  const copies = new RemoteCopies({
    content: async () => EMPTY,
    connect: remote => {
      open++
      return {
        upload: async (_namespace, _digest, _content, options) => {
          await new Promise<void>((resolve, reject) => {
            uploads.push({ remote, end: error => { if (error === undefined) resolve(); else reject(error) } })
            options?.signal?.addEventListener('abort', () => { reject(new AppError('CANCELLED', 'stopped')) })
          })
        },
        close: async () => { open-- }
      }
    },
    tasks,
    clock: time.clock,
    sleep: time.sleep,
    log: noLog
  })
  return { time, tasks, uploads, copies, copy: async (remote = 'there:80') => await copies.copy('ns', DIGEST, remote, new AbortController().signal), openCount: () => open }
}

t.test('all who want the same copy wait for the same upload', async t => {
  const { uploads, copy, openCount } = setUp()
  const both = Promise.all([copy(), copy()])
  await settle()
  t.equal(uploads.length, 1)
  uploads[0]?.end()
  t.same(await both, ['done', 'done'])
  await settle()
  t.equal(openCount(), 0, 'no client is left open')
})

t.test('who has waited long is told to ask again, and finds how it ended', async t => {
  const { time, uploads, copy } = setUp()
  const first = copy()
  await time.advance(20_000)
  t.equal(await first, 'pending')
  const second = copy()
  await settle()
  t.equal(uploads.length, 1, 'it goes on')
  uploads[0]?.end()
  t.equal(await second, 'done')
})

t.test('a failure is 500 and what the other cluster said; one that nobody heard is kept for who asks next', async t => {
  const { time, uploads, copy } = setUp()
  const first = copy()
  await settle()
  uploads[0]?.end(new AppError('BLOB_UNKNOWN', 'answered 404: no such thing'))
  await t.rejects(first, { code: 'INTERNAL', message: /to the origins at there:80: answered 404/ })
  const second = copy()
  await time.advance(20_000)
  t.equal(await second, 'pending')
  uploads[1]?.end(new Error('cut'))
  await settle()
  await t.rejects(copy(), { code: 'INTERNAL', message: /cut/ })
  t.equal(uploads.length, 2)
  const third = copy()
  await settle()
  t.equal(uploads.length, 3, 'then it is begun anew')
  uploads[2]?.end()
  t.equal(await third, 'done')
})

t.test('so many run at the same time, and the end of the process ends them', async t => {
  const { tasks, uploads, copy, openCount } = setUp()
  const all = Array.from({ length: 20 }, async (_, i) => await copy(`there:${i + 1}`).catch((error: unknown) => error))
  await settle()
  t.equal(uploads.length, 8)
  await tasks.close()
  for (const outcome of await Promise.all(all)) t.match(outcome, { code: 'UNAVAILABLE' })
  t.equal(openCount(), 0)
  await t.rejects(copy(), { code: 'UNAVAILABLE' })
})
