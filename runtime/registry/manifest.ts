import { type ContentDigest, isContentDigest } from '../core/digest.js'
import { AppError, isAppError, messageOf } from '../core/errors.js'
import { isRecord, type JsonRecord, parseJson } from '../core/json.js'

/** Larger manifests are refused everywhere; the same bound as the reference's registry and most others. */
export const MANIFEST_BYTES_MAX = 4 * 1024 * 1024
/** Config, layers or children of one manifest. Real images have up to 127 layers, real indexes some dozens of children. */
export const REFERENCES_MAX = 20_000

export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
export const DOCKER_MANIFEST_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
/** What is understood, in the order in which a client that takes anything is best served. */
export const MANIFEST_TYPES: readonly string[] = [OCI_INDEX, OCI_MANIFEST, DOCKER_MANIFEST_LIST, DOCKER_MANIFEST]

/** A blob that a manifest names. */
export interface Reference {
  readonly digest: ContentDigest
  /** Size in bytes that the manifest claims. */
  readonly size: number
  /** '' if the manifest does not say. */
  readonly mediaType: string
  /** May be absent by design: it is fetched from elsewhere, or must not be distributed. */
  readonly isOptional: boolean
  readonly role: 'config' | 'layer' | 'child'
}

/** What a manifest says, reduced to what storing, listing and distributing it needs. */
export interface Manifest {
  readonly kind: 'image' | 'index'
  readonly mediaType: string
  /** In the manifest's order: the config and the layers of an image, the children of an index. */
  readonly references: readonly Reference[]
  /** The manifest this one is about (signatures, attestations). */
  readonly subject?: Reference | undefined
  readonly artifactType?: string | undefined
  readonly annotations: Readonly<Record<string, string>>
}

/** True for the media types that `parseManifest` understands. */
export function isManifestType (mediaType: string): boolean { return MANIFEST_TYPES.includes(mediaType) }

/**
 * Parses a Docker schema 2 manifest, a Docker manifest list, an OCI manifest or an OCI index. Without a `mediaType` of
 * its own it is what `contentType` says, else an OCI index if it has children and an OCI manifest if not (http-api
 * specification 8.8). A document that different readers could take for different kinds is refused.
 * @param contentType - as in the HTTP header, parameters and all; '' and undefined say nothing
 * @throws AppError MANIFEST_INVALID; its message begins with `manifest: `
 */
export function parseManifest (bytes: Uint8Array, contentType = ''): Manifest {
  if (bytes.length > MANIFEST_BYTES_MAX) throw invalid(`it has ${bytes.length} bytes, at most ${MANIFEST_BYTES_MAX} are allowed`)
  const root = parseRoot(bytes)
  const mediaType = mediaTypeOf(root, contentType.split(';', 1)[0]?.trim().toLowerCase() ?? '')
  const kind = mediaType === OCI_INDEX || mediaType === DOCKER_MANIFEST_LIST ? 'index' : 'image'
  return {
    kind,
    mediaType,
    references: kind === 'index' ? childrenOf(root) : partsOf(root),
    subject: root.subject === undefined || root.subject === null ? undefined : referenceOf(root.subject, 'subject', 'child'),
    artifactType: optionalText(root.artifactType, 'artifactType'),
    annotations: annotationsOf(root.annotations)
  }
}

/**
 * What a stored manifest says, or undefined if the bytes are none. Media types are not stored beside them, so its type is what
 * the document itself says or looks like; an index without children and without a type of its own is one of the OCI's.
 */
export function readStored (bytes: Uint8Array): Manifest | undefined { return tryParse(bytes, '') ?? tryParse(bytes, OCI_INDEX) }

function tryParse (bytes: Uint8Array, contentType: string): Manifest | undefined {
  try {
    return parseManifest(bytes, contentType)
  } catch (error) {
    if (isAppError(error, 'MANIFEST_INVALID')) return undefined
    throw error
  }
}

// A byte order mark stays in and is refused, as other readers do.
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

function parseRoot (bytes: Uint8Array): JsonRecord {
  const root = parseOrRefuse(utf8.decode(bytes))
  if (!isRecord(root)) throw invalid('it is no JSON object')
  if (root.schemaVersion !== 2) throw invalid(`schemaVersion must be 2, not ${shown(root.schemaVersion)}`)
  return root
}

