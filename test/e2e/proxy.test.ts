import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Agent, request } from 'undici'
import { type ProxyConfig } from '../../runtime/config/types.js'
import { digestOf } from '../../runtime/core/digest.js'
import { noLog } from '../../runtime/observe/log.js'
import { startProxy } from '../../runtime/proxy/component.js'
import { OCI_MANIFEST } from '../../runtime/registry/manifest.js'
import { pattern } from '../support/pattern.js'
import { startOrigins, type TestOrigin } from '../support/origin-cluster.js'
import { imageManifest } from '../support/registry/manifest-texts.js'
import { SmallBuildIndex } from '../support/registry/small-build-index.js'
import { must } from '../support/must.js'

const CONFIG = pattern(151)
const LAYER = pattern(3_000_000)
const IMAGE = imageManifest({ config: { digest: digestOf(CONFIG), size: CONFIG.length }, layers: [{ digest: digestOf(LAYER), size: LAYER.length }] })

interface Answer { readonly status: number, readonly headers: Readonly<Record<string, string>>, readonly body: Buffer }
type Call = (method: string, path: string, options?: { headers?: Record<string, string>, body?: Uint8Array | string }) => Promise<Answer>

interface Cluster {
  readonly call: Call
  readonly origins: TestOrigin[]
  readonly index: SmallBuildIndex
  /** What lies in the proxy's folders. */
  stagedFiles (): Promise<string[]>
}

/** A proxy in front of some origins and a build-index. */
async function cluster (t: Test, originCount: number): Promise<Cluster> {
  const origins = await startOrigins(t, originCount)
  const index = await SmallBuildIndex.start()
  t.teardown(async () => { await index.stop() })
  // The folder that the test itself has belongs to the origins.
  const root = await mkdtemp(join(tmpdir(), 'shoal-proxy-'))
  t.teardown(async () => { await rm(root, { recursive: true, force: true }) })
  const health = { failsMax: 3, passesMin: 2, timeoutMs: 3000, intervalMs: 10_000 }
  const upstream = (addresses: string[]) => ({ hosts: { static: addresses, dns: undefined, ttlMs: 5000 }, health })
  const config: ProxyConfig = {
    ports: [0, 0],
    serverPort: 0,
    castore: { uploadDir: join(root, 'uploads'), cacheDir: join(root, 'cache'), uploadTtlMs: 60_000 },
    origin: upstream(origins.map(origin => origin.address)),
    buildIndex: upstream([index.address]),
    prefetch: { blobBytesMin: 0, blobBytesMax: 50 * 2 ** 30 },
    registry: { canDelete: true, membership: 'shared', mirror: 'plain' },
    memory: { swarmSlots: 8, uploadSlots: 8 }
  }
  const proxy = await startProxy(config, noLog)
  const dispatcher = new Agent()
  t.teardown(async () => {
    await dispatcher.destroy()
    await proxy.stop()
  })
  t.same(Object.keys(proxy.ports), ['port', 'port-2'])
  const call: Call = async (method, path, { headers, body } = {}) => {
    const answer = await request(`http://127.0.0.1:${must(proxy.ports.port)}${path}`, { dispatcher, method, headers, body })
    const flat = Object.fromEntries(Object.entries(answer.headers).map(([name, value]) => [name, String(value)]))
    return { status: answer.statusCode, headers: flat, body: Buffer.from(await answer.body.arrayBuffer()) }
  }
  const stagedFiles = async (): Promise<string[]> => {
    const entries = await readdir(root, { recursive: true, withFileTypes: true })
    return entries.filter(entry => entry.isFile()).map(entry => entry.name)
  }
  return { call, origins, index, stagedFiles }
}

async function upload (call: Call, repository: string, bytes: Uint8Array): Promise<Answer> {
  const started = await call('POST', `/v2/${repository}/blobs/uploads/`)
  const patched = await call('PATCH', must(started.headers.location), { body: bytes })
  return await call('PUT', `${must(patched.headers.location)}&digest=${digestOf(bytes)}`)
}

t.setTimeout(120_000)

