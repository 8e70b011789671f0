import t from 'tap'
import { join } from 'node:path'
import { writeFile } from 'node:fs/promises'
import { TagStore } from '../../../runtime/build-index/tag-store.js'
import { digestOf } from '../../../runtime/core/digest.js'
import { SimpleStore } from '../../../runtime/store/simple.js'

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
  const store = await open(t.testdir())
  await store.put('team/app:v1', FIRST)
  t.equal(await store.delete('team/app:v1'), true)
  t.equal(await store.delete('team/app:v1'), false)
  t.equal(await store.get('team/app:v1'), undefined)
  t.same(store.page('').names, [])
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
