import t from 'tap'
import { AppError } from '../../../runtime/core/errors.js'
import { noLog } from '../../../runtime/observe/log.js'
import { createRegistry } from '../../../runtime/registry/server.js'
import { bytesOf, type FakeRequest, fakeRequest } from '../../support/registry/fake-request.js'
import { MemoryCluster } from '../../support/registry/memory-cluster.js'

const ABSENT = `sha256:${'ab'.repeat(32)}`
const UPLOAD = '00000000-0000-4000-8000-000000000000'

function site (isReadOnly = false) {
  const cluster = new MemoryCluster()
  const handle = createRegistry({ reads: cluster.reads, writes: isReadOnly ? undefined : cluster.writes }, { log: noLog })
  return { cluster, call: async (method: string, target: string, options: FakeRequest = {}) => await handle(fakeRequest(method, target, options)) }
}

for (const [method, target, status, headers, body] of [
  ['GET', '/', 200, { 'Cache-Control': 'no-cache' }, ''],
  ['GET', '/v2/', 200, { 'Content-Type': 'application/json' }, '{}'],
  ['POST', '/v2/', 200, {}, '{}'],
  ['GET', '/v2', 301, { Location: '/v2/', 'Content-Type': 'text/html; charset=utf-8' }, '<a href="/v2/">Moved Permanently</a>.\n\n'],
  ['POST', '/v2/app/blobs/uploads?mount=x', 301, { Location: '/v2/app/blobs/uploads/?mount=x' }, undefined],
  ['GET', '/v2//app/tags/list', 301, { Location: '/v2/app/tags/list' }, undefined],
  ['GET', '/nope', 404, { 'Content-Type': 'text/plain; charset=utf-8', 'X-Content-Type-Options': 'nosniff' }, '404 page not found\n'],
  ['POST', '/v2/Team/App/blobs/uploads/', 404, {}, '404 page not found\n'],
  ['PUT', '/v2/app/tags/list', 405, { Allow: 'GET, HEAD', 'X-Content-Type-Options': 'nosniff' }, 'Method not allowed\n'],
  ['GET', '/v2/app/blobs/uploads/', 405, { Allow: 'POST' }, 'Method not allowed\n'],
  ['OPTIONS', '/v2/app/blobs/uploads/', 200, { Allow: 'POST' }, ''],
  ['GET', '/v2/app/blobs/sha256:nope', 400, { 'Content-Type': 'application/json' },
    '{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match uploaded content","detail":{}}]}\n'],
  ['PUT', '/v2/app/manifests/sha256:short', 400, {}, undefined],
  ['GET', `/v2/${'a'.repeat(256)}/tags/list`, 400, {}, undefined],
  ['GET', `/v2/app/blobs/${ABSENT}`, 404, { 'Content-Type': 'application/json' },
    `{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry","detail":"${ABSENT}"}]}\n`],
  ['GET', '/v2/app/manifests/nope', 404, {}, '{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"nope"}}]}\n'],
  ['GET', `/v2/app/manifests/${ABSENT}`, 404, {},
    `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Name":"app","Revision":"${ABSENT}"}}]}\n`],
  ['DELETE', `/v2/app/manifests/${ABSENT}`, 404, {}, undefined],
  ['DELETE', `/v2/app/blobs/${ABSENT}`, 404, {}, undefined],
  ['GET', '/v2/app/tags/list', 404, {}, undefined],
  ['GET', '/v2/_catalog', 200, { 'Content-Type': 'application/json' }, '{"repositories":[]}\n'],
  ['GET', '/v2/_catalog?n=x', 400, {}, undefined]
] as const) {
  t.test(`${method} ${target.slice(0, 80)} is ${status}`, async t => {
    const reply = await site().call(method, target)
    t.equal(reply.status, status)
    t.match(reply.headers, headers)
    t.equal(reply.headers?.['Docker-Distribution-Api-Version'], target === '/' ? undefined : 'registry/2.0')
    if (body !== undefined) t.equal((await bytesOf(reply)).toString(), body)
  })
}

for (const [method, target] of [
  ['POST', '/v2/app/blobs/uploads/'],
  ['POST', `/v2/app/blobs/uploads/?mount=${ABSENT}&from=other`],
  ['PATCH', `/v2/app/blobs/uploads/${UPLOAD}`],
  ['PUT', `/v2/app/blobs/uploads/${UPLOAD}?digest=${ABSENT}`],
  ['DELETE', `/v2/app/blobs/uploads/${UPLOAD}`],
  ['PUT', '/v2/app/manifests/latest'],
  ['PUT', '/v2/app/manifests/sha256:short'],
  ['DELETE', '/v2/app/manifests/latest'],
  ['DELETE', `/v2/app/blobs/${ABSENT}`]
] as const) {
  t.test(`a read-only registry refuses ${method} ${target.slice(0, 60)} without waiting for the body`, async t => {
    const reply = await site(true).call(method, target, { held: new Promise(() => {}) })
    t.equal(reply.status, 405)
    t.equal((await bytesOf(reply)).toString(),
      '{"errors":[{"code":"UNSUPPORTED","message":"this registry is read-only: push to the proxy of this cluster instead"}]}\n')
  })
}

t.test('a read-only registry has no uploads to look at', async t => {
  t.equal((await site(true).call('GET', `/v2/app/blobs/uploads/${UPLOAD}`)).status, 404)
})

for (const code of ['UNAVAILABLE', 'NETWORK', 'TIMED_OUT', 'CANCELLED'] as const) {
  t.test(`${code} while the client waits is 503 and to be tried again`, async t => {
    const { cluster, call } = site(true)
    cluster.outage = new AppError(code, 'origins are down')
    for (const target of [`/v2/app/blobs/${ABSENT}`, '/v2/app/manifests/latest', `/v2/app/manifests/${ABSENT}`, '/v2/app/tags/list', '/v2/_catalog']) {
      const reply = await call('GET', target)
      t.equal(reply.status, 503, target)
      t.equal(reply.headers?.['Retry-After'], '1')
    }
    t.equal((await call('HEAD', `/v2/app/blobs/${ABSENT}`)).status, 503)
  })
}

t.test('whoever asks before pushing is told to push while the cluster cannot say', async t => {
  const { cluster, call } = site()
  cluster.outage = new AppError('UNAVAILABLE', 'the backend is down')
  t.equal((await call('HEAD', `/v2/app/blobs/${ABSENT}`)).status, 404)
  t.equal((await call('GET', `/v2/app/blobs/${ABSENT}`)).status, 503)
  t.equal((await call('POST', `/v2/app/blobs/uploads/?mount=${ABSENT}&from=other`)).status, 202)
})

t.test('what nobody expected is a 500 that tells nothing', async t => {
  const { cluster, call } = site()
  cluster.reads.getTag = async () => { throw new Error('secret path /var/lib') }
  const reply = await call('GET', '/v2/app/manifests/latest')
  t.equal(reply.status, 500)
  t.equal((await bytesOf(reply)).toString(), '{"errors":[{"code":"UNKNOWN","message":"unknown error","detail":{}}]}\n')
})
