import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { lockFolder } from '../../../runtime/up/data-lock.js'

t.test('one process at a time', async t => {
  const folder = join(t.testdir(), 'deep', 'data')
  const unlock = lockFolder(folder)
  t.throws(() => lockFolder(folder, process.pid + 1), { code: 'UNAVAILABLE', message: new RegExp(`in use by process ${process.pid}`) })
  unlock()
  lockFolder(folder)()
  t.notOk(existsSync(join(folder, 'up.pid')))
})

t.test('the lock of a process that is gone is taken over', async t => {
  const folder = t.testdir()
  const { pid } = spawnSync(process.execPath, ['-e', ''])
  for (const content of [String(pid), '', 'nonsense', '-1']) {
    writeFileSync(join(folder, 'up.pid'), content)
    lockFolder(folder)()
  }
  t.pass()
})

t.test('a folder that cannot be made', async t => {
  const folder = t.testdir({ file: '' })
  t.throws(() => lockFolder(join(folder, 'file', 'data')), { code: 'STORAGE', message: /cannot write to .* \(ENOTDIR\)/ })
})
