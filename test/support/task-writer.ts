import { systemSleep } from '../../net/client/upstream.js'
import { systemClock } from '../../runtime/core/clock.js'
import { seededPrng } from '../../runtime/core/prng.js'
import { noLog } from '../../runtime/observe/log.js'
import { TaskQueue } from '../../runtime/retry/task-queue.js'

/*
 * A process that adds tasks as fast as it can and does those whose keys end in 0, until it is killed. It prints `+key` when
 * the addition of a task has resolved, and `-key` before a task is done.
 *   node dist/test/support/task-writer.js <folder> <name>
 */

const [dir = '', name = ''] = process.argv.slice(2)
const KIND = { name: 'write', parse: (stored: unknown) => stored }
const queue = await TaskQueue.open({ dir, clock: systemClock, sleep: systemSleep, prng: seededPrng(1), log: noLog })
queue.handle(KIND, { workers: 4, spacingMs: 0, pauseMinMs: 1000, pauseMaxMs: 1000, failuresMax: Infinity }, async ({ key }) => {
  if (!key.endsWith('0')) return { park: 'kept' }
  process.stdout.write(`-${key}\n`)
})
process.stdout.write('ready\n')
for (let i = 0; ; i++) {
  const keys = Array.from({ length: 5 }, (_, n) => `${name}-${i}-${n}`)
  await Promise.all(keys.map(async key => {
    await queue.add(KIND, { key, payload: { text: 'x'.repeat(i % 300) }, pin: name })
    process.stdout.write(`+${key}\n`)
  }))
}
