import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../../runtime/core/clock.js'
import { clearLeftovers } from '../../../runtime/origin/leftovers.js'

const never = new AbortController().signal

async function entry (dir: string, name: string, files: readonly string[], ageMs: number): Promise<void> {
  const path = join(dir, name.slice(0, 2), name.slice(2, 4), name)
  await mkdir(path, { recursive: true })
  for (const file of files) await writeFile(join(path, file), 'x')
  const then = new Date(Date.now() - ageMs)
  await utimes(path, then, then)
}

t.test('old entries without data go, all others stay', async t => {
  const dir = t.testdir({})
  const [whole, torn, fresh] = ['aa', 'bb', 'cc'].map(pair => pair.repeat(32)) as [string, string, string]
  await entry(dir, whole, ['data', '_torrentmeta'], 7_200_000)
  await entry(dir, torn, ['_torrentmeta'], 7_200_000)
  await entry(dir, fresh, ['_torrentmeta'], 60_000)
  t.equal(await clearLeftovers(dir, systemClock, never), 1)
  t.same(await readdir(join(dir, 'aa', 'aa')), [whole])
  t.same(await readdir(join(dir, 'bb', 'bb')), [])
  t.same(await readdir(join(dir, 'cc', 'cc')), [fresh])
})

t.test('a directory that is not there has none', async t => {
  t.equal(await clearLeftovers(join(t.testdir({}), 'nowhere'), systemClock, never), 0)
})

t.test('it stops when it is told to', async t => {
  const dir = t.testdir({})
  await entry(dir, 'bb'.repeat(32), [], 7_200_000)
  t.equal(await clearLeftovers(dir, systemClock, AbortSignal.abort()), 0)
})
