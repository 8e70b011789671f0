import fc from '../support/fc.js'
import t from 'tap'
import { parseRegistryPath } from '../../net/api/registry.js'
import { digestOf, sha512Of } from '../../runtime/core/digest.js'
import { noLog } from '../../runtime/observe/log.js'
import { DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, OCI_INDEX, OCI_MANIFEST } from '../../runtime/registry/manifest.js'
import { pageOf } from '../../runtime/registry/page.js'
import { createRegistry } from '../../runtime/registry/server.js'
import { bytesOf, fakeRequest } from '../support/registry/fake-request.js'
import { MemoryCluster } from '../support/registry/memory-cluster.js'
import { pattern } from '../support/pattern.js'

const BLOB = pattern(3000)
const UPLOAD = '00000000-0000-4000-8000-000000000000'
const DIGEST = digestOf(BLOB)
const NAME = sha512Of(BLOB)

const segments = fc.oneof(
  fc.constantFrom('v2', 'app', 'team', 'tags', 'list', 'manifests', 'blobs', 'uploads', '_catalog', 'referrers', '', '.', '..', DIGEST, NAME, UPLOAD, 'sha256:x', '%2F', '%', '%zz', '%00'),
  fc.string({ maxLength: 20 }),
  fc.string({ maxLength: 20 }).map(encodeURIComponent)
)
const paths = fc.oneof(
  fc.array(segments, { maxLength: 8 }).map(parts => '/' + parts.join('/')),
  fc.array(segments, { maxLength: 4 }).map(parts => '/v2/app/' + parts.join('/'))
)
const queries = fc.oneof(
  fc.constantFrom('', `?digest=${DIGEST}`, `?digest=${NAME}`, `?mount=${NAME}`, '?digest-algorithm=sha512', '?digest-algorithm=x', '?tag=a&tag=b', '?tag=%2F', '?artifactType=x', '?digest=', '?n=0', '?n=-1', '?last=%zz', `?mount=${DIGEST}&from=a`, '?_state=x'),
  fc.string({ maxLength: 20 }).map(text => `?${text}`)
)
const headers = fc.record({
  Range: fc.oneof(fc.string({ maxLength: 12 }), fc.constantFrom('bytes=0-', 'bytes=-5', 'bytes=9-3')),
  'Content-Range': fc.oneof(fc.string({ maxLength: 12 }), fc.constantFrom('0-9', '5-9', '9-5', '-1-5')),
  'Content-Type': fc.constantFrom('', OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, 'application/json'),
  'Content-Length': fc.string({ maxLength: 5 }),
  'If-None-Match': fc.string({ maxLength: 12 }),
  'If-Range': fc.string({ maxLength: 12 })
}, { requiredKeys: [] })
const bodies = fc.oneof(fc.uint8Array({ maxLength: 50 }), fc.json().map(text => Buffer.from(text)))
const requests = fc.record({
  method: fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'),
  path: paths,
  query: queries,
  headers,
  body: bodies,
  breaksOff: fc.boolean(),
  isReadOnly: fc.boolean(),
  isKraken: fc.boolean(),
  membership: fc.constantFrom('shared', 'strict', 'ignored')
})

t.test('no request whatever is our fault', async t => {
  await fc.assert(fc.asyncProperty(requests, async ({ method, path, query, headers, body, breaksOff, isReadOnly, isKraken, membership }) => {
    const cluster = new MemoryCluster()
    cluster.add(BLOB)
    cluster.tags.set('app:v1', DIGEST)
    cluster.uploads.set(UPLOAD, new Uint8Array(5))
    cluster.records.isKraken = isKraken
    const backend = { reads: cluster.reads, writes: isReadOnly ? undefined : cluster.writes }
    const handle = createRegistry(backend, { log: noLog, records: cluster.records, membership })
    const reply = await handle(fakeRequest(method, path + query, { headers, body, breaksOff }))
    await bytesOf(reply)
    return (reply.status < 499 || (breaksOff && reply.status === 499)) && cluster.openReaders === 0
  }), { numRuns: 2000 })
  t.pass('2000 requests')
})

t.test('where a redirect leads is on this host, and nothing leads to itself', async t => {
  fc.assert(fc.property(paths, path => {
    const target = parseRegistryPath(path)
    if (target.kind !== 'redirect') return true
    const next = parseRegistryPath(target.path)
    return /^\/(?!\/)/.test(target.path) && (next.kind !== 'redirect' || next.path !== target.path)
  }), { numRuns: 2000 })
  t.pass('2000 paths')
})

t.test('any range gives the bytes that it names', async t => {
  await fc.assert(fc.asyncProperty(fc.nat(4000), fc.nat(4000), async (first, last) => {
    const cluster = new MemoryCluster()
    cluster.add(BLOB)
    const handle = createRegistry({ reads: cluster.reads, writes: undefined }, { log: noLog })
    const reply = await handle(fakeRequest('GET', `/v2/app/blobs/${DIGEST}`, { headers: { Range: `bytes=${first}-${last}` } }))
    if (first >= BLOB.length || last < first) return reply.status === 416
    return reply.status === 206 && (await bytesOf(reply)).equals(BLOB.subarray(first, last + 1))
  }))
  t.pass('every range')
})

t.test('however an upload is cut into chunks, the same blob comes out', async t => {
  await fc.assert(fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 3000 }), { maxLength: 6 }), fc.boolean(), async (cuts, areRangesGiven) => {
    const cluster = new MemoryCluster()
    const handle = createRegistry({ reads: cluster.reads, writes: cluster.writes }, { log: noLog })
    const started = await handle(fakeRequest('POST', '/v2/app/blobs/uploads/'))
    let location = started.headers?.Location ?? ''
    const bounds = [0, ...cuts.sort((a, b) => a - b), BLOB.length]
    for (const [i, start] of bounds.slice(0, -1).entries()) {
      const end = bounds[i + 1] ?? start
      const given = areRangesGiven && end > start ? `${start}-${end - 1}` : ''
      const patched = await handle(fakeRequest('PATCH', location, { body: BLOB.subarray(start, end), headers: { 'Content-Range': given } }))
      if (patched.status !== 202 || patched.headers?.Range !== `0-${Math.max(0, end - 1)}`) return false
      location = patched.headers?.Location ?? ''
    }
    return (await handle(fakeRequest('PUT', `${location}&digest=${DIGEST}`))).status === 201
  }))
  t.pass('every cut')
})

t.test('following the pages gives every name once, in order', async t => {
  fc.assert(fc.property(fc.array(fc.string({ maxLength: 5 })), fc.integer({ min: 1, max: 5 }), (names, limit) => {
    const found: string[] = []
    for (let last = '', hasMore = true; hasMore;) {
      const page = pageOf(names, { limit, last })
      found.push(...page.names)
      hasMore = page.hasMore
      last = page.names.at(-1) ?? ''
    }
    t.same(found, [...new Set(names)].filter(name => name !== '').sort())
  }))
})
