import t, { type Test } from 'tap'
import { agentApi } from '../../net/api/agent.js'
import { proxyApi } from '../../net/api/proxy.js'
import { type Digest, EMPTY_DIGEST } from '../../runtime/core/digest.js'
import { ByteClient } from '../support/byte-client.js'
import { type Answer, call, receive } from '../support/http-call.js'
import { type ImageOptions, makeImage } from '../support/image.js'
import { must } from '../support/must.js'
import { randomBlob } from '../support/random-blob.js'
import {
  blobPath, errorCodes, locationOf, manifestPath, MANIFEST_TYPES, pullBlob, pullImage, pushBlob, pushImage, resolveTag, startUpload
} from '../support/registry.js'
import { forget, startTestSystem, swarmStats, troublesIn } from '../support/system.js'

/*
 * Images and blobs through a whole system: proxy, two origins, tracker, build-index and two agents, each a process of its
 * own. Every test uses other content, so none depends on another.
 */

const KIB = 1024
const ABSENT = `sha256:${'ab'.repeat(32)}` as Digest
const ACCEPT = { Accept: MANIFEST_TYPES }

/** The status and the length of the body that came. */
function outline ({ status, body }: Answer): string { return `${status}, ${body.length} bytes` }

const system = await startTestSystem(t)
const { proxyPort, agents, plan } = system
const agent = must(agents[0])
/** Where images can be pulled from. */
const registries = [['the proxy', proxyPort], ...agents.map(({ name, registryPort }) => [name, registryPort] as const)] as const

const IMAGES: ReadonlyArray<readonly [what: string, options: ImageOptions]> = [
  ['an OCI image', { layerBytes: [300 * KIB, 5000 * KIB, 1], seed: 1 }],
  ['an OCI image with plain layers', { layerBytes: [200 * KIB, 0], compression: 'none', seed: 2 }],
  ['a Docker schema 2 image', { layerBytes: [300 * KIB, 5000 * KIB], format: 'docker', seed: 3 }],
  ['an OCI index of three platforms', { layerBytes: [100 * KIB, 50 * KIB], platforms: ['linux/amd64', 'linux/arm64/v8', 'linux/s390x'], seed: 4 }],
  ['a Docker manifest list', { layerBytes: [100 * KIB], format: 'docker', platforms: ['linux/amd64', 'linux/arm/v7'], seed: 5 }]
]

for (const [i, [what, options]] of IMAGES.entries()) {
  t.test(`${what} is pulled as it was pushed, by tag and by digest`, async t => {
    const repository = `team/image-${i}`
    const image = await makeImage(options)
    await pushImage(proxyPort, repository, 'v1', image)
    for (const [name, port] of registries) {
      await t.resolves(pullImage(port, repository, 'v1', image), `by tag from ${name}`)
      await t.resolves(pullImage(port, repository, image.top.digest, image), `by digest from ${name}`)
    }
  })
}

t.test('HEAD says what GET would, and downloads nothing', async t => {
  const image = await makeImage({ layerBytes: [2000 * KIB], seed: 10 })
  await pushImage(proxyPort, 'team/head', 'v1', image)
  const layer = must(image.blobs[0])
  const before = await swarmStats(agent)
  for (const [name, port] of registries) {
    const head = await call(port, 'HEAD', blobPath('team/head', layer.digest))
    t.match(head, { status: 200, headers: { 'content-length': String(layer.sizeBytes), 'docker-content-digest': layer.digest } }, `blob, ${name}`)
    t.equal(head.body.length, 0)
  }
  const after = await swarmStats(agent)
  t.equal(after.bytesFromOrigins + after.bytesFromAgents, before.bytesFromOrigins + before.bytesFromAgents, 'the blob stayed where it was')
  for (const [name, port] of registries) {
    const [head, get] = await Promise.all(['HEAD', 'GET'].map(async method => await call(port, method, '/v2/team/head/manifests/v1', { headers: ACCEPT })))
    for (const header of ['content-type', 'content-length', 'docker-content-digest', 'etag']) {
      t.equal(must(head).headers[header], must(get).headers[header], `${header} of the manifest, ${name}`)
    }
    t.equal(must(head).headers['content-length'], String(image.top.bytes.length))
  }
})

