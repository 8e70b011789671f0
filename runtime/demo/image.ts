import { createCipheriv, createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import { type Digest, digestFromSum, digestOf } from '../core/digest.js'
import { tarOf } from './tar.js'

/*
 * Images out of nothing: the same options make the same bytes, without a tool, a network or a disk. Layers are made again
 * each time they are read, so an image of any size takes no memory.
 */

export interface ImageOptions {
  /** Size of the file in each layer, before compression. */
  readonly layerBytes: readonly number[]
  /** Default `oci`; `docker` is schema 2. */
  readonly format?: 'oci' | 'docker'
  /** Default `gzip`. The content is random, so a compressed layer is a little larger than a plain one. */
  readonly compression?: 'gzip' | 'none'
  /** `os/architecture[/variant]`; more than one makes an index of one image each. Default `linux/amd64`. */
  readonly platforms?: readonly string[]
  /** Another seed, other content. Default 1. */
  readonly seed?: number
}

/** A layer or the configuration of an image. */
export interface ImageBlob {
  readonly digest: Digest
  readonly sizeBytes: number
  readonly mediaType: string
  /** The bytes, from the beginning. */
  open (): Readable
}

export interface ImageManifest {
  readonly digest: Digest
  readonly mediaType: string
  readonly bytes: Uint8Array
}

export interface Image {
  /** Each blob once, configurations last. */
  readonly blobs: readonly ImageBlob[]
  /** In the order in which they can be pushed: an index comes after its manifests. */
  readonly manifests: readonly ImageManifest[]
  /** What a tag points at: the index, or the only manifest. */
  readonly top: ImageManifest
}

interface Descriptor { readonly mediaType: string, readonly size: number, readonly digest: Digest }
interface MediaTypes { readonly index: string, readonly manifest: string, readonly config: string, readonly layer: string }

const MEDIA_TYPES: Readonly<Record<'oci' | 'docker', MediaTypes>> = {
  oci: {
    index: 'application/vnd.oci.image.index.v1+json',
    manifest: 'application/vnd.oci.image.manifest.v1+json',
    config: 'application/vnd.oci.image.config.v1+json',
    layer: 'application/vnd.oci.image.layer.v1.tar'
  },
  docker: {
    index: 'application/vnd.docker.distribution.manifest.list.v2+json',
    manifest: 'application/vnd.docker.distribution.manifest.v2+json',
    config: 'application/vnd.docker.container.image.v1+json',
    layer: 'application/vnd.docker.image.rootfs.diff.tar'
  }
}
const GZIP_SUFFIX = { oci: '+gzip', docker: '.gzip' } as const
const CREATED = '2020-01-01T00:00:00Z'
const BLOCK_BYTES = 256 * 1024

export async function makeImage (options: ImageOptions): Promise<Image> {
  const { format = 'oci', platforms = ['linux/amd64'] } = options
  const types = MEDIA_TYPES[format]
  const blobs = new Map<Digest, ImageBlob>()
  const children: Array<{ manifest: ImageManifest, platform: object }> = []
  for (const name of platforms) {
    const [os = 'linux', architecture = 'amd64', variant] = name.split('/')
    const platform = { architecture, os, ...(variant === undefined ? {} : { variant }) }
    const layers: Layer[] = []
    for (const [i, sizeBytes] of options.layerBytes.entries()) layers.push(await makeLayer(options, types, `${options.seed ?? 1}/${name}/${i}`, i, sizeBytes))
    const config = makeConfig(types, platform, layers)
    for (const { blob } of layers) blobs.set(blob.digest, blob)
    blobs.set(config.digest, config)
    const content = { schemaVersion: 2, mediaType: types.manifest, config: describe(config), layers: layers.map(({ blob }) => describe(blob)) }
    children.push({ manifest: makeManifest(types.manifest, content), platform })
  }
  const manifests = children.map(({ manifest }) => manifest)
  if (children.length !== 1) {
    const entries = children.map(({ manifest: { mediaType, digest, bytes }, platform }) => ({ mediaType, size: bytes.length, digest, platform }))
    manifests.push(makeManifest(types.index, { schemaVersion: 2, mediaType: types.index, manifests: entries }))
  }
  const top = manifests.at(-1)
  if (top === undefined) throw new RangeError('an image has at least one platform')
  return { blobs: [...blobs.values()], manifests, top }
}

interface Layer { readonly blob: ImageBlob, readonly diffId: Digest }

/** @param key - decides the content */
async function makeLayer (options: ImageOptions, types: MediaTypes, key: string, i: number, sizeBytes: number): Promise<Layer> {
  const { format = 'oci', compression = 'gzip' } = options
  const plain = (): Readable => Readable.from(tarOf(`layer-${i}`, 'content.bin', sizeBytes, randomBlocks(key, sizeBytes)), { objectMode: false })
  // Level 0 stores: random bytes cannot be made smaller, and it costs next to nothing.
  const packed = (): Readable => {
    const gzip = createGzip({ level: 0, chunkSize: BLOCK_BYTES })
    return plain().on('error', error => { gzip.destroy(error) }).pipe(gzip)
  }
  const open = compression === 'gzip' ? packed : plain
  const diff = await sumOf(plain())
  const { digest, sizeBytes: packedBytes } = compression === 'gzip' ? await sumOf(packed()) : diff
  const mediaType = types.layer + (compression === 'gzip' ? GZIP_SUFFIX[format] : '')
  return { diffId: diff.digest, blob: { digest, sizeBytes: packedBytes, mediaType, open } }
}

function makeConfig ({ config }: MediaTypes, platform: object, layers: readonly Layer[]): ImageBlob {
  const bytes = Buffer.from(JSON.stringify({
    created: CREATED,
    ...platform,
    config: { Cmd: ['/bin/true'] },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map((_, i) => ({ created: CREATED, created_by: `shoal layer ${i}` }))
  }))
  return { digest: digestOf(bytes), sizeBytes: bytes.length, mediaType: config, open: () => Readable.from([bytes], { objectMode: false }) }
}

function makeManifest (mediaType: string, content: object): ImageManifest {
  const bytes = Buffer.from(JSON.stringify(content))
  return { digest: digestOf(bytes), mediaType, bytes }
}

function describe ({ mediaType, sizeBytes, digest }: ImageBlob): Descriptor { return { mediaType, size: sizeBytes, digest } }

/** `sizeBytes` bytes that look random and follow from the key alone: the stream of a cipher. */
function * randomBlocks (key: string, sizeBytes: number): Generator<Uint8Array> {
  const cipher = createCipheriv('aes-128-ctr', createHash('md5').update(key).digest(), Buffer.alloc(16))
  const zeros = Buffer.alloc(BLOCK_BYTES)
  for (let left = sizeBytes; left > 0; left -= BLOCK_BYTES) yield cipher.update(left < BLOCK_BYTES ? zeros.subarray(0, left) : zeros)
}

async function sumOf (bytes: Readable): Promise<{ digest: Digest, sizeBytes: number }> {
  const hash = createHash('sha256')
  let sizeBytes = 0
  for await (const chunk of bytes) {
    const view: Uint8Array = chunk
    hash.update(view)
    sizeBytes += view.length
  }
  return { digest: digestFromSum(hash.digest()), sizeBytes }
}
