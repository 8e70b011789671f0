import t from 'tap'
import { type Reply } from '../../../net/http/engine.js'
import { digestOf, EMPTY_DIGEST } from '../../../runtime/core/digest.js'
import { AppError } from '../../../runtime/core/errors.js'
import { noLog } from '../../../runtime/observe/log.js'
import { createRegistry } from '../../../runtime/registry/server.js'
import { bytesOf, type FakeRequest, fakeRequest } from '../../support/registry/fake-request.js'
import { MemoryCluster } from '../../support/registry/memory-cluster.js'
import { must } from '../../support/must.js'
import { pattern } from '../../support/pattern.js'

const BLOB = pattern(2048)
const DIGEST = digestOf(BLOB)
const OTHER = digestOf('other')

function site () {
  const cluster = new MemoryCluster()
  const handle = createRegistry({ reads: cluster.reads, writes: cluster.writes }, { log: noLog })
  const call = async (method: string, target: string, options: FakeRequest = {}): Promise<Reply> => await handle(fakeRequest(method, target, options))
  const start = async (): Promise<string> => locationOf(await call('POST', '/v2/team/app/blobs/uploads/'))
  return { cluster, call, start }
}

function locationOf (reply: Reply): string { return must(reply.headers?.Location, 'the Location') }

async function codeOf (reply: Reply): Promise<unknown> {
  const parsed: { errors: Array<{ code: string }> } = JSON.parse((await bytesOf(reply)).toString())
  return parsed.errors[0]?.code
}

t.test('a streamed upload, as docker does it', async t => {
  const { cluster, call } = site()
  const started = await call('POST', '/v2/team/app/blobs/uploads/')
  t.equal(started.status, 202)
  t.match(started.headers, { Range: '0-0', 'Docker-Upload-UUID': /^[0-9a-f-]{36}$/, Location: /^\/v2\/team\/app\/blobs\/uploads\/[0-9a-f-]{36}\?/ })
  const status = await call('GET', locationOf(started))
  t.equal(status.status, 204)
  t.match(status.headers, { Range: '0-0', Location: locationOf(started) })
  const patched = await call('PATCH', locationOf(started), { body: BLOB, headers: { 'Content-Type': 'application/octet-stream' } })
  t.equal(patched.status, 202)
  t.match(patched.headers, { Range: '0-2047', 'Docker-Upload-UUID': started.headers?.['Docker-Upload-UUID'] })
  t.equal((await call('HEAD', locationOf(patched))).headers?.Range, '0-2047')
  const done = await call('PUT', `${locationOf(patched)}&digest=${DIGEST}`)
  t.equal(done.status, 201)
  t.match(done.headers, { Location: `/v2/team/app/blobs/${DIGEST}`, 'Docker-Content-Digest': DIGEST })
  t.ok(BLOB.every((byte, i) => byte === cluster.blobs.get(DIGEST)?.[i]))
  t.equal((await call('GET', locationOf(started))).status, 404)
})

t.test('chunks with inclusive ranges; the last one in the PUT', async t => {
  const { call, start } = site()
  const location = await start()
  const first = await call('PATCH', location, { body: BLOB.subarray(0, 1000), headers: { 'Content-Range': '0-999', 'Content-Length': '1000' } })
  t.equal(first.headers?.Range, '0-999')
  const second = await call('PATCH', locationOf(first), { body: BLOB.subarray(1000, 2000), headers: { 'Content-Range': 'bytes 1000-1999/2048' } })
  t.equal(second.headers?.Range, '0-1999')
  const done = await call('PUT', `${location}&digest=${DIGEST}`, { body: BLOB.subarray(2000), headers: { 'Content-Range': '2000-2047' } })
  t.equal(done.status, 201)
})