t.test('part of a blob is there for who asks for it', async t => {
  const blob = randomBlob(700 * KIB, 'ranges')
  await pushBlob(proxyPort, 'team/ranges', blob)
  for (const [name, port] of registries) {
    const path = blobPath('team/ranges', blob.digest)
    const get = async (range: string): ReturnType<typeof call> => await call(port, 'GET', path, { headers: { Range: range } })
    const middle = await get('bytes=1000-300999')
    t.match(middle, { status: 206, headers: { 'content-range': `bytes 1000-300999/${blob.bytes.length}`, 'content-length': '300000' } }, name)
    t.ok(middle.body.equals(blob.bytes.subarray(1000, 301_000)), `a middle part, ${name}`)
    t.ok((await get('bytes=-10')).body.equals(blob.bytes.subarray(-10)), `the last bytes, ${name}`)
    t.ok((await get('bytes=716000-')).body.equals(blob.bytes.subarray(716_000)), `from an offset on, ${name}`)
    t.match(await get(`bytes=${blob.bytes.length}-`), { status: 416, headers: { 'content-range': `bytes */${blob.bytes.length}` } }, `behind the end, ${name}`)
    t.equal((await get('bytes=9-2')).status, 416, `a range that ends before it begins, ${name}`)
    t.equal((await get('rows=1-2')).status, 200, `another unit, ${name}`)
    const unchanged = await call(port, 'GET', path, { headers: { 'If-None-Match': `"${blob.digest}"` } })
    t.equal(outline(unchanged), '304, 0 bytes', `known already, ${name}`)
  }
})

t.test('the proxy lists its repositories and tags', async t => {
  const image = await makeImage({ layerBytes: [10 * KIB], seed: 20 })
  for (const tag of ['v10', 'v2', 'latest', 'v1']) await pushImage(proxyPort, 'lists/app', tag, image)
  await pushImage(proxyPort, 'lists/deep/er/app', 'v1', image)
  const get = async (path: string): Promise<{ document: unknown, link: unknown, status: number }> => {
    const { status, body, headers } = await call(proxyPort, 'GET', path)
    return { status, document: JSON.parse(body.toString()), link: headers.link }
  }
  t.match(await get('/v2/lists/app/tags/list'), { status: 200, document: { name: 'lists/app', tags: ['latest', 'v1', 'v10', 'v2'] } })
  const first = await get('/v2/lists/app/tags/list?n=3')
  t.match(first, { status: 200, document: { tags: ['latest', 'v1', 'v10'] }, link: /^<\/v2\/lists\/app\/tags\/list\?.*>; rel="next"$/ })
  const next = /<(.*)>/.exec(String(first.link))?.[1] ?? ''
  t.same((await get(next)).document, { name: 'lists/app', tags: ['v2'] }, 'the second page')
  t.equal((await get(next)).link, undefined, 'is the last one')
  t.match(await call(proxyPort, 'GET', '/v2/lists/nothing/tags/list'), { status: 404 }, 'a repository without tags')
  const { document } = await get('/v2/_catalog')
  const { repositories } = document as { repositories: string[] }
  t.ok(repositories.includes('lists/app') && repositories.includes('lists/deep/er/app'))
  t.same(repositories, [...new Set(repositories)].sort(), 'sorted, each once')
})

t.test('a tag that was moved is seen by everybody', async t => {
  const [old, young] = await Promise.all([30, 31].map(async seed => await makeImage({ layerBytes: [20 * KIB], seed })))
  await pushImage(proxyPort, 'team/moving', 'latest', must(old))
  for (const [name, port] of registries) t.equal(await resolveTag(port, 'team/moving', 'latest'), must(old).top.digest, name)
  await pushImage(proxyPort, 'team/moving', 'latest', must(young))
  for (const [name, port] of registries) {
    await t.resolves(pullImage(port, 'team/moving', 'latest', must(young)), `the new one by tag, ${name}`)
    await t.resolves(pullImage(port, 'team/moving', must(old).top.digest, must(old)), `the old one by digest, ${name}`)
  }
})

