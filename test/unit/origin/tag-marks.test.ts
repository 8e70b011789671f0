import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { createRouter } from '../../../net/http/router.js'
import { listen } from '../../../net/http/uws.js'
import { digestOf } from '../../../runtime/core/digest.js'
import { noLog } from '../../../runtime/observe/log.js'
import { TagMarks, withTagMarks } from '../../../runtime/origin/tag-marks.js'
import { formatVersion, type TagVersion } from '../../../runtime/store/tag-version.js'
import { call } from '../../support/http-call.js'

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

t.test('marks over HTTP', async t => {
  const dir = await mkdtemp(join(tmpdir(), 'shoal-marks-'))
  const marks = await TagMarks.open(dir)
  const router = withTagMarks(createRouter({ component: 'test', misses: 'not-found', log: noLog }), marks)
  const server = await listen(router.handle, { host: '127.0.0.1', port: 0, bodyBytesMax: 1024 })
  const ask = async (method: string, target: string, version?: TagVersion): Promise<string> => {
    const { status, body } = await call(server.port, method, target, version === undefined ? {} : { body: formatVersion(version) })
    return `${status} ${body.toString()}`
  }
  t.equal(await ask('GET', '/internal/tag-marks/team%2Fa:1'), '204 ')
  t.equal(await ask('PUT', '/internal/tag-marks/team%2Fa:1', at(5)), '200 ')
  t.equal(await ask('PUT', '/internal/tag-marks/team%2Fa:1', at(4)), '200 ')
  t.equal(await ask('GET', '/internal/tag-marks/team%2Fa:1'), `200 ${formatVersion(at(5))}`)
  t.match(await ask('PUT', '/internal/tag-marks/team%2Fa:1'), /^400 /)
  t.equal(await ask('DELETE', '/internal/tag-marks/team%2Fa:1', at(5)), '200 ')
  t.equal(await ask('GET', '/internal/tag-marks/team%2Fa:1'), '204 ')
  await server.close(0)
  await marks.close()
  await rm(dir, { recursive: true })
})
