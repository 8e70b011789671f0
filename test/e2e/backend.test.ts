import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Agent } from 'undici'
import { tasksApi } from '../../net/api/tasks.js'
import { originApi } from '../../net/api/origin.js'
import { pathOf } from '../../net/api/route.js'
import { startTestfs } from '../../runtime/backend/testfs/server.js'
import { retry } from '../../runtime/config/sections/retry.js'
import { type Digest, digestOf, hexOf, parseDigest } from '../../runtime/core/digest.js'
import { until } from '../support/manual-time.js'
import { backendsConfig } from '../support/backend-items.js'
import { must } from '../support/must.js'
import { ownersAt, push, startOrigins, type TestOrigin } from '../support/origin-cluster.js'
import { randomBlob } from '../support/random-blob.js'
import { temporaryFolder } from '../support/system.js'
import { UpstreamRegistry } from '../support/upstream-registry.js'

const namespace = 'library/app'
const blobPath = (digest: Digest): string => pathOf(originApi.download, { namespace, digest })
const metaInfoPath = (digest: Digest): string => pathOf(originApi.metaInfo, { namespace, digest })
const statPath = (digest: Digest): string => pathOf(originApi.stat, { namespace, digest })

/** Asks until it is no longer on its way. */
async function settled (origin: TestOrigin, path: string): Promise<{ status: number, body: Buffer }> {
  let answer = await origin.call('GET', path)
  await until(async () => {
    if (answer.status === 202) answer = await origin.call('GET', path)
    return answer.status !== 202
  })
  return answer
}

async function throughRegistry (t: Test, count: number): Promise<{ upstream: UpstreamRegistry, origins: TestOrigin[] }> {
  const upstream = await UpstreamRegistry.start({ auth: 'bearer' })
  t.teardown(async () => { await upstream.stop() })
  const security = { tls: { client: { disabled: true } }, basic: { username: 'reader', password: 'secret' } }
  const backends = backendsConfig([{ namespace: '^library/', backend: { registry_blob: { address: upstream.address, security } } }])
  return { upstream, origins: await startOrigins(t, count, { backends }) }
}

/** The origins, the first owner of the blob first. */
async function byRank (origins: readonly TestOrigin[], digest: Digest): Promise<TestOrigin[]> {
  let ranking: string[] = []
  await until(async () => {
    const seen = await Promise.all(origins.map(async origin => await ownersAt(origin, digest)))
    ranking = seen[0] ?? []
    return seen.every(owners => owners.length === origins.length && owners.join() === ranking.join())
  })
  return ranking.map(address => must(origins.find(origin => origin.address === address)))
}

t.test('thousands of cold requests are one fetch', async t => {
  const { upstream, origins } = await throughRegistry(t, 3)
  const { bytes } = randomBlob(3_000_000, 'cold')
  const digest = parseDigest(upstream.put(bytes))
  await byRank(origins, digest)
  let release = (): void => {}
  const isAllAsked = new Promise<void>(resolve => { release = resolve })
  upstream.beforeBody = async () => {
    await isAllAsked
    return undefined
  }
  const crowd = new Agent({ connections: 100 })
  t.teardown(async () => { await crowd.close() })
  const asked = Array.from({ length: 10_000 }, async (_, n) => {
    const path = n % 2 === 0 ? blobPath(digest) : metaInfoPath(digest)
    const { statusCode, body } = await crowd.request({ origin: `http://${must(origins[n % 3]).address}`, path, method: 'GET' })
    await body.dump()
    return statusCode
  })
  t.same([...new Set(await Promise.all(asked))], [202])
  release()
  for (const origin of origins) {
    const { status, body } = await settled(origin, blobPath(digest))
    t.equal(status, 200)
    t.ok(body.equals(bytes))
  }
  t.equal(upstream.count('GET /v2/library/app/blobs/') - upstream.requests.filter(request => request.startsWith('GET') && request.endsWith(' 401')).length, 1)
  const metaInfos = await Promise.all(origins.map(async origin => (await origin.call('GET', metaInfoPath(digest))).body.toString()))
  t.equal(new Set(metaInfos).size, 1)
})

t.test('the next owner takes over when the first dies in the middle of a fetch', async t => {
  const { upstream, origins } = await throughRegistry(t, 3)
  const { bytes } = randomBlob(1_000_000, 'takeover')
  const digest = parseDigest(upstream.put(bytes))
  const [first, second, third] = await byRank(origins, digest)
  let bodies = 0
  const forever = new Promise<never>(() => {})
  upstream.beforeBody = async () => ++bodies === 1 ? await forever : undefined
  t.equal((await must(third).call('GET', blobPath(digest))).status, 202)
  t.equal((await must(second).call('GET', blobPath(digest))).status, 202)
  await until(() => bodies === 1)
  await must(first).stop()
  for (const origin of [must(second), must(third)]) {
    const { status, body } = await settled(origin, blobPath(digest))
    t.equal(status, 200)
    t.ok(body.equals(bytes))
  }
  t.equal(bodies, 2, 'the one that never ended, and one more')
})