t.test('what was deleted on an agent is fetched again', async t => {
  const image = await makeImage({ layerBytes: [3000 * KIB], seed: 40 })
  const layer = must(image.blobs[0])
  await pushImage(proxyPort, 'team/again', 'v1', image)
  const received = async (): Promise<number> => {
    const { bytesFromOrigins, bytesFromAgents } = await swarmStats(agent)
    return bytesFromOrigins + bytesFromAgents
  }
  const before = await received()
  await pullImage(agent.registryPort, 'team/again', 'v1', image)
  const once = await received()
  await pullImage(agent.registryPort, 'team/again', 'v1', image)
  t.equal(await received(), once, 'what is in the cache is not fetched')
  for (const { digest } of [...image.blobs, ...image.manifests]) await forget(agent, digest)
  await pullImage(agent.registryPort, 'team/again', 'v1', image)
  t.equal(await received() - once, once - before, 'what was deleted is fetched, once')
  await forget(agent, layer.digest)
  t.equal(outline(await call(agent.serverPort, 'DELETE', `/blobs/${layer.digest.slice(7)}`)), '200, 0 bytes', 'deleting nothing is fine')
})

t.test('the agent server resolves tags and hands out blobs', async t => {
  const image = await makeImage({ layerBytes: [100 * KIB], seed: 50 })
  await pushImage(proxyPort, 'team/served', 'v1', image)
  const tag = await call(agent.serverPort, 'GET', `/tags/${encodeURIComponent('team/served:v1')}`)
  t.equal(outline(tag), '200, 71 bytes')
  t.equal(tag.body.toString(), image.top.digest)
  for (const { digest, sizeBytes } of image.blobs) {
    for (const name of [digest, digest.slice('sha256:'.length)]) {
      t.match(await receive(agent.serverPort, `/namespace/team%2Fserved/blobs/${name}`), { status: 200, digest, sizeBytes })
    }
  }
})

t.test('what is not there is 404 everywhere, at once', async t => {
  await pushImage(proxyPort, 'team/there', 'v1', await makeImage({ layerBytes: [KIB], seed: 60 }))
  for (const [name, port] of registries) {
    const get = async (method: string, path: string): ReturnType<typeof call> =>
      await call(port, method, path, { headers: ACCEPT, signal: AbortSignal.timeout(10_000) })
    for (const [what, path, code] of [
      ['a tag', '/v2/team/there/manifests/none', 'MANIFEST_UNKNOWN'],
      ['a repository', '/v2/team/nowhere/manifests/v1', 'MANIFEST_UNKNOWN'],
      ['a manifest', manifestPath('team/there', ABSENT), 'MANIFEST_UNKNOWN'],
      ['a blob', blobPath('team/there', ABSENT), 'BLOB_UNKNOWN']
    ] as const) {
      const answer = await get('GET', path)
      t.equal(answer.status, 404, `${what}, ${name}`)
      t.same(errorCodes(answer), [code], `${what}, ${name}`)
      t.equal(outline(await get('HEAD', path)), '404, 0 bytes', `HEAD of ${what}, ${name}`)
    }
    const miss = await get('GET', '/v2/team/there/unheard-of')
    t.equal(miss.status, 404)
    t.equal(miss.body.toString(), '404 page not found\n', `an unknown path, ${name}`)
  }
  for (const { name, serverPort } of agents) {
    t.equal(outline(await call(serverPort, 'GET', '/tags/team%2Fthere:none')), '404, 0 bytes', `a tag of the server of ${name}`)
    t.equal(outline(await call(serverPort, 'GET', `/namespace/team%2Fthere/blobs/${ABSENT}`)), '404, 0 bytes', `a blob of the server of ${name}`)
  }
})

t.test('health and readiness answer to the byte', async t => {
  const bodyOf = async (port: number, path: string): Promise<string> => {
    const { status, body } = await call(port, 'GET', path)
    return `${status} ${body.toString()}`
  }
  for (const { name, serverPort } of agents) {
    t.equal(await bodyOf(serverPort, agentApi.health.path), '200 OK', name)
    t.equal(await bodyOf(serverPort, agentApi.readiness.path), '200 OK', name)
  }
  const ports = [proxyPort, plan.proxy.serverPort, plan.tracker.port, plan.buildIndex.port, ...plan.origins.map(({ port }) => port)]
  for (const port of ports) {
    t.equal(await bodyOf(port, '/health'), '200 OK\n')
    t.equal(await bodyOf(port, '/readiness'), '200 OK\n')
    t.equal(await bodyOf(port, '/unheard-of'), '404 404 page not found\n')
  }
  for (const [name, port] of registries) {
    const base = await call(port, 'GET', '/v2/')
    t.equal(base.body.toString(), '{}', name)
    t.match(base, { status: 200, headers: { 'content-type': 'application/json', 'docker-distribution-api-version': 'registry/2.0' } }, name)
  }
})

