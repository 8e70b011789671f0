import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { makeDirDurably, readIfPresent, removeEntry, replaceFile, storageError, writeFully } from '../../../runtime/store/files.js'
import { KeyedLock } from '../../../runtime/store/keyed-lock.js'

t.test('a full disk has a code of its own', async t => {
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
  t.match(storageError(full, 'write', '/c/x'), { code: 'STORAGE_FULL', message: /\/c\/x/ })
  t.match(storageError(Object.assign(new Error('EIO'), { code: 'EIO' }), 'write', '/c/x'), { code: 'STORAGE' })
})

t.test('a failed replacement leaves the old content and nothing else', async t => {
  const dir = t.testdir({ file: 'old' })
  mkdirSync(join(dir, 'taken'))
  await t.rejects(replaceFile(join(dir, 'taken'), Buffer.from('new'), { isDurable: true }), { code: 'STORAGE' })
  t.same(readdirSync(dir).sort(), ['file', 'taken'])
  await replaceFile(join(dir, 'file'), Buffer.from('new'), { isDurable: true })
  t.equal(readFileSync(join(dir, 'file'), 'utf8'), 'new')
})

t.test('files that are too large are not read', async t => {
  const dir = t.testdir({ file: '12345' })
  t.equal((await readIfPresent(join(dir, 'file'), 5))?.toString(), '12345')
  await t.rejects(readIfPresent(join(dir, 'file'), 4), { code: 'STORAGE' })
  t.equal(await readIfPresent(join(dir, 'none'), 4), undefined)
  t.equal(await readIfPresent(join(dir, 'file', 'none'), 4), undefined)
})

t.test('directories are made with all their parents', async t => {
  const dir = t.testdir({})
  await makeDirDurably(join(dir, 'a', 'b', 'c'))
  await makeDirDurably(join(dir, 'a', 'b', 'c'))
  t.ok(existsSync(join(dir, 'a', 'b', 'c')))
  writeFileSync(join(dir, 'file'), '')
  await t.rejects(makeDirDurably(join(dir, 'file', 'x')), { code: 'STORAGE' })
})

t.test('views are written in order at their place', async t => {
  const path = join(t.testdir({ file: 'abcdefghij' }), 'file')
  const handle = await open(path, 'r+')
  await writeFully(handle, [Buffer.from('12'), Buffer.alloc(0), Buffer.from('3')], 4)
  await handle.close()
  t.equal(readFileSync(path, 'utf8'), 'abcd123hij')
})

t.test('a full device fails a write with the system\'s error', async t => {
  const handle = await open('/dev/full', 'r+')
  await t.rejects(writeFully(handle, [Buffer.from('12')], 0), { code: 'ENOSPC' })
  await handle.close()
})

t.test('an entry is removed as a whole', async t => {
  const dir = t.testdir({ entry: { data: 'x', sidecar: 'y' } })
  symlinkSync('/', join(dir, 'entry', 'root'))
  t.equal(await removeEntry(join(dir, 'entry')), true)
  t.equal(await removeEntry(join(dir, 'entry')), false)
  t.same(readdirSync(dir), [])
})

t.test('work of one key runs in order, that of others beside it, and a failure stops nobody', async t => {
  const lock = new KeyedLock<string>()
  const seen: string[] = []
  let open = (): void => {}
  const gate = new Promise<void>(resolve => { open = resolve })
  const first = lock.run('a', async () => { await gate; seen.push('a1'); throw new Error('a1 fails') })
  const second = lock.run('a', async () => { seen.push('a2') })
  await lock.run('b', async () => { seen.push('b') })
  open()
  await t.rejects(first)
  await second
  t.same(seen, ['b', 'a1', 'a2'])
})
