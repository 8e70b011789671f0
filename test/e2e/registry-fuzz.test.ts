import { once } from 'node:events'
import { connect } from 'node:net'
import fc from '../support/fc.js'
import t from 'tap'
import { DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, OCI_INDEX, OCI_MANIFEST } from '../../runtime/registry/manifest.js'
import { digestOf, sha512Of } from '../../runtime/core/digest.js'
import { call } from '../support/http-call.js'
import { makeImage } from '../support/image.js'
import { must } from '../support/must.js'
import { pullImage, pushImage } from '../support/registry.js'
import { startTestSystem, troublesIn } from '../support/system.js'

/*
 * Requests that no client would make, through sockets, to the proxy and an agent of a running system: every one is answered,
 * none of them with a failure of ours, and no process ends or writes an error. FUZZ_SEED and FUZZ_RUNS choose others.
 */

const SEED = Number(process.env['FUZZ_SEED'] ?? 20_250_101)
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 400)
const UPLOAD = '00000000-0000-4000-8000-000000000000'

const system = await startTestSystem(t, { origins: 1, agents: 1 })
const agent = must(system.agents[0])
const image = await makeImage({ layerBytes: [3000], seed: 700 })
await pushImage(system.proxyPort, 'app', 'latest', image)
const LAYER = must(image.blobs[0]).digest
const MANIFEST = image.top.digest

const digests = fc.oneof(
  fc.constantFrom(LAYER, MANIFEST, sha512Of('x'), digestOf('absent'), LAYER.toUpperCase(), 'sha256:', 'sha256:x', 'sha512:0', 'md5:00', ':', 'sha256:sha256:x'),
  fc.string({ minLength: 1, maxLength: 70 }).map(text => `sha256:${encodeURIComponent(text)}`)
)
const tags = fc.oneof(fc.constantFrom('latest', 'none', '.', '..', '_', '-x', 'a'.repeat(128), 'a'.repeat(129)), fc.string({ minLength: 1, maxLength: 12 }).map(encodeURIComponent))
const repositories = fc.oneof(
  fc.constantFrom('app', 'app/none', 'none', 'a'.repeat(255), 'a'.repeat(256), 'UP/case', 'a//b', 'localhost:5000/app', '_x', 'x__y', '%2e%2e', '..', 'app%2fx', 'app%00'),
  fc.array(fc.string({ minLength: 1, maxLength: 6 }).map(encodeURIComponent), { minLength: 1, maxLength: 5 }).map(parts => parts.join('/'))
)
const targets = fc.oneof(
  fc.tuple(repositories, fc.oneof(digests, tags)).map(([name, reference]) => `/v2/${name}/manifests/${reference}`),
  fc.tuple(repositories, digests).map(([name, digest]) => `/v2/${name}/blobs/${digest}`),
  fc.tuple(repositories, digests).map(([name, digest]) => `/v2/${name}/referrers/${digest}`),
  repositories.map(name => `/v2/${name}/tags/list`),
  fc.tuple(repositories, fc.constantFrom('', UPLOAD, 'x', '%00', '..')).map(([name, upload]) => `/v2/${name}/blobs/uploads/${upload}`),
  fc.constantFrom('/', '/v2', '/v2/', '/v2/_catalog', '//v2/', '/v2/../v2/', '/v2/app/blobs/uploads', '/%', '/v2/%zz', '/v2/%c3%28/tags/list')
)
const pairs = fc.tuple(
  fc.constantFrom('n', 'last', 'digest', 'mount', 'from', 'tag', 'artifactType', '_state', 'digest-algorithm', 'ns', ''),
  fc.oneof(digests, tags, repositories, fc.constantFrom('0', '-1', '1e9', '9'.repeat(30), '%', '%00', '', 'null'))
)
const queries = fc.array(pairs, { maxLength: 3 }).map(list => list.length === 0 ? '' : `?${list.map(pair => pair.join('=')).join('&')}`)
const ranges = fc.oneof(fc.constantFrom('bytes=0-', 'bytes=-1', 'bytes=9-3', 'bytes=0-0,2-3', 'bytes=', `bytes=${'9'.repeat(30)}-`, 'rows=1-2', 'bytes=-0'), fc.stringMatching(/^[ -~]{0,20}$/))
const headers = fc.record({
  Range: ranges,
  'Content-Range': fc.oneof(fc.constantFrom('0-9', '5-9', '9-5', '-1-5', '0-99999999999999999999', 'bytes 0-1/2'), fc.stringMatching(/^[ -~]{0,20}$/)),
  'Content-Type': fc.constantFrom('', OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, 'application/json', 'application/octet-stream; x="'),
  'If-None-Match': fc.oneof(fc.constantFrom('*', `"${LAYER}"`, 'W/""', ','), fc.stringMatching(/^[ -~]{0,20}$/)),
  'If-Range': fc.constantFrom('', '*', `"${LAYER}"`, 'Mon, 01 Jan 2024 00:00:00 GMT'),
  Accept: fc.stringMatching(/^[ -~]{0,30}$/)
}, { requiredKeys: [] })
const descriptors = fc.record({
  mediaType: fc.oneof(fc.string(), fc.constant(OCI_MANIFEST), fc.integer()),
  digest: fc.oneof(digests, fc.integer(), fc.constant(null)),
  size: fc.oneof(fc.integer(), fc.double(), fc.string())
}, { requiredKeys: [] })
const manifests = fc.record({
  schemaVersion: fc.constantFrom<unknown>(2, 2, 2, 1, '2', null),
  mediaType: fc.constantFrom<unknown>(OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, '', 7, undefined),
  config: fc.oneof(descriptors, fc.anything()),
  layers: fc.oneof(fc.array(descriptors, { maxLength: 3 }), fc.anything()),
  manifests: fc.oneof(fc.array(descriptors, { maxLength: 3 }), fc.anything()),
  subject: fc.oneof(descriptors, fc.anything()),
  annotations: fc.anything()
}, { requiredKeys: [] }).map(document => {
  try {
    return Buffer.from(JSON.stringify(document))
  } catch {
    return Buffer.from('{')
  }
})
const bodies = fc.oneof(manifests, fc.json().map(text => Buffer.from(text)), fc.uint8Array({ maxLength: 200 }).map(bytes => Buffer.from(bytes)))
const requests = fc.record({
  method: fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND'),
  target: fc.tuple(targets, queries).map(parts => parts.join('')),
  headers,
  body: bodies
})