t.test('a blob is uploaded in whichever way a tool prefers', async t => {
  const repository = 'team/uploads'
  const uploadsPath = `/v2/${repository}/blobs/uploads/`
  const isThere = async (t: Test, digest: Digest, sizeBytes: number): Promise<void> => {
    await t.resolves(pullBlob(agent.registryPort, repository, digest, sizeBytes), 'an agent has it')
  }

  t.test('all in one POST', async t => {
    const { digest, bytes } = randomBlob(50 * KIB, 'one POST')
    const answer = await call(proxyPort, 'POST', `${uploadsPath}?digest=${digest}`, { body: bytes })
    t.match(answer, { status: 201, headers: { 'docker-content-digest': digest } })
    t.equal(locationOf(answer), blobPath(repository, digest))
    await isThere(t, digest, bytes.length)
  })

  t.test('a POST, and a PUT with all bytes', async t => {
    const { digest, bytes } = randomBlob(50 * KIB, 'POST and PUT')
    const location = await startUpload(proxyPort, repository)
    t.equal((await call(proxyPort, 'PUT', `${location}&digest=${digest}`, { body: bytes })).status, 201)
    await isThere(t, digest, bytes.length)
  })

  t.test('in chunks that say where they belong', async t => {
    const { digest, bytes } = randomBlob(90 * KIB, 'chunks')
    let location = await startUpload(proxyPort, repository)
    const cuts = [0, 40_000, 40_001, bytes.length]
    for (const [i, from] of cuts.slice(0, -1).entries()) {
      const to = must(cuts[i + 1])
      const patched = await call(proxyPort, 'PATCH', location, { headers: { 'Content-Range': `${from}-${to - 1}` }, body: bytes.subarray(from, to) })
      t.match(patched, { status: 202, headers: { range: `0-${to - 1}` } })
      location = locationOf(patched)
      t.match(await call(proxyPort, 'GET', location), { status: 204, headers: { range: `0-${to - 1}` } }, 'and it tells how far it is')
    }
    t.equal((await call(proxyPort, 'PUT', `${location}&digest=${digest}`)).status, 201)
    await isThere(t, digest, bytes.length)
  })

  t.test('a chunk that is not the next one is refused, and the upload goes on', async t => {
    const { digest, bytes } = randomBlob(2 * KIB, 'order')
    const location = await startUpload(proxyPort, repository)
    const early = await call(proxyPort, 'PATCH', location, { headers: { 'Content-Range': '1024-2047' }, body: bytes.subarray(1024) })
    t.equal(early.status, 416)
    t.equal((await call(proxyPort, 'PUT', `${location}&digest=${digest}`, { body: bytes })).status, 201)
    await isThere(t, digest, bytes.length)
  })

  t.test('a mount of what the cluster has, and an upload of what it has not', async t => {
    const blob = randomBlob(10 * KIB, 'mount')
    await pushBlob(proxyPort, 'team/elsewhere', blob)
    const mounted = await call(proxyPort, 'POST', `${uploadsPath}?mount=${blob.digest}&from=team/elsewhere`)
    t.match(mounted, { status: 201, headers: { 'docker-content-digest': blob.digest } })
    await isThere(t, blob.digest, blob.bytes.length)
    const absent = await call(proxyPort, 'POST', `${uploadsPath}?mount=${ABSENT}&from=team/elsewhere`)
    t.match(absent, { status: 202, headers: { location: /./ } })
  })

  t.test('the empty blob', async t => {
    const location = await startUpload(proxyPort, repository)
    t.equal((await call(proxyPort, 'PUT', `${location}&digest=${EMPTY_DIGEST}`)).status, 201)
    for (const [, port] of registries) await t.resolves(pullBlob(port, repository, EMPTY_DIGEST, 0))
  })

  t.test('the same blob by several clients at once', async t => {
    const blob = randomBlob(3000 * KIB, 'at once')
    await t.resolves(Promise.all([1, 2, 3, 4].map(async () => { await pushBlob(proxyPort, repository, blob) })))
    await isThere(t, blob.digest, blob.bytes.length)
  })

  t.test('a cancelled upload is gone', async t => {
    const location = await startUpload(proxyPort, repository)
    t.equal((await call(proxyPort, 'DELETE', location)).status, 204)
    t.equal((await call(proxyPort, 'GET', location)).status, 404)
    t.equal((await call(proxyPort, 'PATCH', location, { body: 'late' })).status, 404)
  })
})

