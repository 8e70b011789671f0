import t from 'tap'
import { type BlobStream } from '../../../net/client/clients.js'
import { Dependencies } from '../../../runtime/build-index/dependencies.js'
import { type Digest, digestOf } from '../../../runtime/core/digest.js'
import { AppError } from '../../../runtime/core/errors.js'
import { DOCKER_MANIFEST, MANIFEST_BYTES_MAX, OCI_INDEX, OCI_MANIFEST } from '../../../runtime/registry/manifest.js'
import { streamOf } from '../../support/origin-doubles.js'

const TAG = 'team/app:v1'
const signal = new AbortController().signal

/** Origins in memory that count what they are asked, and the resolver over them. */
class Origins {
  readonly blobs = new Map<Digest, Buffer>()
  readonly stats: Digest[] = []
  readonly namespaces = new Set<string>()
  readonly waitsMs: number[] = []
  downloads = 0
  failures: AppError[] = []
  beforeRetry: () => void = () => {}
  readonly dependencies = new Dependencies({
    origins: {
      download: async (namespace, digest) => this.#download(namespace, digest),
      stat: async (namespace, digest) => {
        this.namespaces.add(namespace)
        this.stats.push(digest)
        const blob = this.blobs.get(digest)
        return blob === undefined ? undefined : { sizeBytes: blob.length }
      }
    },
    tagTypes: [{ pattern: /^plain\//, type: 'default' }, { pattern: /^team\//, type: 'docker' }],
    sleep: async ms => {
      this.waitsMs.push(ms)
      this.beforeRetry()
    }
  })

  put (content: string | Buffer): Digest {
    const bytes = Buffer.from(content)
    this.blobs.set(digestOf(bytes), bytes)
    return digestOf(bytes)
  }

  manifest (value: object): Digest { return this.put(JSON.stringify({ schemaVersion: 2, ...value })) }

  image (...layers: string[]): Digest {
    return this.manifest({ mediaType: OCI_MANIFEST, config: ref(this.put('{}')), layers: layers.map(layer => ref(this.put(layer))) })
  }

  index (...children: Digest[]): Digest { return this.manifest({ mediaType: OCI_INDEX, manifests: children.map(child => ref(child, OCI_MANIFEST)) }) }

  async digests (tag: string, digest: Digest): Promise<Digest[]> {
    return (await this.dependencies.resolve(tag, digest, { signal })).map(dependency => dependency.digest)
  }

  async #download (namespace: string, digest: Digest): Promise<BlobStream> {
    this.downloads++
    this.namespaces.add(namespace)
    const failure = this.failures.shift()
    if (failure !== undefined) throw failure
    const blob = this.blobs.get(digest)
    if (blob === undefined) throw new AppError('BLOB_UNKNOWN', `origin has no ${digest}`)
    return streamOf(blob)
  }
}

function ref (digest: Digest, mediaType = 'application/octet-stream'): object { return { digest, size: 1, mediaType } }

t.test('a plain tag needs its digest and nothing is downloaded', async t => {
  const origins = new Origins()
  t.same(await origins.digests('plain/thing', digestOf('x')), [digestOf('x')])
  t.equal(origins.downloads, 0)
})

t.test('a tag of no type is refused', async t => {
  await t.rejects(new Origins().digests('other/app:v1', digestOf('x')), { message: /^resolve dependencies: no tag type matches tag other\/app:v1/ })
})

t.test('an image needs its config, its layers and itself', async t => {
  const origins = new Origins()
  const image = origins.image('one', 'two', 'one')
  t.same(await origins.digests(TAG, image), [digestOf('{}'), digestOf('one'), digestOf('two'), image])
  t.same([...origins.namespaces], [TAG], 'the namespace is the tag')
})

t.test('an index needs the whole graph, each blob once', async t => {
  const origins = new Origins()
  const [a, b] = [origins.image('shared', 'a'), origins.image('shared', 'b')]
  const inner = origins.manifest({ mediaType: OCI_INDEX, manifests: [ref(b, OCI_MANIFEST), ref(a, '')] })
  const root = origins.manifest({ manifests: [ref(a, OCI_MANIFEST), ref(inner, OCI_INDEX), ref(origins.put('attachment'), 'text/plain')] })
  const found = await origins.digests(TAG, root)
  t.equal(found.at(-1), root)
  t.same([...found].sort(), [a, b, inner, root, ...['shared', 'a', 'b', '{}', 'attachment'].map(digestOf)].sort())
  t.equal(origins.downloads, 4, 'each manifest is read once')
})

t.test('layers from elsewhere may be absent, unless they are also needed', async t => {
  const origins = new Origins()
  const foreign = { ...ref(digestOf('foreign'), 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'), urls: ['https://example.com/x'] }
  const config = ref(origins.put('{}'))
  const image = origins.manifest({ mediaType: DOCKER_MANIFEST, config, layers: [foreign] })
  const found = await origins.dependencies.resolve(TAG, image, { signal })
  t.match(found, [{ isOptional: false }, { digest: digestOf('foreign'), isOptional: true }, { isOptional: false }])
  await origins.dependencies.check(TAG, found, { signal })
  t.notOk(origins.stats.includes(digestOf('foreign')))
  const strict = origins.manifest({ mediaType: DOCKER_MANIFEST, config, layers: [foreign, ref(digestOf('foreign'))] })
  await t.rejects(origins.dependencies.check(TAG, await origins.dependencies.resolve(TAG, strict, { signal }), { signal }), { code: 'MANIFEST_BLOB_UNKNOWN' })
})

t.test('every dependency must be in the origins', async t => {
  const origins = new Origins()
  const image = origins.image('one')
  origins.blobs.delete(digestOf('one'))
  const found = await origins.dependencies.resolve(TAG, image, { signal })
  await t.rejects(origins.dependencies.check(TAG, found, { signal }), { message: `cannot upload tag, missing dependency ${digestOf('one')}` })
})

t.test('a manifest that is not there yet is asked for again', async t => {
  const origins = new Origins()
  const image = origins.image('one')
  origins.failures = [new AppError('BLOB_UNKNOWN', 'not yet'), new AppError('NETWORK', 'connection refused'), new AppError('UNAVAILABLE', '503')]
  t.equal((await origins.digests(TAG, image)).length, 3)
  t.same(origins.waitsMs, [500, 1000, 2000])
})

t.test('failures have the words of the reference', async t => {
  const origins = new Origins()
  const prefix = 'resolve dependencies: download manifest: '
  await t.rejects(origins.digests(TAG, digestOf('absent')), { code: 'BLOB_UNKNOWN', message: `${prefix}blob not found` })
  t.same(origins.waitsMs, [500, 1000, 2000])
  await t.rejects(origins.digests(TAG, origins.put('\u0000\u0001')), {
    code: 'MANIFEST_INVALID', message: `${prefix}parse manifest: peek manifest: invalid character '\\x00' looking for beginning of value`
  })
  origins.waitsMs.length = 0
  origins.failures = [new AppError('INTERNAL', 'broken')]
  await t.rejects(origins.digests(TAG, origins.image('one')), { code: 'INTERNAL', message: `${prefix}broken` })
  t.same(origins.waitsMs, [], 'which are not repeated')
})

t.test('wrong or endless bytes are not believed', async t => {
  const origins = new Origins()
  const image = origins.image('one')
  origins.blobs.set(image, Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [] })))
  await t.rejects(origins.digests(TAG, image), { code: 'CORRUPT' })
  const huge = origins.put(Buffer.alloc(MANIFEST_BYTES_MAX + 1))
  await t.rejects(origins.digests(TAG, huge), { code: 'MANIFEST_INVALID' })
})

t.test('indexes may nest eight deep and not nine', async t => {
  const origins = new Origins()
  let digest = origins.image('one')
  for (let depth = 0; depth < 8; depth++) digest = origins.manifest({ mediaType: OCI_INDEX, manifests: [ref(digest, '')] })
  t.equal((await origins.digests(TAG, digest)).length, 11)
  digest = origins.manifest({ mediaType: OCI_INDEX, manifests: [ref(digest, '')] })
  await t.rejects(origins.digests(TAG, digest), { code: 'MANIFEST_INVALID', message: /levels/ })
})

t.test('the number of blobs has a limit', async t => {
  const origins = new Origins()
  const children = Array.from({ length: 12 }, (_, i) => {
    const layers = Array.from({ length: 2000 }, (_, layer) => ref(digestOf(`${i} ${layer}`)))
    return origins.manifest({ mediaType: OCI_MANIFEST, config: ref(digestOf('{}')), layers })
  })
  await t.rejects(origins.digests(TAG, origins.index(...children)), { code: 'MANIFEST_INVALID', message: /blobs/ })
})