t.test('a proxy in front of two origins', async t => {
  const { call, origins, index, stagedFiles } = await cluster(t, 2)

  await t.test('push and pull through a proxy', async t => {
    for (const bytes of [CONFIG, LAYER]) t.match(await upload(call, 'team/app', bytes), { status: 201, headers: { 'content-length': '0' } })
    t.same(await stagedFiles(), [], 'nothing stays at the proxy')
    const put = await call('PUT', '/v2/team/app/manifests/v1', { headers: { 'Content-Type': OCI_MANIFEST }, body: IMAGE })
    t.match(put, { status: 201, headers: { location: `/v2/team/app/manifests/${digestOf(IMAGE)}` } })
    t.equal(index.tags.get('team/app:v1'), digestOf(IMAGE))

    const manifest = await call('GET', '/v2/team/app/manifests/v1')
    t.match(manifest, { status: 200, headers: { 'content-type': OCI_MANIFEST, 'docker-content-digest': digestOf(IMAGE) } })
    t.equal(manifest.body.toString(), IMAGE)
    const layer = await call('GET', `/v2/team/app/blobs/${digestOf(LAYER)}`)
    t.match(layer, { status: 200, headers: { 'content-length': '3000000', 'docker-distribution-api-version': 'registry/2.0' } })
    t.ok(layer.body.equals(LAYER))
    const part = await call('GET', `/v2/team/app/blobs/${digestOf(LAYER)}`, { headers: { Range: 'bytes=1000000-1999999' } })
    t.match(part, { status: 206, headers: { 'content-range': 'bytes 1000000-1999999/3000000' } })
    t.ok(part.body.equals(LAYER.subarray(1_000_000, 2_000_000)))
    t.match(await call('HEAD', `/v2/team/app/blobs/${digestOf(LAYER)}`), { status: 200, headers: { 'content-length': '3000000' } })
    t.equal((await call('HEAD', `/v2/team/app/blobs/${digestOf('absent')}`)).status, 404)
    t.equal((await call('GET', '/v2/team/app/tags/list')).body.toString(), '{"name":"team/app","tags":["v1"]}\n')
    t.equal((await call('GET', '/v2/_catalog')).body.toString(), '{"repositories":["team/app"]}\n')
    t.equal((await call('POST', `/v2/team/other/blobs/uploads/?mount=${digestOf(LAYER)}&from=team/app`)).status, 201)
    for (const path of ['/health', '/readiness']) t.match(await call('GET', path), { status: 200, body: Buffer.from('OK\n') })
    const held = await Promise.all(origins.map(async origin => (await origin.call('HEAD', `/internal/namespace/n/blobs/${digestOf(LAYER)}?local=true`)).status))
    t.ok(held.includes(200))
  })

  await t.test('the build-index is away', async t => {
    await upload(call, 'team/app', CONFIG)
    index.isDown = true
    t.equal((await call('GET', '/v2/team/app/manifests/later')).status, 503)
    const image = imageManifest({ config: { digest: digestOf(CONFIG), size: CONFIG.length } })
    t.equal((await call('PUT', '/v2/team/app/manifests/later', { headers: { 'Content-Type': OCI_MANIFEST }, body: image })).status, 503)
    index.isDown = false
    t.equal((await call('GET', '/v2/team/app/manifests/later')).status, 404, 'no tag without an answer')
  })

  await t.test('a hundred uploads at a time', async t => {
    const blobs = Array.from({ length: 100 }, (_, i) => Buffer.concat([pattern(20_000), Buffer.from(`${i % 50}`)]))
    const answers = await Promise.all(blobs.map(async bytes => await upload(call, 'team/app', bytes)))
    t.same(answers.map(answer => answer.status), blobs.map(() => 201))
    t.same(await stagedFiles(), [])
  })

  await t.test('an upload that is cancelled, and one with wrong bytes, leave nothing', async t => {
    const started = await call('POST', '/v2/team/app/blobs/uploads/')
    const location = must(started.headers.location)
    t.match(await call('PATCH', location, { body: CONFIG, headers: { 'Content-Range': '0-150' } }), { status: 202, headers: { range: '0-150' } })
    t.match(await call('PATCH', location, { body: CONFIG, headers: { 'Content-Range': '0-150' } }), { status: 416, headers: { range: '0-150', location } })
    t.match(await call('GET', location), { status: 204, headers: { range: '0-150' } })
    t.equal((await call('DELETE', location)).status, 204)
    t.equal((await call('GET', location)).status, 404)
    const wrong = await call('POST', `/v2/team/app/blobs/uploads/?digest=${digestOf('x')}`, { body: CONFIG })
    t.equal(wrong.status, 400)
    t.same(await stagedFiles(), [])
  })
})

t.test('a push that the origins could not take can simply be repeated', async t => {
  const { call, origins, stagedFiles } = await cluster(t, 1)
  await Promise.all(origins.map(async origin => { await origin.stop() }))
  t.equal((await upload(call, 'team/app', CONFIG)).status, 503)
  t.same(await stagedFiles(), [])
  t.equal((await call('GET', `/v2/team/app/blobs/${digestOf(CONFIG)}`)).status, 503)
  t.equal((await call('GET', '/readiness')).status, 503)
  await Promise.all(origins.map(async origin => { await origin.start() }))
  t.equal((await call('HEAD', `/v2/team/app/blobs/${digestOf(CONFIG)}`)).status, 404)
  t.equal((await upload(call, 'team/app', CONFIG)).status, 201)
  t.equal((await call('HEAD', `/v2/team/app/blobs/${digestOf(CONFIG)}`)).status, 200)
})