t.test('bytes that are not what their digest says are refused, and nothing of them stays', async t => {
  const [real, forged] = [randomBlob(20 * KIB, 'real'), randomBlob(20 * KIB, 'forged')]
  const location = await startUpload(proxyPort, 'team/forged')
  const refused = await call(proxyPort, 'PUT', `${location}&digest=${real.digest}`, { body: forged.bytes })
  t.equal(refused.status, 400)
  t.same(errorCodes(refused), ['DIGEST_INVALID'])
  for (const { digest } of [real, forged]) {
    for (const [name, port] of registries) t.equal((await call(port, 'HEAD', blobPath('team/forged', digest))).status, 404, name)
  }
  t.equal((await call(proxyPort, 'GET', location)).status, 404, 'the upload is over')
  await pushBlob(proxyPort, 'team/forged', real)
  await t.resolves(pullBlob(agent.registryPort, 'team/forged', real.digest, real.bytes.length), 'the real bytes are welcome')
})

t.test('a body that is shorter or longer than it says is refused, and the upload is as it was', async t => {
  const { digest, bytes } = randomBlob(3000, 'lengths')
  const location = await startUpload(proxyPort, 'team/lengths')
  t.equal((await call(proxyPort, 'PATCH', location, { body: bytes.subarray(0, 1000) })).status, 202)

  for (const [what, range] of [['too short', '1000-2999'], ['too long', '1000-1499']] as const) {
    const refused = await call(proxyPort, 'PATCH', location, { headers: { 'Content-Range': range }, body: bytes.subarray(1000, 2000) })
    t.equal(refused.status, 400, what)
    t.same(errorCodes(refused), ['SIZE_INVALID'], what)
  }
  const client = await ByteClient.connect(proxyPort)
  await client.write(`PATCH ${location} HTTP/1.1\r\nHost: test\r\nContent-Length: 2000\r\n\r\n`)
  await client.write(bytes.subarray(1000, 1500))
  client.destroy()

  // The upload is ready again once its server has noticed that the client is gone.
  let status = 0
  while (status !== 202) {
    const answer = await call(proxyPort, 'PATCH', location, { headers: { 'Content-Range': '1000-2999' }, body: bytes.subarray(1000) })
    status = answer.status
    if (status !== 202 && status !== 416) throw new Error(`the upload cannot go on: ${status} ${answer.body.toString()}`)
  }
  t.equal((await call(proxyPort, 'PUT', `${location}&digest=${digest}`)).status, 201)
  await t.resolves(pullBlob(agent.registryPort, 'team/lengths', digest, bytes.length))
})

t.test('malformed digests, tags, ranges and names are refused', async t => {
  const location = await startUpload(proxyPort, 'team/bad')
  for (const [what, method, path, status, code] of [
    ['a short digest of a blob', 'GET', '/v2/team/bad/blobs/sha256:abc', 400, 'DIGEST_INVALID'],
    ['a digest that is not hex', 'GET', `/v2/team/bad/blobs/sha256:${'zz'.repeat(32)}`, 400, 'DIGEST_INVALID'],
    ['a short digest of a manifest', 'GET', '/v2/team/bad/manifests/sha256:abc', 400, 'DIGEST_INVALID'],
    ['a repository name that is too long', 'GET', `/v2/${'a'.repeat(256)}/manifests/v1`, 400, 'NAME_INVALID']
  ] as const) {
    for (const [name, port] of registries) {
      const answer = await call(port, method, path)
      t.equal(answer.status, status, `${what}, ${name}`)
      t.same(errorCodes(answer), [code], `${what}, ${name}`)
    }
  }
  for (const [what, path] of [
    ['a tag that begins with a dot', '/v2/team/bad/manifests/.v1'],
    ['a tag of 129 characters', `/v2/team/bad/manifests/${'v'.repeat(129)}`],
    ['an upper-case name', '/v2/Team/Bad/manifests/v1'],
    ['a broken escape', '/v2/team/bad/manifests/%zz']
  ] as const) {
    for (const [name, port] of registries) {
      const { status } = await call(port, 'GET', path)
      t.ok(status === 404 || status === 400, `${what}, ${name}: ${status}`)
    }
  }
  const badRange = await call(proxyPort, 'PATCH', location, { headers: { 'Content-Range': 'bytes first-last' }, body: 'x' })
  t.ok(badRange.status === 400 || badRange.status === 416, `a malformed Content-Range: ${badRange.status}`)
  t.equal((await call(proxyPort, 'PUT', location)).status, 400, 'no digest')
  t.equal((await call(proxyPort, 'PUT', `${location}&digest=md5:00`)).status, 400, 'a digest of another kind')
  t.equal((await call(agent.serverPort, 'GET', '/namespace/team/blobs/sha256:abc')).status, 400, 'a short digest at the agent server')
  t.equal((await call(agent.serverPort, 'DELETE', '/blobs/nothing')).status, 400, 'no digest at the agent server')
})

