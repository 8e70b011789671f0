import { isTag, manifestPath, type Reference as ManifestReference } from '../../net/api/registry.js'
import { type HttpRequest, type Reply } from '../../net/http/engine.js'
import { type ContentDigest, type Digest, digestOf, isDigest, sha512Of } from '../core/digest.js'
import { AppError } from '../core/errors.js'
import { forEachLimited } from '../core/limited.js'
import { etagOf, namesEtag } from './conditional.js'
import { isManifestType, type Manifest, MANIFEST_BYTES_MAX, parseManifest, readStored } from './manifest.js'
import { type RegistryParts } from './parts.js'
import { type Repositories } from './repositories.js'
import { type RegistryReads, type TransferOptions } from './transfer.js'

/** Existence checks of one manifest's references that run at the same time. */
const CHECKS_MAX = 16
/** Tags beside one digest, and how many of them are put at the same time. */
const TAGS_MAX = 100
const TAGS_AT_ONCE = 4

/** GET and HEAD: the bytes exactly as they were pushed, whatever the client accepts (http-api specification 8.3). */
export async function serveManifest (
  reads: RegistryReads, repositories: Repositories, request: HttpRequest, repository: string, reference: ManifestReference
): Promise<Reply> {
  const { digest, name } = await resolve(reads, repositories, request, repository, reference)
  if (namesEtag(request.header('if-none-match'), name)) return { status: 304, headers: contentHeaders(name) }
  const bytes = await reads.readBlob(repository, digest, MANIFEST_BYTES_MAX, { signal: request.signal })
  const mediaType = bytes === undefined ? undefined : readStored(bytes)?.mediaType
  if (bytes === undefined || mediaType === undefined) throw unknownManifest(repository, reference)
  return { status: 200, headers: { 'Content-Type': mediaType, ...contentHeaders(name) }, body: bytes }
}

/** PUT (8.4). */
export class ManifestWriter {
  constructor (readonly parts: RegistryParts) {}

  /**
   * Checks the manifest and everything it refers to, then stores it, then tags it. When 201 is answered, all of the image
   * is in the cluster.
   */
  async store (request: HttpRequest, repository: string, reference: ManifestReference): Promise<Reply> {
    const { reads, writes, repositories, referrers } = this.parts
    const tags = tagsOf(request, reference)
    const bytes = await request.body.bytes(MANIFEST_BYTES_MAX)
    const digest = digestOf(bytes)
    const name = nameOf(bytes, digest, reference)
    const manifest = parsePushed(bytes, request.header('content-type'))
    const options = { signal: request.signal }
    await checkReferences(reads, repositories, repository, manifest, options)
    await writes.putBlob(repository, digest, bytes, options)
    await repositories.enter(repository, digest, name, options)
    await referrers.add(repository, name, bytes.length, manifest, options)
    if (!isDigest(name) && tags.length > 0) await repositories.setShownName(digest, name, options)
    await forEachLimited(tags, TAGS_AT_ONCE, async tag => { await writes.putTag(repository, tag, digest, options) })
    return {
      status: 201,
      headers: {
        Location: manifestPath(repository, name),
        'Docker-Content-Digest': name,
        ...(manifest.subject === undefined ? {} : { 'OCI-Subject': manifest.subject.digest })
      },
      ...(reference.kind === 'tag' ? {} : { repeated: { name: 'OCI-Tag', values: tags } })
    }
  }
}

/** What the manifest is to be called. @throws AppError DIGEST_INVALID if the client calls it by another digest than it has */
function nameOf (bytes: Uint8Array, digest: Digest, reference: ManifestReference): ContentDigest {
  if (reference.kind === 'tag') return digest
  const name = isDigest(reference.digest) ? digest : sha512Of(bytes)
  if (name === reference.digest) return name
  throw new AppError('DIGEST_INVALID', `the manifest has the digest ${name}, not ${reference.digest}`, { detail: {} })
}

/** The tag of the path, or those of the query beside a digest. @throws AppError TAG_INVALID */
function tagsOf (request: HttpRequest, reference: ManifestReference): string[] {
  if (reference.kind === 'tag') return [reference.tag]
  const tags = [...new Set(new URLSearchParams(request.rawQuery).getAll('tag'))]
  const wrong = tags.find(tag => !isTag(tag))
  if (wrong !== undefined) throw new AppError('TAG_INVALID', `"${wrong.slice(0, 128)}" is no tag`)
  if (tags.length > TAGS_MAX) throw new AppError('TAG_INVALID', `${tags.length} tags at once, at most ${TAGS_MAX} are allowed`)
  return tags
}

async function resolve (
  reads: RegistryReads, repositories: Repositories, request: HttpRequest, repository: string, reference: ManifestReference
): Promise<{ digest: Digest, name: ContentDigest }> {
  const options = { signal: request.signal }
  if (reference.kind === 'digest') {
    const digest = await repositories.locate(repository, reference.digest, options)
    if (digest !== undefined) return { digest, name: reference.digest }
  } else {
    const digest = await reads.getTag(repository, reference.tag, options)
    if (digest !== undefined) return { digest, name: await repositories.shownName(digest, options) }
  }
  throw unknownManifest(repository, reference)
}

/** @throws AppError MANIFEST_INVALID */
function parsePushed (bytes: Uint8Array, header: string | undefined): Manifest {
  const contentType = header?.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (!isManifestType(contentType)) {
    throw new AppError('MANIFEST_INVALID', `manifest: Content-Type "${contentType.slice(0, 128)}" is not the media type of a manifest or an index`)
  }
  const manifest = parseManifest(bytes, contentType)
  if (readStored(bytes)?.mediaType !== contentType) {
    throw new AppError('MANIFEST_INVALID', `manifest: it must have "mediaType": "${contentType}", since by its content it is taken for something else`)
  }
  return manifest
}

/**
 * Layers that may be absent by design are not asked for, and neither is the subject, which may be pushed later.
 * @throws AppError MANIFEST_BLOB_UNKNOWN with the digests of all that is missing as its detail
 */
async function checkReferences (
  reads: RegistryReads, repositories: Repositories, repository: string, manifest: Manifest, options: TransferOptions
): Promise<void> {
  const needed = new Set(manifest.references.filter(reference => !reference.isOptional).map(reference => reference.digest))
  const missing = new Set<ContentDigest>()
  await forEachLimited(needed, CHECKS_MAX, async name => {
    const digest = await repositories.locate(repository, name, options)
    if (digest === undefined || await reads.statBlob(repository, digest, options) === undefined) missing.add(name)
  })
  if (missing.size === 0) return
  throw new AppError('MANIFEST_BLOB_UNKNOWN', 'blob unknown to registry', { detail: [...needed].filter(name => missing.has(name)) })
}

function contentHeaders (name: ContentDigest): Record<string, string> {
  return { 'Docker-Content-Digest': name, ETag: etagOf(name) }
}

export function unknownManifest (repository: string, reference: ManifestReference): AppError {
  const detail = reference.kind === 'tag' ? { Tag: reference.tag } : { Name: repository, Revision: reference.digest }
  return new AppError('MANIFEST_UNKNOWN', 'manifest unknown', { detail })
}
