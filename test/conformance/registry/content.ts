import { createHash, randomBytes } from 'node:crypto'

/* Blobs and manifests of the suite's own making. All of it is random, so that no run meets what another one left. */

export const OCI_IMAGE = 'application/vnd.oci.image.manifest.v1+json'
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
export const DOCKER_IMAGE = 'application/vnd.docker.distribution.manifest.v2+json'
export const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json'
export const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'
export const EMPTY_JSON = 'application/vnd.oci.empty.v1+json'
/** The types of the image specification alone: what a client of today may ask for and nothing else. */
export const ACCEPT_OCI = { Accept: `${OCI_INDEX}, ${OCI_IMAGE}` }
export const ACCEPT_ALL = { Accept: [OCI_INDEX, OCI_IMAGE, DOCKER_LIST, DOCKER_IMAGE].join(', ') }

export type Algorithm = 'sha256' | 'sha512'

export interface Blob {
  readonly bytes: Buffer
  readonly digest: string
}

export interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly [extra: string]: unknown
}

export interface Manifest extends Blob {
  readonly mediaType: string
  readonly document: Readonly<Record<string, unknown>>
  /** What must be pushed before it. */
  readonly blobs: readonly Blob[]
  readonly children: readonly Manifest[]
}

export interface ManifestOptions {
  readonly algorithm?: Algorithm
  readonly layers?: number
  /** Merged into the document; `undefined` takes a member out. */
  readonly extra?: Readonly<Record<string, unknown>>
}

export function digestOf (bytes: Uint8Array | string, algorithm: Algorithm = 'sha256'): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`
}

/** A digest of content that nobody has. */
export function unknownDigest (algorithm: Algorithm = 'sha256'): string { return digestOf(randomBytes(32), algorithm) }

export function blobOf (bytes: Uint8Array | string, algorithm: Algorithm = 'sha256'): Blob {
  return { bytes: Buffer.from(bytes), digest: digestOf(bytes, algorithm) }
}

export function randomBlob (sizeBytes = 1000, algorithm: Algorithm = 'sha256'): Blob { return blobOf(randomBytes(sizeBytes), algorithm) }

export function descriptorOf ({ digest, bytes }: Blob, mediaType: string, extra: object = {}): Descriptor {
  return { mediaType, digest, size: bytes.length, ...extra }
}

export function childOf (manifest: Manifest, extra: object = {}): Descriptor { return descriptorOf(manifest, manifest.mediaType, extra) }

/** An OCI image, or a Docker one if `extra` says so by its `mediaType`. A config in `extra` is the empty JSON object. */
export function image ({ algorithm = 'sha256', layers = 2, extra = {} }: ManifestOptions = {}): Manifest {
  const config = blobOf(JSON.stringify({ architecture: 'amd64', os: 'linux', salt: randomBytes(16).toString('hex') }), algorithm)
  const layerBlobs = Array.from({ length: layers }, () => randomBlob(600, algorithm))
  const document = {
    schemaVersion: 2,
    mediaType: OCI_IMAGE,
    config: descriptorOf(config, OCI_CONFIG),
    layers: layerBlobs.map(layer => descriptorOf(layer, OCI_LAYER)),
    ...extra
  }
  return manifestOf(document, algorithm, extra['config'] === undefined ? [config, ...layerBlobs] : [blobOf('{}')])
}

/** What is no image: an empty config, one layer, and the type of what it is. */
export function artifact (artifactType: string | undefined, extra: Readonly<Record<string, unknown>> = {}, configType = EMPTY_JSON): Manifest {
  const config = blobOf('{}')
  const layer = randomBlob(100)
  const document = {
    schemaVersion: 2, mediaType: OCI_IMAGE, artifactType, config: descriptorOf(config, configType), layers: [descriptorOf(layer, 'application/octet-stream')], ...extra
  }
  return manifestOf(document, 'sha256', [config, layer])
}

export function index (children: readonly Manifest[], { algorithm = 'sha256', extra = {} }: ManifestOptions = {}): Manifest {
  const manifests = children.map((child, i) => childOf(child, { platform: { os: 'linux', architecture: i === 0 ? 'amd64' : 'arm64' } }))
  return manifestOf({ schemaVersion: 2, mediaType: OCI_INDEX, manifests, ...extra }, algorithm, [], children)
}

export function manifestOf (
  document: Readonly<Record<string, unknown>>, algorithm: Algorithm = 'sha256', blobs: readonly Blob[] = [], children: readonly Manifest[] = []
): Manifest {
  const mediaType = typeof document['mediaType'] === 'string' ? document['mediaType'] : OCI_IMAGE
  return { ...blobOf(JSON.stringify(document), algorithm), mediaType, document, blobs, children }
}