for (const range of ['1000-1999', '1-999', '99999-100998']) {
  for (const method of ['PATCH', 'PUT']) {
    t.test(`a ${method} out of order (${range}) is 416 and the upload goes on`, async t => {
      const { call, start } = site()
      const location = await start()
      if (range === '1-999') await call('PATCH', location, { body: BLOB.subarray(0, 1000) })
      const size = range === '1-999' ? 1000 : 0
      const refused = await call(method, `${location}&digest=${DIGEST}`, { body: BLOB.subarray(0, 1000), headers: { 'Content-Range': range } })
      t.equal(refused.status, 416)
      t.match(refused.headers, { Location: location, Range: size === 0 ? '0-0' : '0-999', 'Docker-Upload-UUID': /./ })
      const status = await call('GET', location)
      t.match(status, { status: 204, headers: { Location: location, Range: size === 0 ? '0-0' : '0-999' } })
      t.equal((await call('PUT', `${location}&digest=${DIGEST}`, { body: BLOB.subarray(size) })).status, 201)
    })
  }
}

for (const [headers, length] of [
  [{ 'Content-Range': 'x' }, 10], [{ 'Content-Range': '5' }, 10], [{ 'Content-Range': '9-0' }, 10], [{ 'Content-Range': '0-99' }, 10],
  [{ 'Content-Range': '0-9' }, 100], [{ 'Content-Range': '0-99', 'Content-Length': '10' }, 10], [{ 'Content-Range': '0-99999999999999999999' }, 10]
] as const) {
  t.test(`${JSON.stringify(headers)} with ${length} bytes is refused and leaves the upload as it was`, async t => {
    const { cluster, call, start } = site()
    const location = await start()
    t.equal((await call('PATCH', location, { body: BLOB.subarray(0, length), headers })).status, 400)
    t.same([...cluster.uploads.values()].map(bytes => bytes.length), [0])
  })
}

t.test('a chunk that breaks off is cut away', async t => {
  const { call, start } = site()
  const location = await start()
  await call('PATCH', location, { body: BLOB.subarray(0, 1000) })
  await call('PATCH', location, { body: pattern(5000), breaksOff: true })
  t.equal((await call('GET', location)).headers?.Range, '0-999')
  t.equal((await call('PUT', `${location}&digest=${DIGEST}`, { body: BLOB.subarray(1000) })).status, 201)
})

t.test('a second writer is refused while the first one is at work', async t => {
  const { call, start } = site()
  const location = await start()
  let release = (): void => {}
  const first = call('PATCH', location, { body: BLOB.subarray(0, 1000), held: new Promise(resolve => { release = resolve }) })
  for (const method of ['PATCH', 'PUT']) t.equal((await call(method, `${location}&digest=${DIGEST}`, { body: 'x' })).status, 416)
  release()
  t.match(await first, { status: 202, headers: { Range: '0-999' } })
  t.equal((await call('PUT', `${location}&digest=${DIGEST}`, { body: BLOB.subarray(1000) })).status, 201)
})

t.test('a wrong digest is 400 and ends the upload', async t => {
  const { cluster, call, start } = site()
  const location = await start()
  const reply = await call('PUT', `${location}&digest=${OTHER}`, { body: BLOB })
  t.equal(reply.status, 400)
  t.same(JSON.parse((await bytesOf(reply)).toString()), {
    errors: [{ code: 'DIGEST_INVALID', message: 'provided digest did not match uploaded content', detail: { Digest: OTHER, Reason: {} } }]
  })
  t.equal(cluster.blobs.size, 0)
  t.equal((await call('GET', location)).status, 404)
})

for (const query of ['', '&digest=', '&digest=x', '&digest=sha256:short', `&digest=sha512:${'a'.repeat(127)}`, '&digest=md5:abc']) {
  t.test(`closing with "${query.slice(0, 40)}" is 400 and the upload goes on`, async t => {
    const { call, start } = site()
    const location = await start()
    const reply = await call('PUT', location + query, { body: BLOB })
    t.equal(reply.status, 400)
    t.equal(await codeOf(reply), 'DIGEST_INVALID')
    t.equal((await call('PUT', `${location}&digest=${DIGEST}`, { body: BLOB })).status, 201)
  })
}

