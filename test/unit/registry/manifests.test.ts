import t from 'tap'
import { type Reply } from '../../../net/http/engine.js'
import { digestOf } from '../../../runtime/core/digest.js'
import { AppError } from '../../../runtime/core/errors.js'
import { noLog } from '../../../runtime/observe/log.js'
import { DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, MANIFEST_BYTES_MAX, OCI_INDEX, OCI_MANIFEST } from '../../../runtime/registry/manifest.js'
import { createRegistry } from '../../../runtime/registry/server.js'
import { bytesOf, type FakeRequest, fakeRequest } from '../../support/registry/fake-request.js'
import { imageIndex, imageManifest } from '../../support/registry/manifest-texts.js'
import { MemoryCluster } from '../../support/registry/memory-cluster.js'

const ABSENT = digestOf('absent')

function site () {
  const cluster = new MemoryCluster()
  const config = { digest: cluster.add('{}'), size: 2 }
  const layer = { digest: cluster.add('layer'), size: 5 }
  const handle = createRegistry({ reads: cluster.reads, writes: cluster.writes }, { log: noLog })
  const call = async (method: string, reference: string, options: FakeRequest = {}): Promise<Reply> =>
    await handle(fakeRequest(method, `/v2/team/app/manifests/${reference}`, options))
  const put = async (reference: string, type: string, body: string): Promise<Reply> => await call('PUT', reference, { body, headers: { 'Content-Type': type } })
  return { cluster, config, layer, call, put, image: imageManifest({ config, layers: [layer] }) }
}

async function errorsOf (reply: Reply): Promise<Array<{ code: string, detail?: unknown }>> {
  const parsed: { errors: Array<{ code: string, detail?: unknown }> } = JSON.parse((await bytesOf(reply)).toString())
  return parsed.errors
}

t.test('every kind comes back byte by byte under its type', async t => {
  const { call, put, cluster, config, layer, image } = site()
  const child = { digest: cluster.add(image), size: image.length }
  const index = imageIndex([child])
  for (const [name, type, body] of [
    ['oci', OCI_MANIFEST, image],
    ['docker', DOCKER_MANIFEST, imageManifest({ mediaType: DOCKER_MANIFEST, config, layers: [layer] })],
    ['index', OCI_INDEX, index],
    ['list', DOCKER_MANIFEST_LIST, imageIndex([child], { mediaType: DOCKER_MANIFEST_LIST })],
    ['empty index', OCI_INDEX, imageIndex([])],
    ['empty index without a type', OCI_INDEX, '{"schemaVersion":2,"manifests":[]}'],
    ['nested index', OCI_INDEX, imageIndex([{ digest: cluster.add(index), size: index.length, mediaType: OCI_INDEX }])],
    ['no layers', OCI_MANIFEST, imageManifest({ config })],
    ['oci without a type', OCI_MANIFEST, JSON.stringify({ schemaVersion: 2, config, layers: [layer] })],
    ['artifact', OCI_MANIFEST, imageManifest({ config, extra: { artifactType: 'application/x.sbom', annotations: { a: 'b' }, unknown: [1, { x: null }] } })],
    ['white space', OCI_MANIFEST, `  ${image}\n\n`]
  ] as const) {
    const digest = digestOf(body)
    const tag = name.replaceAll(' ', '-')
    const stored = await put(tag, `${type}; charset=utf-8`, body)
    t.match(stored, { status: 201, headers: { Location: `/v2/team/app/manifests/${digest}`, 'Docker-Content-Digest': digest } }, name)
    for (const reference of [tag, digest]) {
      for (const accept of [undefined, 'application/json', type]) {
        const reply = await call('GET', reference, accept === undefined ? {} : { headers: { Accept: accept } })
        t.match(reply, { status: 200, headers: { 'Content-Type': type, 'Docker-Content-Digest': digest, ETag: `"${digest}"` } }, name)
        t.equal((await bytesOf(reply)).toString(), body)
      }
    }
    t.equal((await put(digest, type, body)).status, 201, 'by digest')
  }
})

t.test('the blob comes before the tag', async t => {
  const { cluster, put, image } = site()
  await put('v1', OCI_MANIFEST, image)
  t.same(cluster.journal, [`blob ${digestOf(image)}`, 'tag team/app:v1'])
})

t.test('by digest no tag is written', async t => {
  const { cluster, put, image } = site()
  await put(digestOf(image), OCI_MANIFEST, image)
  t.same([...cluster.tags.keys()], [])
})

t.test('a tag moves', async t => {
  const { call, put, config, image } = site()
  const next = imageManifest({ config })
  await put('v1', OCI_MANIFEST, image)
  await put('v1', OCI_MANIFEST, next)
  t.equal((await call('GET', 'v1')).headers?.['Docker-Content-Digest'], digestOf(next))
})

