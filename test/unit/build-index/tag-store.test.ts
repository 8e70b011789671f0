import t from 'tap'
import { join } from 'node:path'
import { writeFile } from 'node:fs/promises'
import { RecordStore } from '../../../runtime/build-index/records.js'
import { TagStore } from '../../../runtime/build-index/tag-store.js'
import { digestOf } from '../../../runtime/core/digest.js'
import { SimpleStore } from '../../../runtime/store/simple.js'
import { DELETED } from '../../../runtime/store/tag-version.js'

const FIRST = digestOf('first')
const SECOND = digestOf('second')

async function open (dir: string): Promise<TagStore> {
  return TagStore.open(new SimpleStore({ cacheDir: join(dir, 'cache') }))
}

t.test('the last write of a tag wins, and survives a restart', async t => {
  const dir = t.testdir()
  const store = await open(dir)
  t.equal(await store.get('team/app:v1'), undefined)
  await store.put('team/app:v1', FIRST)
  await store.put('team/app:v1', SECOND)
  await store.put('team/app:v0', FIRST)
  t.equal(await store.get('team/app:v1'), SECOND)
  const again = await open(dir)
  t.equal(again.size, 2)
  t.equal(await again.get('team/app:v1'), SECOND)
  t.same(again.page('team/app/_manifests/tags').names, ['team/app:v0', 'team/app:v1'])
})

t.test('puts of one tag at the same time leave one of the values', async t => {
  const store = await open(t.testdir())
  await Promise.all(Array.from({ length: 20 }, async (_, i) => store.put('team/app:v1', digestOf(`value ${i % 2}`))))
  t.ok([digestOf('value 0'), digestOf('value 1')].includes(await store.get('team/app:v1') ?? FIRST))
  t.same(store.page('').names, ['team/app:v1'])
})

t.test('a deleted tag is in no list', async t => {
  const dir = t.testdir()
  const files = new SimpleStore({ cacheDir: join(dir, 'cache') })
  const graves = await RecordStore.open(join(dir, 'records'), () => 1)
  t.teardown(async () => { await graves.close() })
  const isDeletedIn = async (store: TagStore): Promise<void> => {
    t.equal(await store.get('team/app:v1'), undefined)
    t.equal((await store.find('team/app:v1'))?.digest, DELETED)
    t.equal(store.has('team/app:v1'), false)
    t.same(store.page('').names, [])
  }
  const store = await TagStore.open(files, graves)
  await store.advance('team/app:v1', { digest: FIRST, stamp: { ms: 5, count: 0 } })
  await files.setPersisted('team/app:v1', true)
  await store.advance('team/app:v1', { digest: DELETED, stamp: { ms: 5, count: 1 } })
  await isDeletedIn(store)
  t.equal((await store.advance('team/app:v1', { digest: SECOND, stamp: { ms: 4, count: 9 } })).digest, DELETED, 'an older value stays deleted')
  await isDeletedIn(store)
  await files.set('team/app:v1', FIRST)
  await files.delete('team/app:v1')
  await isDeletedIn(await TagStore.open(files, graves))
  t.equal((await store.advance('team/app:v1', { digest: SECOND, stamp: { ms: 6, count: 0 } })).digest, SECOND, 'a younger one is there')
  t.equal(await store.get('team/app:v1'), SECOND)
  t.same(store.page('').names, ['team/app:v1'])
})

t.test('a crash in the middle of a delete is made good', async t => {
  const dir = t.testdir()
  const files = new SimpleStore({ cacheDir: join(dir, 'cache') })
  const graves = await RecordStore.open(join(dir, 'records'), () => 1)
  t.teardown(async () => { await graves.close() })
  await files.advance('team/app:v1', { digest: FIRST, stamp: { ms: 5, count: 0 } })
  await files.advance('team/app:v2', { digest: FIRST, stamp: { ms: 7, count: 0 } })
  for (const tag of ['v1', 'v2']) await graves.put(`gone:team/app:${tag}`, `6.0 ${DELETED}`)
  const store = await TagStore.open(files, graves)
  t.same(store.page('').names, ['team/app:v2'], 'what was written later stays')
  t.equal(await files.get('team/app:v1'), undefined)
})

t.test('a damaged file is told apart from a missing one', async t => {
  const dir = t.testdir()
  const store = await open(dir)
  await store.put('team/app:v1', FIRST)
  await writeFile(join(dir, 'cache', 'team', 'app:v1', 'data'), 'rubbish')
  t.equal(await store.get('team/app:v1'), FIRST, 'the sidecar says it too')
  await writeFile(join(dir, 'cache', 'team', 'app:v1', '_tag_version'), 'rubbish')
  await t.rejects(store.get('team/app:v1'), { code: 'CORRUPT' })
})