t.test('what a backend says', async t => {
  const { upstream, origins: [origin] } = await throughRegistry(t, 1)
  const { bytes } = randomBlob(500_000, 'said')
  const digest = parseDigest(upstream.put(bytes))
  const call = must(origin).call
  const absent = digestOf('absent')
  for (const path of [blobPath(absent), metaInfoPath(absent)]) t.equal((await call('GET', path)).status, 404)
  t.equal((await call('HEAD', statPath(absent))).status, 404)
  t.equal((await call('POST', pathOf(originApi.prefetch, { namespace, digest: absent }))).status, 404)
  const stat = await call('HEAD', statPath(digest))
  t.same([stat.status, stat.headers['content-length']], [200, '500000'])
  t.equal((await call('HEAD', `${statPath(digest)}?local=true`)).status, 404)
  t.equal((await call('GET', pathOf(originApi.download, { namespace: 'nobody/app', digest }))).status, 500, 'a namespace without backend')

  upstream.failing = 503
  t.equal((await call('GET', blobPath(digestOf('other')))).status, 503, 'failure is not absence')
  upstream.failing = undefined

  let cuts = 0
  upstream.beforeBody = async () => ++cuts <= 2 ? 100_000 : undefined
  t.equal((await call('POST', pathOf(originApi.prefetch, { namespace, digest }))).status, 202)
  const whole = await settled(must(origin), blobPath(digest))
  t.ok(whole.body.equals(bytes), 'a download that broke off twice is continued')
  t.equal(cuts, 3)
  t.equal((await push(must(origin), bytes.subarray(1), undefined, 'library%2Fapp')).status, 500, 'nothing is pushed to where it cannot be kept')
})

t.test('what is cut off, or other bytes, is never seen', async t => {
  const { upstream, origins: [origin] } = await throughRegistry(t, 1)
  const wrong = digestOf('the right bytes')
  upstream.blobs.set(wrong, Buffer.from('the wrong bytes'))
  t.equal((await must(origin).call('GET', blobPath(wrong))).status, 202)
  t.equal((await settled(must(origin), blobPath(wrong))).status, 400, 'the mismatch is told')
  const short = parseDigest(upstream.put(randomBlob(100_000, 'short').bytes))
  upstream.beforeBody = async () => 0
  t.equal((await must(origin).call('GET', blobPath(short))).status, 202)
  t.equal((await settled(must(origin), blobPath(short))).status, 503)
  for (const digest of [wrong, short]) t.equal((await must(origin).call('HEAD', `${statPath(digest)}?local=true`)).status, 404)
})

t.test('pushed blobs are written back, and kept until then', async t => {
  const root = join(temporaryFolder(t), 'files')
  await mkdir(root)
  const files = await startTestfs({ port: 0, root, host: '127.0.0.1' })
  t.teardown(async () => { await files.close() })
  const backends = backendsConfig([
    { namespace: '^kept/', cache_only: true },
    { namespace: '.*', backend: { testfs: { addr: `127.0.0.1:${files.port}`, root: 'blobs', name_path: 'sharded_docker_blob' } } }
  ])
  const writeBack = retry.schema.parse({ retry_interval: '20ms', retry_interval_max: '20ms' })
  const [origin] = await startOrigins(t, 1, { backends, writeBack })
  const { call, start, stop } = must(origin)
  const inBackend = async (digest: Digest): Promise<boolean> => (await readdir(root, { recursive: true })).some(path => path.includes(hexOf(digest)))
  const pending = async (): Promise<number> => JSON.parse((await call('GET', `${tasksApi.list.path}?kind=write-back`)).body.toString()).tasks.length

  const first = randomBlob(300_000, 'first')
  t.equal((await push(must(origin), first.bytes)).status, 200)
  await until(async () => await pending() === 0)
  t.ok(await inBackend(first.digest))
  t.equal((await call('DELETE', pathOf(originApi.deleteBlob, { digest: first.digest }))).status, 202)
  t.ok((await settled(must(origin), blobPath(first.digest))).body.equals(first.bytes), 'and comes back from there')

  const kept = randomBlob(10, 'kept')
  t.equal((await push(must(origin), kept.bytes, kept.digest, 'kept%2Fapp')).status, 200)
  t.equal(await pending(), 0)
  t.notOk(await inBackend(kept.digest), 'cache_only')

  await rename(root, `${root}.gone`)
  await writeFile(root, 'a file where the folder was')
  const second = randomBlob(200_000, 'second')
  t.equal((await push(must(origin), second.bytes)).status, 200, 'a push does not wait for the backend')
  t.equal((await call('DELETE', pathOf(originApi.deleteBlob, { digest: second.digest }))).status, 500, 'it is pinned')
  await stop()
  await rm(root)
  await rename(`${root}.gone`, root)
  await start()
  await until(async () => await pending() === 0, 1_000_000)
  t.ok(await inBackend(second.digest), 'the next process does it')
  t.equal((await call('DELETE', pathOf(originApi.deleteBlob, { digest: second.digest }))).status, 202)
})
