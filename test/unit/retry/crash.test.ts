import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { seededPrng } from '../../../runtime/core/prng.js'
import { noLog } from '../../../runtime/observe/log.js'
import { TaskQueue } from '../../../runtime/retry/task-queue.js'
import { ManualTime } from '../../support/manual-time.js'

const WRITER = fileURLToPath(new URL('../../support/task-writer.js', import.meta.url))

/** Runs the writer until it has printed so many lines, kills it, and returns all of them. */
async function killAfter (lineCount: number, dir: string, name: string): Promise<string[]> {
  const child = spawn(process.execPath, [WRITER, dir, name], { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines: string[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    if (lines.push(line) === lineCount) child.kill('SIGKILL')
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  return lines
}

t.test('no task whose addition has resolved is lost by kill -9', async t => {
  const dir = await mkdtemp(join(tmpdir(), 'shoal-tasks-'))
  t.teardown(async () => { await rm(dir, { recursive: true, force: true }) })
  const added = new Set<string>()
  const begun = new Set<string>()
  // Killed at different moments of the same work, each time on top of what the ones before left.
  for (const [round, lineCount] of [40, 77, 123, 256].entries()) {
    for (const line of await killAfter(lineCount, dir, `round${round}`)) {
      if (line.startsWith('+')) added.add(line.slice(1))
      if (line.startsWith('-')) begun.add(line.slice(1))
    }
  }
  const { clock, sleep } = new ManualTime()
  const queue = await TaskQueue.open({ dir, clock, sleep, prng: seededPrng(1), log: noLog })
  t.teardown(async () => { await queue.close() })
  const found = new Set(queue.list().map(({ key }) => key))
  const lost = [...added].filter(key => !found.has(key) && !begun.has(key))
  t.same(lost, [])
  t.ok(added.size > 100)
  t.equal(queue.pinCount('round3'), [...found].filter(key => key.startsWith('round3-')).length, 'pins are what the tasks say')
})
