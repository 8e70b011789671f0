import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { digestOf } from '../../../runtime/core/digest.js'
import { TagMarks } from '../../../runtime/origin/tag-marks.js'
import { type TagVersion } from '../../../runtime/store/tag-version.js'

const at = (ms: number): TagVersion => ({ digest: digestOf(String(ms)), stamp: { ms, count: 0 } })

t.test('the latest mark of a tag is kept, also over a restart', async t => {
  const dir = await mkdtemp(join(tmpdir(), 'shoal-marks-'))
  const marks = await TagMarks.open(dir)
  t.equal(marks.get('a:1'), undefined)
  for (const ms of [2, 1, 3, 2]) await marks.put('a:1', at(ms))
  await Promise.all([5, 9, 7].map(async ms => { await marks.put('b:1', at(ms)) }))
  t.equal(marks.count, 2)
  await marks.close()
  const again = await TagMarks.open(dir)
  t.same(again.get('a:1'), at(3))
  t.same(again.get('b:1'), at(9))
  await again.delete('b:1', at(8))
  t.same(again.get('b:1'), at(9), 'a later one stays')
  await again.delete('b:1', at(9))
  await again.delete('b:1', at(9))
  t.equal(again.get('b:1'), undefined)
  t.equal(again.count, 1)
  for (const tag of ['', 'a\0b', 'x'.repeat(1101)]) await t.rejects(again.put(tag, at(1)), { code: 'PARAMETER_INVALID' })
  await again.close()
  await rm(dir, { recursive: true })
})