function parseOrRefuse (text: string): unknown {
  try {
    return parseJson(text, 'manifest')
  } catch (cause) {
    throw new AppError('MANIFEST_INVALID', messageOf(cause), { cause })
  }
}

/** Settles what the document is, and refuses what speaks for two kinds at once. */
function mediaTypeOf (root: JsonRecord, contentType: string): string {
  const own = optionalText(root.mediaType, 'mediaType') ?? ''
  if (own !== '' && contentType !== '' && own !== contentType) throw invalid(`its mediaType is ${shown(own)}, but it was sent as ${shown(contentType)}`)
  const hasChildren = Array.isArray(root.manifests) && root.manifests.length > 0
  const mediaType = own || contentType || (hasChildren ? OCI_INDEX : OCI_MANIFEST)
  if (!isManifestType(mediaType)) throw invalid(`media type ${shown(mediaType)} is not supported; use one of ${MANIFEST_TYPES.join(', ')}`)
  const isIndex = mediaType === OCI_INDEX || mediaType === DOCKER_MANIFEST_LIST
  const foreign = (isIndex ? ['layers', 'config', 'fsLayers'] : ['manifests', 'fsLayers']).find(key => root[key] !== undefined && root[key] !== null)
  if (foreign !== undefined) throw invalid(`a document of type ${mediaType} must not have "${foreign}"`)
  return mediaType
}

function partsOf (root: JsonRecord): Reference[] {
  const config = referenceOf(root.config, 'config', 'config')
  return [config, ...listOf(root.layers, 'layers').map((layer, i) => referenceOf(layer, `layers[${i}]`, 'layer'))]
}

function childrenOf (root: JsonRecord): Reference[] {
  return listOf(root.manifests, 'manifests').map((child, i) => referenceOf(child, `manifests[${i}]`, 'child'))
}

function listOf (value: unknown, where: string): unknown[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw invalid(`${where} must be a list`)
  if (value.length > REFERENCES_MAX) throw invalid(`${where} has ${value.length} entries, at most ${REFERENCES_MAX} are allowed`)
  return value
}

function referenceOf (value: unknown, where: string, role: Reference['role']): Reference {
  if (!isRecord(value)) throw invalid(`${where} must be an object with mediaType, digest and size`)
  const { digest, size } = value
  if (typeof digest !== 'string' || !isContentDigest(digest)) {
    throw invalid(`${where}.digest must be "sha256:" and 64 hex characters, or "sha512:" and 128, not ${shown(digest)}`)
  }
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw invalid(`${where}.size must be a number of bytes, not ${shown(size)}`)
  const mediaType = optionalText(value.mediaType, `${where}.mediaType`) ?? ''
  return { digest, size, mediaType, role, isOptional: role === 'layer' && (hasUrls(value) || isRestricted(mediaType)) }
}

function hasUrls (layer: JsonRecord): boolean { return Array.isArray(layer.urls) && layer.urls.length > 0 }

/** Layer types whose bytes stay with their licensor: Docker's foreign and OCI's non-distributable ones. */
function isRestricted (mediaType: string): boolean {
  return mediaType.startsWith('application/vnd.docker.image.rootfs.foreign.') || mediaType.startsWith('application/vnd.oci.image.layer.nondistributable.')
}

function annotationsOf (value: unknown): Record<string, string> {
  if (value === undefined || value === null) return {}
  if (!isTexts(value)) throw invalid('annotations must be an object of texts')
  return value
}

function isTexts (value: unknown): value is Record<string, string> {
  return isRecord(value) && Object.values(value).every(text => typeof text === 'string')
}

function optionalText (value: unknown, where: string): string | undefined {
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value !== 'string' || value.length > 255) throw invalid(`${where} must be a text of at most 255 characters`)
  return value
}

/** A value of the caller's, short enough for an error message. */
function shown (value: unknown): string {
  const text = typeof value === 'string' || typeof value === 'number' ? JSON.stringify(value) : typeof value
  return text.length > 100 ? `${text.slice(0, 100)}...` : text
}

function invalid (why: string): AppError { return new AppError('MANIFEST_INVALID', `manifest: ${why}`) }