t.test('a manifest is taken only when all that it refers to is there', async t => {
  const image = await makeImage({ layerBytes: [10 * KIB, 20 * KIB], seed: 70 })
  const put = async (reference: string, type = image.top.mediaType): ReturnType<typeof call> =>
    await call(proxyPort, 'PUT', `/v2/team/partial/manifests/${reference}`, { headers: { 'Content-Type': type }, body: image.top.bytes })
  await pushBlob(proxyPort, 'team/partial', must(image.blobs[0]))
  const refused = await put('v1')
  t.equal(refused.status, 400)
  t.same(errorCodes(refused), ['MANIFEST_BLOB_UNKNOWN', 'MANIFEST_BLOB_UNKNOWN'])
  t.equal(await resolveTag(proxyPort, 'team/partial', 'v1'), undefined, 'the tag was not made')
  for (const blob of image.blobs) await pushBlob(proxyPort, 'team/partial', blob)
  t.equal((await put(ABSENT)).status, 400, 'under a digest that it has not')
  t.equal((await put('v1', 'text/plain')).status, 400, 'as something that is no manifest')
  t.equal((await put('v1')).status, 201)
  await t.resolves(pullImage(agent.registryPort, 'team/partial', 'v1', image))
})

t.test('agents take no writes, and say so at once', async t => {
  const { digest, bytes } = randomBlob(1024 * KIB, 'write')
  for (const [method, path] of [
    ['POST', '/v2/team/app/blobs/uploads/'],
    ['PUT', '/v2/team/app/manifests/v1'],
    ['DELETE', '/v2/team/app/manifests/v1'],
    ['DELETE', blobPath('team/app', digest)]
  ] as const) {
    const answer = await call(agent.registryPort, method, path, { body: method === 'DELETE' ? undefined : bytes })
    t.equal(answer.status, 405, `${method} ${path}`)
    t.same(errorCodes(answer), ['UNSUPPORTED'])
    t.notMatch(answer.body.toString(), /The operation is unsupported/, 'a text of its own, at which dockerd gives up')
  }
})

t.test('notifications of a registry are taken, whichever case their names are in', async t => {
  const image = await makeImage({ layerBytes: [10 * KIB], seed: 80 })
  await pushImage(proxyPort, 'team/told', 'v1', image)
  const target = { mediaType: image.top.mediaType, digest: image.top.digest, repository: 'team/told', tag: 'v1' }
  const lower = { events: [{ id: '1', timestamp: '2020-01-01T00:00:00Z', action: 'push', target }] }
  const capital = { Events: [{ Id: '1', TimeStamp: '2020-01-01T00:00:00Z', Action: 'push', Target: { MediaType: target.mediaType, Digest: target.digest, Repository: target.repository } }] }
  for (const envelope of [lower, capital]) {
    const answer = await call(plan.proxy.serverPort, 'POST', proxyApi.notifications.path, { body: JSON.stringify(envelope) })
    t.equal(outline(answer), '200, 0 bytes')
  }
  t.equal((await call(plan.proxy.serverPort, 'POST', proxyApi.notifications.path, { body: '' })).status, 500, 'nothing')
  t.equal((await call(plan.proxy.serverPort, 'POST', proxyApi.notifications.path, { body: '{"events":' })).status, 500, 'half of it')
})

t.test('the logs of all this, and of the end of the system, hold no error', async t => {
  await system.stop()
  t.same(troublesIn(system), [])
})
