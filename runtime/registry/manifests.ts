import { manifestPath, type Reference as ManifestReference } from '../../net/api/registry.js'
import { type HttpRequest, type Reply } from '../../net/http/engine.js'
import { type Digest, digestOf } from '../core/digest.js'
import { AppError, isAppError } from '../core/errors.js'
import { forEachLimited } from '../core/limited.js'
import { etagOf, namesEtag } from './conditional.js'
import { isManifestType, type Manifest, MANIFEST_BYTES_MAX, OCI_INDEX, parseManifest } from './manifest.js'
import { ReferrerLists } from './referrers.js'
import { type RegistryReads, type RegistryWrites, type TransferOptions } from './transfer.js'

/** Existence checks of one manifest's references that run at the same time. */
const CHECKS_MAX = 16

/** GET and HEAD: the bytes exactly as they were pushed, whatever the client accepts (http-api specification 8.3). */
export async function serveManifest (reads: RegistryReads, request: HttpRequest, repository: string, reference: ManifestReference): Promise<Reply> {
  const digest = await resolve(reads, request, repository, reference)
  if (namesEtag(request.header('if-none-match'), digest)) return { status: 304, headers: contentHeaders(digest) }
  const bytes = await reads.readBlob(repository, digest, MANIFEST_BYTES_MAX, { signal: request.signal })
  const mediaType = bytes === undefined ? undefined : storedType(bytes)
  if (bytes === undefined || mediaType === undefined) throw unknown(repository, reference)
  return { status: 200, headers: { 'Content-Type': mediaType, ...contentHeaders(digest) }, body: bytes }
}

/** PUT (8.4). */
export class ManifestWriter {
  readonly #referrers: ReferrerLists

  constructor (readonly reads: RegistryReads, readonly writes: RegistryWrites) { this.#referrers = new ReferrerLists(reads, writes) }

  /**
   * Checks the manifest and everything it refers to, then stores it, then tags it. When 201 is answered, all of the image
   * is in the cluster.
   */
  async store (request: HttpRequest, repository: string, reference: ManifestReference): Promise<Reply> {
    const bytes = await request.body.bytes(MANIFEST_BYTES_MAX)
    const digest = digestOf(bytes)
    if (reference.kind === 'digest' && reference.digest !== digest) {
      throw new AppError('DIGEST_INVALID', `the manifest has the digest ${digest}, not ${reference.digest}`, { detail: {} })
    }
    const manifest = parsePushed(bytes, request.header('content-type'))
    const options = { signal: request.signal }
    await checkReferences(this.reads, repository, manifest, options)
    await this.writes.putBlob(repository, digest, bytes, options)
    await this.#referrers.add(repository, digest, bytes.length, manifest, options)
    if (reference.kind === 'tag') await this.writes.putTag(repository, reference.tag, digest, options)
    const headers = { Location: manifestPath(repository, digest), 'Docker-Content-Digest': digest }
    return { status: 201, headers: manifest.subject === undefined ? headers : { ...headers, 'OCI-Subject': manifest.subject.digest } }
  }
}

async function resolve (reads: RegistryReads, request: HttpRequest, repository: string, reference: ManifestReference): Promise<Digest> {
  if (reference.kind === 'digest') return reference.digest
  const digest = await reads.getTag(repository, reference.tag, { signal: request.signal })
  if (digest === undefined) throw unknown(repository, reference)
  return digest
}

/**
 * The media type under which a stored manifest is served. Types are not stored, so it is what the document itself says or
 * looks like; `parsePushed` takes nothing in for which that would be another type than it was pushed as.
 */
function storedType (bytes: Uint8Array): string | undefined {
  return tryParse(bytes, '')?.mediaType ?? tryParse(bytes, OCI_INDEX)?.mediaType
}

function tryParse (bytes: Uint8Array, contentType: string): Manifest | undefined {
  try {
    return parseManifest(bytes, contentType)
  } catch (error) {
    if (isAppError(error, 'MANIFEST_INVALID')) return undefined
    throw error
  }
}

/** @throws AppError MANIFEST_INVALID */
function parsePushed (bytes: Uint8Array, header: string | undefined): Manifest {
  const contentType = header?.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (!isManifestType(contentType)) {
    throw new AppError('MANIFEST_INVALID', `manifest: Content-Type "${contentType.slice(0, 128)}" is not the media type of a manifest or an index`)
  }
  const manifest = parseManifest(bytes, contentType)
  if (storedType(bytes) !== contentType) {
    throw new AppError('MANIFEST_INVALID', `manifest: it must have "mediaType": "${contentType}", since by its content it is taken for something else`)
  }
  return manifest
}

/**
 * Layers that may be absent by design are not asked for, and neither is the subject, which may be pushed later.
 * @throws AppError MANIFEST_BLOB_UNKNOWN with the digests of all that is missing as its detail
 */
async function checkReferences (reads: RegistryReads, repository: string, manifest: Manifest, options: TransferOptions): Promise<void> {
  const needed = new Set(manifest.references.filter(reference => !reference.isOptional).map(reference => reference.digest))
  const missing = new Set<Digest>()
  await forEachLimited(needed, CHECKS_MAX, async digest => {
    if (await reads.statBlob(repository, digest, options) === undefined) missing.add(digest)
  })
  if (missing.size === 0) return
  throw new AppError('MANIFEST_BLOB_UNKNOWN', 'blob unknown to registry', { detail: [...needed].filter(digest => missing.has(digest)) })
}

function contentHeaders (digest: Digest): Record<string, string> {
  return { 'Docker-Content-Digest': digest, ETag: etagOf(digest) }
}

function unknown (repository: string, reference: ManifestReference): AppError {
  const detail = reference.kind === 'tag' ? { Tag: reference.tag } : { Name: repository, Revision: reference.digest }
  return new AppError('MANIFEST_UNKNOWN', 'manifest unknown', { detail })
}
