import t from 'tap'
import { type Reply } from '../../../net/http/engine.js'
import { type Digest, digestOf } from '../../../runtime/core/digest.js'
import { AppError } from '../../../runtime/core/errors.js'
import { noLog } from '../../../runtime/observe/log.js'
import { Prefetcher, type PrefetchVersion } from '../../../runtime/proxy/prefetch.js'
import { bytesOf, fakeRequest } from '../../support/registry/fake-request.js'
import { imageIndex, imageManifest } from '../../support/registry/manifest-texts.js'
import { MemoryOrigins, MemoryTags } from '../../support/registry/memory-clients.js'

const SIZES = { blobBytesMin: 0, blobBytesMax: 2 ** 30 }

function setUp (sizes = SIZES) {
  const origins = new MemoryOrigins()
  const tags = new MemoryTags()
  const config = { digest: origins.add('{}'), size: 2 }
  const layer = { digest: origins.add('layer'), size: 5000 }
  const image = origins.add(imageManifest({ config, layers: [layer] }))
  const index = origins.add(imageIndex([{ digest: image, size: 1 }]))
  tags.tags.set('team/app:v1', image)
  tags.tags.set('team/sub/app:all', index)
  const prefetcher = new Prefetcher({ origins, tags, sizes, log: noLog })
  const serve = async (body: string | object, version: PrefetchVersion = 'v2'): Promise<{ status: number, type: string | undefined, body: string }> => {
    const reply: Reply = await prefetcher.serve(fakeRequest('POST', '/', { body: typeof body === 'string' ? body : JSON.stringify(body) }), version)
    return { status: reply.status, type: reply.headers?.['Content-Type'], body: (await bytesOf(reply)).toString() }
  }
  const prefetched = (): string[] => origins.asked.filter(call => call.startsWith('prefetch ')).map(call => call.slice('prefetch '.length)).sort()
  return { origins, tags, config, layer, image, index, serve, prefetched }
}

const of = (repository: string, digests: Digest[]): string[] => digests.map(digest => `${repository} ${digest}`).sort()

for (const version of ['v1', 'v2'] as const) {
  t.test(`${version}: the owners see to every part, and no blob passes through`, async t => {
    const { serve, prefetched, origins, config, layer, image } = setUp()
    t.same(await serve({ tag: 'host/team/app:v1', trace_id: 't1' }, version), {
      status: 200,
      type: 'application/json',
      body: '{"tag":"app:v1","prefetched":true,"status":"success","message":"prefetching initiated successfully","trace_id":"t1"}'
    })
    t.same(prefetched(), of('team/app', [config.digest, layer.digest, image]))
    t.same(origins.asked.filter(call => call.startsWith('download')), [`download team/app ${image}`])
  })
}

t.test('an index below any repository, by digest too, and without trace id', async t => {
  const { serve, prefetched, origins, config, layer, image, index } = setUp()
  for (const tag of ['host/team/sub/app:all', `host/team/sub/app@${index}`]) {
    t.match(await serve({ Tag: tag }), { status: 200, body: /"trace_id":""}$/ })
    t.same(prefetched(), of('team/sub/app', [config.digest, layer.digest, image, index]))
    origins.asked.length = 0
  }
})

t.test('blobs out of bounds are left alone', async t => {
  const { serve, prefetched, layer } = setUp({ blobBytesMin: 1000, blobBytesMax: 5000 })
  t.equal((await serve({ tag: 'team/app:v1' })).status, 200)
  t.same(prefetched(), of('team/app', [layer.digest]))
})

t.test('what is no order', async t => {
  const { serve } = setUp()
  const failed = (message: string, trace = ''): object => ({
    status: 400, type: 'application/json', body: `{"error":"Bad Request","prefetched":false,"status":"failure","message":"${message}"${trace}}`
  })
  t.same(await serve('{'), failed('failed to decode request body: unexpected EOF'))
  t.same(await serve(''), failed('failed to decode request body: EOF'))
  t.same(await serve({ trace_id: 't3' }), failed('tag: , invalid tag format: invalid tag format: ', ',"trace_id":"t3"'))
  t.same(await serve({ tag: 'noslash', trace_id: 't4' }), failed('tag: noslash, invalid tag format: invalid tag format: noslash', ',"trace_id":"t4"'))
  for (const body of ['[]', '5', '{"tag":5}', '{"tag":"a:1","trace_id":{}}']) t.match(await serve(body), { status: 400, body: /failed to decode request body: / })
  await t.rejects(serve(`{"tag":"${'a'.repeat(70_000)}"}`), { code: 'BODY_TOO_LARGE' })
})

t.test('what cannot be found', async t => {
  const { serve, tags, origins } = setUp()
  t.same(await serve({ tag: 'host/team/app:none', trace_id: 't2' }), {
    status: 500,
    type: 'application/json',
    body: '{"error":"Internal Server Error","prefetched":false,"status":"failure","message":"tag request: team%2Fapp%3Anone, failed to get tag: tag not found","trace_id":"t2"}'
  })
  tags.tags.set('team/app:gone', digestOf('gone'))
  t.match(await serve({ tag: 'team/app:gone' }), { status: 500, body: /error downloading manifest blob: blob not found/ })
  tags.tags.set('team/app:odd', origins.add('no manifest'))
  t.match(await serve({ tag: 'team/app:odd' }), { status: 500, body: /failed to process manifest: / })
  tags.tags.set('team/app:hollow', origins.add(imageIndex([{ digest: digestOf('child'), size: 1 }])))
  t.match(await serve({ tag: 'team/app:hollow' }), { status: 500, body: /failed to process manifest: blob not found/ })
  tags.outage = new AppError('UNAVAILABLE', 'no build-index answers')
  t.match(await serve({ tag: 'team/app:v1' }), { status: 500, body: /failed to get tag: no build-index answers/ })
})

t.test('a blob that cannot be had is told by v2 and logged by v1, and the others are seen to', async t => {
  const { serve, origins, layer, config, image, prefetched } = setUp()
  origins.blobs.delete(config.digest)
  t.match(await serve({ tag: 'team/app:v1' }, 'v2'), { status: 500, body: /failed to trigger image prefetch: 1 of \d+ blobs: sha256:[0-9a-f]{64}: / })
  t.same(prefetched(), of('team/app', [config.digest, layer.digest, image]))
  t.equal((await serve({ tag: 'team/app:v1' }, 'v1')).status, 200)
})