t.test('all that is missing is named', async t => {
  const { cluster, put, config, layer } = site()
  const other = digestOf('other')
  const body = imageManifest({ config, layers: [{ digest: ABSENT, size: 1 }, layer, { digest: other, size: 1 }, { digest: ABSENT, size: 1 }] })
  const reply = await put('v1', OCI_MANIFEST, body)
  t.equal(reply.status, 400)
  t.same((await errorsOf(reply)).map(({ code, detail }) => [code, detail]), [['MANIFEST_BLOB_UNKNOWN', ABSENT], ['MANIFEST_BLOB_UNKNOWN', other]])
  t.same(cluster.journal, [])
  t.equal((await put('v1', OCI_INDEX, imageIndex([{ digest: ABSENT, size: 1 }]))).status, 400)
  t.equal((await put('v1', OCI_MANIFEST, imageManifest({ config: { digest: ABSENT, size: 1 } }))).status, 400)
})

t.test('layers that stay elsewhere, and subjects, may be absent', async t => {
  const { put, config } = site()
  const urls = ['https://example.com/layer']
  for (const mediaType of ['application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip']) {
    t.equal((await put('v1', OCI_MANIFEST, imageManifest({ config, layers: [{ digest: ABSENT, size: 1, mediaType, urls }] }))).status, 201, mediaType)
  }
  const subject = { mediaType: OCI_MANIFEST, digest: ABSENT, size: 1 }
  const reply = await put('v1', OCI_MANIFEST, imageManifest({ config, extra: { subject } }))
  t.match(reply, { status: 201, headers: { 'OCI-Subject': ABSENT } })
  t.match(await put('v2', OCI_INDEX, imageIndex([], { extra: { subject } })), { status: 201, headers: { 'OCI-Subject': ABSENT } })
})

t.test('what is no manifest is refused', async t => {
  const { cluster, put, config, image } = site()
  for (const [type, body] of [
    [OCI_MANIFEST, 'junk'], [OCI_MANIFEST, ''], [OCI_MANIFEST, '{}'], [OCI_MANIFEST, '[]'], [OCI_MANIFEST, 'null'], [OCI_MANIFEST, '{"schemaVersion":1}'],
    [OCI_MANIFEST, '{"schemaVersion":2}'], ['', image], ['application/json', image], ['text/plain', image],
    ['application/vnd.docker.distribution.manifest.v1+json', image], [DOCKER_MANIFEST, image], [OCI_INDEX, image],
    [DOCKER_MANIFEST, JSON.stringify({ schemaVersion: 2, config, layers: [] })],
    [DOCKER_MANIFEST_LIST, '{"schemaVersion":2,"manifests":[]}'],
    [OCI_MANIFEST, imageManifest({ config, layers: [{ digest: 'sha256:short' as typeof ABSENT, size: 1 }] })],
    [OCI_MANIFEST, imageManifest({ config: { ...config, size: -1 } })]
  ] as const) {
    const reply = await put('v1', type, body)
    t.equal(reply.status, 400, `${type}: ${body.slice(0, 60)}`)
    t.equal((await errorsOf(reply))[0]?.code, 'MANIFEST_INVALID')
  }
  t.same(cluster.journal, [])
})

t.test('a digest in the path must be that of the body', async t => {
  const { cluster, put, image } = site()
  const reply = await put(ABSENT, OCI_MANIFEST, image)
  t.equal(reply.status, 400)
  t.equal((await errorsOf(reply))[0]?.code, 'DIGEST_INVALID')
  t.same(cluster.journal, [])
})

t.test('up to 4 MiB and no further', async t => {
  const { call, put, config } = site()
  const sized = (bytes: number): string => {
    const bare = imageManifest({ config, extra: { annotations: { pad: '' } } })
    return bare.replace('"pad":""', `"pad":"${'x'.repeat(bytes - bare.length)}"`)
  }
  t.equal((await put('v1', OCI_MANIFEST, sized(MANIFEST_BYTES_MAX))).status, 201)
  t.equal((await bytesOf(await call('GET', 'v1'))).length, MANIFEST_BYTES_MAX)
  t.equal((await put('v2', OCI_MANIFEST, sized(MANIFEST_BYTES_MAX + 1))).status, 413)
})

t.test('a blob that is no manifest is none', async t => {
  const { call, config, cluster } = site()
  t.equal((await call('GET', config.digest)).status, 404)
  cluster.tags.set('team/app:v1', config.digest)
  t.equal((await call('GET', 'v1')).status, 404)
  cluster.tags.set('team/app:v2', ABSENT)
  t.equal((await call('GET', 'v2')).status, 404)
})

t.test('If-None-Match', async t => {
  const { call, put, image } = site()
  await put('v1', OCI_MANIFEST, image)
  for (const reference of ['v1', digestOf(image)]) {
    for (const value of [digestOf(image), `"${digestOf(image)}"`]) {
      const reply = await call('GET', reference, { headers: { 'If-None-Match': value } })
      t.equal(reply.status, 304)
      t.equal(reply.body, undefined)
    }
    t.equal((await call('GET', reference, { headers: { 'If-None-Match': '"x"' } })).status, 200)
  }
})

t.test('references that cannot be checked are no missing ones', async t => {
  const { cluster, put, image } = site()
  cluster.outage = new AppError('UNAVAILABLE', 'no origin answers')
  t.equal((await put('v1', OCI_MANIFEST, image)).status, 503)
})