for (const [name, port] of [['the proxy', system.proxyPort], ['an agent', agent.registryPort]] as const) {
  t.test(`${name} answers whatever it is asked, and never with a failure of its own`, async t => {
    const statuses = new Map<number, number>()
    await fc.assert(fc.asyncProperty(requests, async ({ method, target, headers, body }) => {
      const hasBody = ['POST', 'PUT', 'PATCH'].includes(method)
      const { status } = await call(port, method, target, { headers, body: hasBody ? body : undefined })
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      if (status >= 500 || status < 200) throw new Error(`${method} ${target} was answered ${status}`)
    }), { seed: SEED, numRuns: RUNS, endOnFailure: true })
    t.pass([...statuses].map(([status, count]) => `${status}: ${count}`).join(', '))
  })

  t.test(`${name} survives requests that break off, or are none`, async t => {
    const lines = fc.oneof(
      fc.tuple(fc.constantFrom('GET', 'PUT', 'PATCH', 'x', ''), targets).map(([method, target]) => `${method} ${target} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc`),
      fc.uint8Array({ maxLength: 60 }).map(bytes => Buffer.from(bytes).toString('latin1'))
    )
    await fc.assert(fc.asyncProperty(lines, async text => {
      const socket = connect(port, '127.0.0.1')
      // How the server ends it is its own affair.
      socket.on('error', () => {})
      await once(socket, 'connect')
      socket.end(text, 'latin1')
      socket.resume()
      await once(socket, 'close')
    }), { seed: SEED, numRuns: Math.ceil(RUNS / 10), endOnFailure: true })
    t.equal((await call(port, 'GET', '/v2/')).status, 200)
  })
}

t.test('the processes of before still run, and their logs hold no error', async t => {
  await pushImage(system.proxyPort, 'app', 'latest', image)
  await t.resolves(pullImage(agent.registryPort, 'app', 'latest', image))
  await system.stop()
  t.same(troublesIn(system), [])
})
