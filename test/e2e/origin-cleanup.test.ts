import { utimes } from 'node:fs/promises'
import t from 'tap'
import { digestOf, hexOf } from '../../runtime/core/digest.js'
import { blobDir, dataIn } from '../../runtime/store/paths.js'
import { push, startOrigins, type TestOrigin } from '../support/origin-cluster.js'
import { pattern } from '../support/pattern.js'

const BLOB = pattern(1000)
const HEX = hexOf(digestOf(BLOB))

t.test('operators and proxies at an origin', async t => {
  const [origin] = await startOrigins(t, 1) as [TestOrigin]
  const post = async (target: string): Promise<[number, string]> => {
    const { status, body } = await origin.call('POST', target)
    return [status, body.toString()]
  }

  await t.test('a prefetch of what is here, and of what is nowhere', async t => {
    await push(origin, BLOB)
    t.same(await post(`/namespace/n/blobs/sha256:${HEX}/prefetch`), [200, ''])
    t.same(await post(`/namespace/n/blobs/${digestOf('nowhere')}/prefetch`), [404, ''])
    t.equal((await post('/namespace/n/blobs/nope/prefetch'))[0], 400)
  })

  await t.test('a cleanup needs its arguments', async t => {
    t.same(await post('/forcecleanup'), [400, 'query arg ttl_hr required'])
    t.same(await post('/forcecleanup?ttl_hr=x'), [400, 'invalid ttl_hr: strconv.Atoi: parsing "x": invalid syntax'])
    t.equal((await post('/forcecleanup?ttl_hr=-1'))[0], 400)
    for (const query of ['', '?target_util_percent=50', '?respect_eviction_ban=true', '?target_util_percent=100&respect_eviction_ban=true',
      '?target_util_percent=-1&respect_eviction_ban=true', '?target_util_percent=50&respect_eviction_ban=perhaps']) {
      t.equal((await post(`/forcecleanup/v2${query}`))[0], 400, query)
    }
  })

  await t.test('old blobs go, young ones stay', async t => {
    t.same(await post('/forcecleanup?ttl_hr=1'), [200, '{"deleted":null,"errors":null}\n'])
    const twoHoursAgo = Date.now() / 1000 - 7200
    await utimes(dataIn(blobDir(origin.config.castore.cacheDir, HEX)), twoHoursAgo, twoHoursAgo)
    t.same(await post('/forcecleanup?ttl_hr=1'), [200, `{"deleted":["${HEX}"],"errors":null}\n`])
    t.equal((await origin.call('HEAD', `/internal/namespace/n/blobs/sha256:${HEX}`)).status, 404)
  })

  await t.test('down to nothing deletes everything, and says that the rest of the disk is not ours', async t => {
    await push(origin, BLOB)
    t.match(await post('/forcecleanup/v2?target_util_percent=0&respect_eviction_ban=false'), [500, /target was 0 %/])
    t.equal((await origin.call('HEAD', `/internal/namespace/n/blobs/sha256:${HEX}`)).status, 404)
  })

  await t.test('the numbers of the process', async t => {
    const vars = await origin.call('GET', '/debug/vars')
    t.match(vars, { status: 200, headers: { 'content-type': 'application/json; charset=utf-8' } })
    t.ok(JSON.parse(vars.body.toString()))
  })
})
