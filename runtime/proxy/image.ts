import { type Digest, isDigest } from '../core/digest.js'
import { AppError } from '../core/errors.js'
import { isManifestType, parseManifest } from '../registry/manifest.js'

/** Manifests of one image: an index may have indexes below it. */
const MANIFESTS_MAX = 1_000

/** What an image is made of, with sizes in bytes; layers that may be absent by design are left out. */
export interface ImageParts {
  readonly manifests: ReadonlyMap<Digest, number>
  /** Configs, layers, and children of an index that are no manifests. The sizes are those that the manifests claim. */
  readonly blobs: ReadonlyMap<Digest, number>
}

/**
 * Reads an image from its manifest or index down. Every manifest is read once, so cycles end.
 * @throws AppError MANIFEST_INVALID, also for more manifests than any image has, and what `read` throws
 */
export async function partsOf (root: Digest, read: (manifest: Digest) => Promise<Uint8Array>): Promise<ImageParts> {
  const manifests = new Map<Digest, number>()
  const blobs = new Map<Digest, number>()
  const found = new Set([root])
  for (const digest of found) {
    const bytes = await read(digest)
    manifests.set(digest, bytes.length)
    for (const { digest, size, role, mediaType, isOptional } of parseManifest(bytes).references) {
      // Origins know nothing by another digest: what is named so comes with the first pull.
      if (!isDigest(digest)) continue
      if (role === 'child' && (mediaType === '' || isManifestType(mediaType))) found.add(digest)
      else if (!isOptional) blobs.set(digest, size)
    }
    if (found.size > MANIFESTS_MAX) throw new AppError('MANIFEST_INVALID', `more than ${MANIFESTS_MAX} manifests in one image`)
  }
  return { manifests, blobs }
}
