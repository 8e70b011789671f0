import { chmod, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import t, { type Test } from 'tap'
import { type BackendClient, readObject } from '../../runtime/backend/backend.js'
import { RegistryBlobClient } from '../../runtime/backend/registry/blob-client.js'
import { parseChallenge } from '../../runtime/backend/registry/challenge.js'
import { Registry } from '../../runtime/backend/registry/registry.js'
import { RegistryTagClient } from '../../runtime/backend/registry/tag-client.js'
import { registry } from '../../runtime/config/sections/backends/registry.js'
import { contentOf, guarded } from '../support/backend-suite.js'
import { must } from '../support/must.js'
import { randomBlob } from '../support/random-blob.js'
import { temporaryFolder } from '../support/system.js'
import { UpstreamRegistry, type UpstreamOptions } from '../support/upstream-registry.js'

const MANIFEST = Buffer.from('{"schemaVersion":2}')
const BASIC = { basic: { username: 'reader', password: 'secret' } }

interface SetUp { readonly upstream: UpstreamRegistry, readonly blobs: BackendClient, readonly tags: BackendClient }

async function setUp (t: Test, options: UpstreamOptions = {}, security: object = {}): Promise<SetUp> {
  const upstream = await UpstreamRegistry.start(options)
  const config = registry.schema.parse({ address: upstream.address, security: { tls: { client: { disabled: true } }, ...security } })
  const blobs = guarded(new RegistryBlobClient(new Registry(config)))
  const tags = guarded(new RegistryTagClient(new Registry(config)))
  t.teardown(async () => {
    await Promise.all([blobs.close(), tags.close()])
    await upstream.stop()
  })
  return { upstream, blobs, tags }
}

async function read (client: BackendClient, namespace: string, name: string, offset = 0): Promise<string | undefined> {
  const stream = await client.download(namespace, name, { offset })
  return stream === undefined ? undefined : (await readObject(stream, 2 ** 26)).toString('latin1')
}

for (const auth of [undefined, 'basic', 'bearer'] as const) {
  t.test(`blobs, manifests and tags, ${auth ?? 'no'} authentication`, async t => {
    const { upstream, blobs, tags } = await setUp(t, auth === undefined ? {} : { auth }, BASIC)
    const { bytes } = randomBlob(300_000, 'layer')
    const layer = upstream.put(bytes).slice('sha256:'.length)
    const manifest = upstream.put(MANIFEST, 'library/app:1.0')
    t.same(await blobs.stat('library/app', layer), { sizeBytes: 300_000 })
    t.equal(await read(blobs, 'library/app', layer), bytes.toString('latin1'))
    t.equal(await read(blobs, 'library/app:1.0', layer, 1000), bytes.subarray(1000).toString('latin1'), 'the namespace of a tag, from an offset')
    t.equal(await read(blobs, 'library/app', manifest.slice('sha256:'.length)), MANIFEST.toString(), 'a manifest is a blob as well')
    t.same(await tags.stat('', 'library/app:1.0'), { sizeBytes: 71 })
    t.equal(await read(tags, '', 'library/app:1.0'), manifest)

    t.equal(await blobs.stat('library/app', 'ab'.repeat(32)), undefined)
    t.equal(await blobs.download('library/app', 'ab'.repeat(32)), undefined)
    t.equal(await tags.stat('', 'library/app:2.0'), undefined)
    await blobs.checkReadiness()
    await tags.checkReadiness()
  })
}

t.test('a token is asked for once for many requests, and again when it is no longer good', async t => {
  const { upstream, blobs } = await setUp(t, { auth: 'bearer' }, BASIC)
  const names = Array.from({ length: 20 }, (_, n) => upstream.put(Buffer.from(`blob ${n}`)).slice('sha256:'.length))
  await Promise.all(names.map(async name => { t.ok(await blobs.stat('library/app', name)) }))
  t.equal(upstream.count('GET /token'), 1)
  await blobs.stat('library/other', must(names[0]))
  t.equal(upstream.count('GET /token'), 2, 'one for each repository')
  upstream.forgetTokens()
  t.ok(await blobs.stat('library/app', must(names[0])))
  t.equal(upstream.count('GET /token'), 3)
})

t.test('credentials do not follow a redirect to another host, and wrong ones are a failure', async t => {
  const { upstream, blobs } = await setUp(t, { auth: 'basic' }, BASIC)
  const name = upstream.put(Buffer.from('elsewhere')).slice('sha256:'.length)
  const storage = await UpstreamRegistry.start()
  t.teardown(async () => { await storage.stop() })
  storage.put(Buffer.from('elsewhere'))
  upstream.redirectTo = `http://${storage.address}`
  t.equal(await read(blobs, 'library/app', name), 'elsewhere')
  t.equal(storage.count('GET /storage/'), 1)
  const stranger = await setUp(t, { auth: 'bearer' }, { basic: { username: 'reader', password: 'wrong' } })
  await t.rejects(stranger.blobs.stat('library/app', name), { code: 'UNAVAILABLE' })
  const nobody = await setUp(t, { auth: 'basic' })
  await t.rejects(nobody.tags.stat('', 'library/app:1'), { code: 'UNAVAILABLE', message: /security\.basic/ })
})

t.test('a helper that knows the credentials', async t => {
  const bin = temporaryFolder(t)
  const helper = join(bin, 'docker-credential-ours')
  await writeFile(helper, '#!/bin/sh\nread address\ntest "$1" = get && echo "{\\"Username\\":\\"reader\\",\\"Secret\\":\\"secret\\"}"\n')
  await chmod(helper, 0o755)
  const before = process.env['PATH'] ?? ''
  process.env['PATH'] = `${bin}${delimiter}${before}`
  t.teardown(() => { process.env['PATH'] = before })
  const { upstream, blobs } = await setUp(t, { auth: 'bearer' }, { credsStore: 'ours' })
  t.ok(await blobs.stat('library/app', upstream.put(Buffer.from('x')).slice('sha256:'.length)))
  const without = await setUp(t, { auth: 'bearer' }, { credsStore: 'nobody-has-this' })
  await t.rejects(without.blobs.stat('library/app', 'ab'.repeat(32)), { code: 'UNAVAILABLE', message: /docker-credential-nobody-has-this/ })
})

t.test('what a registry cannot be asked', async t => {
  const { upstream, blobs, tags } = await setUp(t)
  for (const namespace of ['', '..', 'a/../b', '/a', 'a//b', 'a b', 'a?x=', 'a#', 'x'.repeat(600)]) {
    await t.rejects(blobs.stat(namespace, 'ab'.repeat(32)), { code: 'NAME_INVALID' }, namespace)
    await t.rejects(tags.stat('', `${namespace}:1`), { code: 'NAME_INVALID' }, namespace)
  }
  for (const name of ['', 'no hex', `${'ab'.repeat(32)}/../x`]) await t.rejects(blobs.stat('a', name), { code: 'NAME_INVALID' })
  for (const name of ['a', 'a:', 'a:b:c', 'a:b/c', 'a:../x']) await t.rejects(tags.stat('', name), { code: 'NAME_INVALID' }, name)
  t.equal(upstream.requests.length, 0)
  await t.rejects(blobs.upload('a', 'ab'.repeat(32), contentOf(Buffer.from('x'))), { code: 'UNSUPPORTED' })
  await t.rejects(tags.list(''), { code: 'UNSUPPORTED' })
  for (const status of [429, 500, 503, 403]) {
    upstream.failing = status
    await t.rejects(blobs.stat('a', 'ab'.repeat(32)), { code: 'UNAVAILABLE' }, String(status))
    await t.rejects(tags.stat('', 'a:1'), { code: 'UNAVAILABLE' })
    await t.rejects(blobs.checkReadiness(), { code: 'UNAVAILABLE' })
  }
})

t.test('challenges', async t => {
  t.same(parseChallenge('Basic realm="x"'), { scheme: 'basic' })
  t.same(parseChallenge('bearer Realm="http://a/t",service=b,scope="repository:x/y:pull,push"'),
    { scheme: 'bearer', realm: 'http://a/t', service: 'b', scope: 'repository:x/y:pull,push' })
  t.same(parseChallenge('Bearer realm="https://a/t?x=1"'), { scheme: 'bearer', realm: 'https://a/t?x=1', service: undefined, scope: undefined })
  for (const header of [undefined, '', 'Digest realm="x"', 'Bearer', 'Bearer realm=', 'Bearer realm="file:///etc/passwd"', 'Bearer realm="a"', `Bearer realm="http://${'a'.repeat(5000)}"`]) {
    t.equal(parseChallenge(header), undefined, String(header).slice(0, 40))
  }
})
