import { DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST } from '../../../runtime/registry/manifest.js'
import { type Digest } from '../../../runtime/core/digest.js'

interface Part { readonly digest: Digest, readonly size: number, readonly mediaType?: string, readonly urls?: readonly string[] }

export interface ImageOptions {
  readonly mediaType?: string
  readonly config: Part
  readonly layers?: readonly Part[]
  readonly extra?: Readonly<Record<string, unknown>>
}

/** The text of an image manifest. */
export function imageManifest ({ mediaType = OCI_MANIFEST, config, layers = [], extra = {} }: ImageOptions): string {
  const kind = mediaType === DOCKER_MANIFEST ? 'application/vnd.docker.container.image.v1+json' : 'application/vnd.oci.image.config.v1+json'
  const layer = mediaType === DOCKER_MANIFEST ? 'application/vnd.docker.image.rootfs.diff.tar.gzip' : 'application/vnd.oci.image.layer.v1.tar+gzip'
  return JSON.stringify({
    schemaVersion: 2, mediaType, config: { mediaType: kind, ...config }, layers: layers.map(part => ({ mediaType: layer, ...part })), ...extra
  })
}

/** The text of an index or a manifest list. */
export function imageIndex (manifests: readonly Part[], { mediaType = OCI_INDEX, extra = {} }: { mediaType?: string, extra?: object } = {}): string {
  return JSON.stringify({ schemaVersion: 2, mediaType, manifests: manifests.map(part => ({ mediaType: OCI_MANIFEST, ...part })), ...extra })
}
