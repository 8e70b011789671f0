import { join } from 'node:path'
import t from 'tap'
import { buildIndexApi } from '../../../net/api/build-index.js'
import { pathOf } from '../../../net/api/route.js'
import { listen } from '../../../net/http/uws.js'
import { createRouter } from '../../../net/http/router.js'
import { type AppError } from '../../../runtime/core/errors.js'
import { noLog } from '../../../runtime/observe/log.js'
import { addRecordRoutes } from '../../../runtime/build-index/record-routes.js'
import { RecordStore } from '../../../runtime/build-index/records.js'
import { call } from '../../support/http-call.js'
import { temporaryFolder } from '../../support/system.js'

async function open (dir: string, nowMs = () => 1000): Promise<RecordStore> { return await RecordStore.open(join(dir, 'records'), nowMs) }

t.test('the last write of a key counts, also after a restart', async t => {
  const dir = temporaryFolder(t)
  const records = await open(dir)
  t.equal(records.get('a'), undefined)
  t.equal(await records.put('a', 'one'), 1_000_000)
  t.equal(await records.put('a', 'two'), 1_000_001, 'later than the one before, whatever the clock says')
  t.equal(await records.put('b', 'other'), 1_000_000)
  await records.close()
  const again = await open(dir, () => 10)
  t.same(again.get('a'), { value: 'two', version: 1_000_001 })
  t.equal(await again.put('a', 'three'), 1_000_002, 'a clock that was set back changes nothing')
  await again.close()
})

t.test('of what others wrote the newest counts, in whichever order it comes', async t => {
  const versions = [{ value: 'x', version: 5 }, { value: 'y', version: 7 }, { value: 'z', version: 7 }, { value: 'late', version: 6 }]
  for (const order of [versions, versions.toReversed()]) {
    const records = await open(temporaryFolder(t))
    for (const version of order) await records.putVersion('key', version)
    t.same(records.get('key'), { value: 'z', version: 7 })
    await records.close()
  }
})

t.test('keys, values and versions have bounds', async t => {
  const records = await open(temporaryFolder(t))
  const refused = { code: 'PARAMETER_INVALID' } satisfies Partial<AppError>
  for (const key of ['', 'k'.repeat(1101), 'a\0b']) {
    t.throws(() => records.get(key), refused)
    await t.rejects(records.put(key, 'v'), refused)
  }
  await t.rejects(records.put('k', 'v'.repeat(513)), refused)
  for (const version of [0, -1, 1.5, Number.NaN, 2 ** 53]) await t.rejects(records.putVersion('k', { value: 'v', version }), refused)
  t.equal(await records.put('k'.repeat(1100), 'v'.repeat(512)), 1_000_000)
  await records.close()
})

t.test('writes at the same moment all get a version of their own', async t => {
  const records = await open(temporaryFolder(t))
  const versions = await Promise.all(Array.from({ length: 20 }, async (_, i) => await records.put('key', `${i}`)))
  t.equal(new Set(versions).size, 20)
  t.equal(records.get('key')?.version, Math.max(...versions))
  await records.close()
})

t.test('over HTTP', async t => {
  const records = await open(temporaryFolder(t))
  const server = await listen(addRecordRoutes(createRouter({ component: 'test', misses: 'method-not-allowed', log: noLog }), records).handle, {
    host: '127.0.0.1', port: 0, bodyBytesMax: 65536
  })
  t.teardown(async () => {
    await server.close(0)
    await records.close()
  })
  const ask = async (method: string, path: string, body?: string): Promise<string> => {
    const answer = await call(server.port, method, path, { body })
    return `${answer.status} ${answer.body.toString()}`
  }
  const key = 'member:team/app@sha256:00'
  const path = pathOf(buildIndexApi.getRecord, { key })
  t.equal(await ask('GET', path), '404 ')
  t.equal(await ask('PUT', pathOf(buildIndexApi.putRecord, { key }), '{"value":"present"}'), '200 {"version":1000000}\n')
  t.equal(await ask('GET', path), '200 {"value":"present","version":1000000}\n')
  t.equal(await ask('PUT', pathOf(buildIndexApi.putDuplicateRecord, { key }), '{"value":"deleted","version":1000005}'), '200 ')
  t.equal(await ask('PUT', `/internal/duplicate${path}`, '{"value":"older","version":3}'), '200 ')
  t.equal(await ask('GET', path), '200 {"value":"deleted","version":1000005}\n')
  for (const body of ['', '{', '[]', '{"value":1}', '{}']) t.match(await ask('PUT', path, body), /^400 /)
  t.match(await ask('PUT', path, JSON.stringify({ value: 'v'.repeat(5000) })), /^413 /)
  t.match(await ask('PUT', `/internal/duplicate${path}`, '{"value":"v"}'), /^400 /)
})
