import t from 'tap'
import { type Reply } from '../../../net/http/engine.js'
import { type Digest, digestOf } from '../../../runtime/core/digest.js'
import { noLog } from '../../../runtime/observe/log.js'
import { OCI_INDEX, OCI_MANIFEST } from '../../../runtime/registry/manifest.js'
import { createRegistry } from '../../../runtime/registry/server.js'
import { must } from '../../support/must.js'
import { bytesOf, type FakeRequest, fakeRequest } from '../../support/registry/fake-request.js'
import { imageIndex, imageManifest } from '../../support/registry/manifest-texts.js'
import { MemoryCluster } from '../../support/registry/memory-cluster.js'

const SUBJECT = digestOf('subject')
const subject = { mediaType: OCI_MANIFEST, digest: SUBJECT, size: 7 }

function site () {
  const cluster = new MemoryCluster()
  const config = { digest: cluster.add('{}'), size: 2, mediaType: 'application/x.config' }
  const handle = createRegistry({ reads: cluster.reads, writes: cluster.writes }, { log: noLog })
  const call = async (method: string, target: string, options?: FakeRequest): Promise<Reply> => await handle(fakeRequest(method, target, options))
  const put = async (body: string, type = OCI_MANIFEST): Promise<void> => {
    const reply = await call('PUT', `/v2/app/manifests/${digestOf(body)}`, { body, headers: { 'Content-Type': type } })
    t.match(reply, { status: 201, headers: { 'OCI-Subject': SUBJECT } })
  }
  const list = async (query = '', digest: Digest = SUBJECT): Promise<unknown[]> => {
    const reply = await call('GET', `/v2/app/referrers/${digest}${query}`)
    t.match(reply, { status: 200, headers: { 'Content-Type': OCI_INDEX } })
    const index: { schemaVersion: number, mediaType: string, manifests: unknown[] } = JSON.parse((await bytesOf(reply)).toString())
    t.match(index, { schemaVersion: 2, mediaType: OCI_INDEX })
    return index.manifests
  }
  return { cluster, config, call, put, list }
}

t.test('nobody refers to anything yet', async t => {
  const { call, list } = site()
  t.same(await list(), [])
  t.equal((await call('GET', '/v2/app/referrers/sha256:short')).status, 400)
  t.equal((await call('POST', `/v2/app/referrers/${SUBJECT}`)).status, 405)
})

t.test('referrers are listed once, with what describes them', async t => {
  const { config, put, list } = site()
  const sbom = imageManifest({ config, extra: { subject, artifactType: 'application/x.sbom', annotations: { by: 'me' } } })
  const plain = imageManifest({ config, extra: { subject } })
  const index = imageIndex([], { extra: { subject } })
  await put(sbom)
  await put(sbom)
  await put(plain)
  await put(index, OCI_INDEX)
  const described = (text: string, more: object, mediaType = OCI_MANIFEST): object =>
    ({ mediaType, size: text.length, digest: digestOf(text), ...more })
  t.same(await list(), [
    described(sbom, { annotations: { by: 'me' }, artifactType: 'application/x.sbom' }),
    described(plain, { artifactType: 'application/x.config' }),
    described(index, {}, OCI_INDEX)
  ])
  t.same(await list('', digestOf('another')), [])
})

t.test('a filter is applied and said to be', async t => {
  const { config, call, put, list } = site()
  await put(imageManifest({ config, extra: { subject, artifactType: 'application/x.sbom' } }))
  await put(imageManifest({ config, extra: { subject, artifactType: 'application/x.signature' } }))
  t.equal((await list('?artifactType=application%2Fx.sbom')).length, 1)
  t.equal((await list('?artifactType=other')).length, 0)
  const reply = await call('GET', `/v2/app/referrers/${SUBJECT}?artifactType=other`)
  t.equal(reply.headers?.['OCI-Filters-Applied'], 'artifactType')
})

t.test('pushes at the same time are all listed', async t => {
  const { config, put, list } = site()
  const images = Array.from({ length: 20 }, (_, i) => imageManifest({ config, extra: { subject, annotations: { i: `${i}` } } }))
  await Promise.all(images.map(async image => await put(image)))
  t.equal((await list()).length, 20)
})

t.test('pushes through two proxies at the same time are all listed, and deletes take out no more than they should', async t => {
  const { cluster, config, list } = site()
  const proxies = [1, 2].map(() => createRegistry({ reads: cluster.reads, writes: cluster.writes }, { log: noLog, records: cluster.records }))
  const images = Array.from({ length: 20 }, (_, i) => imageManifest({ config, extra: { subject, annotations: { i: `${i}` } } }))
  const call = async (i: number, method: string, image: string): Promise<number> => {
    const options = method === 'PUT' ? { body: image, headers: { 'Content-Type': OCI_MANIFEST } } : {}
    return (await must(proxies[i % 2])(fakeRequest(method, `/v2/app/manifests/${digestOf(image)}`, options))).status
  }
  t.same(new Set(await Promise.all(images.map(async (image, i) => await call(i, 'PUT', image)))), new Set([201]))
  t.equal((await list()).length, 20)
  t.same(new Set(await Promise.all(images.slice(1).map(async (image, i) => await call(i, 'DELETE', image)))), new Set([202]))
  t.equal((await list()).length, 1)
  await call(0, 'DELETE', must(images[0]))
  t.same(await list(), [])
  t.notOk(cluster.tags.has(`app:${SUBJECT.replace(':', '-')}`), 'an empty list is none')
})

t.test('what clients keep under the fall-back tag is listed, and anything else there is not', async t => {
  const { cluster, list } = site()
  const tag = `app:${SUBJECT.replace(':', '-')}`
  cluster.tags.set(tag, cluster.add(imageIndex([{ digest: digestOf('x'), size: 1 }])))
  t.equal((await list()).length, 1)
  cluster.tags.set(tag, cluster.add('{"manifests":[1,null,"x"]}'))
  t.same(await list(), [])
})
