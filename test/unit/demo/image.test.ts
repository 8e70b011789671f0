import { createHash } from 'node:crypto'
import { type Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { field, parseJson } from '../../../runtime/core/json.js'
import { type ImageOptions, makeImage } from '../../support/image.js'

async function read (stream: Readable): Promise<Buffer> { return await buffer(stream) }

function sha256 (bytes: Uint8Array): string { return `sha256:${createHash('sha256').update(bytes).digest('hex')}` }

t.test('the same options make the same image, another seed another one', async t => {
  const options = { layerBytes: [300_000, 5] }
  const [one, two, other] = await Promise.all([makeImage(options), makeImage(options), makeImage({ ...options, seed: 2 })])
  t.equal(one.top.digest, two.top.digest)
  t.not(one.top.digest, other.top.digest)
  t.equal(one.top.digest, 'sha256:' + createHash('sha256').update(one.top.bytes).digest('hex'))
})

for (const format of ['oci', 'docker'] as const) {
  for (const compression of ['gzip', 'none'] as const) {
    t.test(`${format}, ${compression}`, async t => {
      const options: ImageOptions = { layerBytes: [0, 1, 511, 512, 700_000], format, compression }
      const image = await makeImage(options)
      t.equal(image.blobs.length, 6)
      for (const blob of image.blobs) {
        const bytes = await read(blob.open())
        t.equal(bytes.length, blob.sizeBytes)
        t.equal(sha256(bytes), blob.digest)
      }
      const manifest = parseJson(Buffer.from(image.top.bytes).toString(), 'manifest')
      t.match(manifest, { schemaVersion: 2, mediaType: image.top.mediaType, layers: [{}, {}, {}, {}, {}] })
      const [config] = image.blobs.slice(-1)
      if (config === undefined) throw new Error('no configuration')
      const rootfs = field(parseJson((await read(config.open())).toString(), 'config'), 'rootfs')
      const tars = await Promise.all(image.blobs.slice(0, -1).map(async blob => {
        const bytes = await read(blob.open())
        return compression === 'gzip' ? gunzipSync(bytes) : bytes
      }))
      t.same(field(rootfs, 'diff_ids'), tars.map(sha256))
      for (const [i, tar] of tars.entries()) {
        t.equal(tar.length % 512, 0)
        t.equal(tar.toString('latin1', 0, 8), `layer-${i}/`)
        t.equal(parseInt(tar.toString('latin1', 512 + 124, 512 + 135), 8), options.layerBytes[i])
        t.equal(checksum(tar.subarray(512, 1024)), parseInt(tar.toString('latin1', 512 + 148, 512 + 154), 8))
      }
    })
  }
}

t.test('several platforms make an index, which comes last', async t => {
  const image = await makeImage({ layerBytes: [1000], platforms: ['linux/amd64', 'linux/arm64/v8'] })
  t.equal(image.manifests.length, 3)
  t.equal(image.manifests.at(-1), image.top)
  t.equal(image.blobs.length, 4)
  t.match(parseJson(Buffer.from(image.top.bytes).toString(), 'index'), {
    manifests: [
      { digest: image.manifests[0]?.digest, platform: { os: 'linux', architecture: 'amd64' } },
      { digest: image.manifests[1]?.digest, platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } }
    ]
  })
})

function checksum (header: Uint8Array): number {
  return header.reduce((sum, byte, i) => sum + (i >= 148 && i < 156 ? 32 : byte), 0)
}
