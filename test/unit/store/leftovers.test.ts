import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { clearLeftovers } from '../../../runtime/store/leftovers.js'

const never = new AbortController().signal

async function entry (dir: string, name: string, files: readonly string[], ageMs: number): Promise<void> {
  const path = join(dir, name.slice(0, 2), name.slice(2, 4), name)
  await mkdir(path, { recursive: true })
  for (const file of files) await writeFile(join(path, file), 'x')
  const then = new Date(Date.now() - ageMs)
  await utimes(path, then, then)
}

const exclusively = async <T>(_digest: unknown, work: () => Promise<T>): Promise<T> => await work()

t.test('entries of an earlier process without data go, and its unfinished files; all others stay', async t => {
  const cacheDir = t.testdir({})
  const [whole, torn, fresh] = ['aa', 'bb', 'cc'].map(pair => pair.repeat(32)) as [string, string, string]
  await entry(cacheDir, whole, ['data', '_torrentmeta', '.unfinished-1', '.unfinished-2'], 7_200_000)
  await entry(cacheDir, torn, ['_torrentmeta'], 7_200_000)
  await entry(cacheDir, 'ddee0000-strange', ['.unfinished-1'], 7_200_000)
  await entry(cacheDir, fresh, ['_torrentmeta'], 60_000)
  const old = new Date(Date.now() - 7_200_000)
  await utimes(join(cacheDir, 'aa', 'aa', whole, '.unfinished-1'), old, old)
  t.equal(await clearLeftovers({ cacheDir, beganMs: Date.now() - 3_600_000, exclusively }, never), 3)
  t.same(await readdir(join(cacheDir, 'aa', 'aa')), [whole])
  t.same((await readdir(join(cacheDir, 'aa', 'aa', whole))).sort(), ['.unfinished-2', '_torrentmeta', 'data'])
  t.same(await readdir(join(cacheDir, 'bb', 'bb')), [])
  t.same(await readdir(join(cacheDir, 'dd', 'ee')), [])
  t.same(await readdir(join(cacheDir, 'cc', 'cc')), [fresh])
})

t.test('a directory that is not there has none', async t => {
  t.equal(await clearLeftovers({ cacheDir: join(t.testdir({}), 'nowhere'), beganMs: Date.now(), exclusively }, never), 0)
})

t.test('it stops when it is told to', async t => {
  const cacheDir = t.testdir({})
  await entry(cacheDir, 'bb'.repeat(32), [], 7_200_000)
  t.equal(await clearLeftovers({ cacheDir, beganMs: Date.now(), exclusively }, AbortSignal.abort()), 0)
})