t.test('in a single request', async t => {
  const { cluster, call } = site()
  const target = (digest: string): string => `/v2/team/app/blobs/uploads/?digest=${digest}`
  const reply = await call('POST', target(DIGEST), { body: BLOB, headers: { 'Content-Length': '2048' } })
  t.match(reply, { status: 201, headers: { Location: `/v2/team/app/blobs/${DIGEST}`, 'Docker-Content-Digest': DIGEST } })
  t.equal((await call('POST', target(EMPTY_DIGEST))).status, 201)
  for (const digest of [OTHER, 'x', 'sha512:abc', '']) {
    const refused = await call('POST', target(digest), { body: BLOB })
    t.equal(refused.status, 400)
    t.equal(await codeOf(refused), 'DIGEST_INVALID')
  }
  t.equal(cluster.uploads.size, 0)
  const announced = await call('POST', target(OTHER))
  t.equal(announced.status, 202, 'without a body the bytes are still to come')
  t.equal((await call('PUT', `${locationOf(announced)}&digest=${OTHER}`, { body: 'other' })).status, 201)
})

t.test('the empty blob', async t => {
  const { call, start } = site()
  t.equal((await call('PUT', `${await start()}&digest=${EMPTY_DIGEST}`)).status, 201)
})

for (const [query, status] of [
  [`?mount=${DIGEST}&from=team/base`, 201],
  [`?mount=${DIGEST}`, 201],
  [`?mount=${OTHER}&from=team/base`, 202],
  [`?mount=${OTHER}`, 202],
  ['?mount=sha256:short&from=team/base', 202],
  ['?mount=&from=', 202]
] as const) {
  t.test(`${query.slice(0, 40)} is ${status}`, async t => {
    const { cluster, call } = site()
    cluster.add(BLOB)
    const reply = await call('POST', `/v2/team/other/blobs/uploads/${query}`)
    t.equal(reply.status, status)
    t.match(locationOf(reply), status === 201 ? `/v2/team/other/blobs/${DIGEST}` : /^\/v2\/team\/other\/blobs\/uploads\//)
    t.equal(cluster.uploads.size, status === 201 ? 0 : 1)
  })
}

t.test('a cancelled upload is gone', async t => {
  const { cluster, call, start } = site()
  const location = await start()
  await call('PATCH', location, { body: BLOB })
  const reply = await call('DELETE', location)
  t.equal(reply.status, 204)
  t.match(reply.headers, { 'Docker-Upload-UUID': /./ })
  t.equal(cluster.uploads.size, 0)
  for (const method of ['GET', 'HEAD', 'PATCH', 'PUT', 'DELETE']) t.equal((await call(method, `${location}&digest=${DIGEST}`)).status, 404, method)
})

t.test('an upload belongs to its repository', async t => {
  const { cluster, call, start } = site()
  const location = await start()
  const foreign = location.replace('/team/app/', '/team/other/')
  for (const method of ['GET', 'PATCH', 'PUT', 'DELETE']) t.equal((await call(method, `${foreign}&digest=${DIGEST}`, { body: BLOB })).status, 404, method)
  t.same([...cluster.uploads.values()].map(bytes => bytes.length), [0])
})

for (const [upload, code] of [
  ['00000000-0000-4000-8000-000000000000', 'BLOB_UPLOAD_UNKNOWN'],
  ['00000000-0000-4000-8000-000000000000?_state=x', 'BLOB_UPLOAD_INVALID'],
  ['not-a-uuid', 'BLOB_UPLOAD_UNKNOWN'],
  ['..data', 'BLOB_UPLOAD_UNKNOWN']
] as const) {
  t.test(`nobody started ${upload}`, async t => {
    for (const method of ['GET', 'PATCH', 'PUT', 'DELETE']) {
      const reply = await site().call(method, `/v2/team/app/blobs/uploads/${upload}${upload.includes('?') ? '&' : '?'}digest=${DIGEST}`, { body: BLOB })
      t.equal(reply.status, 404)
      t.equal(await codeOf(reply), code)
    }
  })
}

t.test('a cluster that cannot take the blob makes the client try again', async t => {
  const { cluster, call, start } = site()
  const location = await start()
  cluster.outage = new AppError('UNAVAILABLE', 'no origin answers')
  t.equal((await call('PUT', `${location}&digest=${DIGEST}`, { body: BLOB })).status, 503)
  cluster.outage = undefined
  t.equal((await call('HEAD', `/v2/team/app/blobs/${DIGEST}`)).status, 404, 'nothing is mistaken for the blob')
  t.equal((await call('PUT', `${await start()}&digest=${DIGEST}`, { body: BLOB })).status, 201)
})
