import { type HttpRequest, type Reply } from '../../net/http/engine.js'
import { type ContentDigest, digestOf } from '../core/digest.js'
import { AppError } from '../core/errors.js'
import { isRecord, type JsonRecord, parseJson } from '../core/json.js'
import { KeyedLock } from '../store/keyed-lock.js'
import { type Manifest, MANIFEST_BYTES_MAX, OCI_INDEX } from './manifest.js'
import { type RegistryReads, type RegistryWrites, type TransferOptions } from './transfer.js'

/*
 * Signatures, attestations and the like name the manifest they are about as their `subject`; here they are found from
 * there (http-api specification 9.3). The list for a subject is an OCI index under the tag `sha256-<hex>` of the same
 * repository, the distribution specification's own fall-back for registries without this route. So it is stored,
 * replicated and read like any other tag, and what clients wrote into it by themselves is in it.
 */

/** GET and HEAD: 200 for any subject, known or not. `?artifactType=` leaves only such referrers. */
export async function serveReferrers (reads: RegistryReads, request: HttpRequest, repository: string, subject: ContentDigest): Promise<Reply> {
  const type = new URLSearchParams(request.rawQuery).get('artifactType')
  const all = await descriptorsOf(reads, repository, subject, { signal: request.signal })
  const headers = { 'Content-Type': OCI_INDEX }
  if (type === null) return { status: 200, headers, body: indexOf(all) }
  const wanted = all.filter(descriptor => descriptor.artifactType === type)
  return { status: 200, headers: { ...headers, 'OCI-Filters-Applied': 'artifactType' }, body: indexOf(wanted) }
}

/**
 * Keeps the lists. Two pushes about one subject take turns, since each reads the list and writes it back. Two proxies do not
 * know of each other's turns: of pushes about one subject at the same moment through both, one may be missing from the list
 * until it is pushed again.
 */
export class ReferrerLists {
  readonly #turns = new KeyedLock<string>()

  constructor (readonly reads: RegistryReads, readonly writes: RegistryWrites) {}

  /**
   * Enters a manifest that is stored already into the list of its subject.
   * @throws AppError BODY_TOO_LARGE if the list would no longer be a manifest that can be read
   */
  async add (repository: string, digest: ContentDigest, sizeBytes: number, manifest: Manifest, options: TransferOptions): Promise<void> {
    const subject = manifest.subject?.digest
    if (subject === undefined) return
    await this.#turns.run(`${repository}@${subject}`, async () => {
      const known = await descriptorsOf(this.reads, repository, subject, options)
      if (known.some(descriptor => descriptor.digest === digest)) return
      const bytes = Buffer.from(indexOf([...known, descriptorOf(digest, sizeBytes, manifest)]))
      if (bytes.length > MANIFEST_BYTES_MAX) throw new AppError('BODY_TOO_LARGE', `the list of referrers of ${subject} is full`)
      await this.#put(repository, subject, bytes, options)
    })
  }

  /** Takes a manifest, known by these names, out of the list of its subject. */
  async remove (repository: string, names: readonly ContentDigest[], manifest: Manifest, options: TransferOptions): Promise<void> {
    const subject = manifest.subject?.digest
    if (subject === undefined) return
    await this.#turns.run(`${repository}@${subject}`, async () => {
      const known = await descriptorsOf(this.reads, repository, subject, options)
      const left = known.filter(descriptor => !names.some(name => descriptor.digest === name))
      if (left.length === known.length) return
      if (left.length === 0) await this.writes.deleteTag(repository, listTag(subject), options)
      else await this.#put(repository, subject, Buffer.from(indexOf(left)), options)
    })
  }

  async #put (repository: string, subject: ContentDigest, bytes: Uint8Array, options: TransferOptions): Promise<void> {
    const index = digestOf(bytes)
    await this.writes.putBlob(repository, index, bytes, options)
    await this.writes.putTag(repository, listTag(subject), index, options)
  }
}

/** The algorithm, and what a tag has room for of the hex characters. */
function listTag (subject: ContentDigest): string { return subject.replace(':', '-').slice(0, 'sha256-'.length + 64) }

/** What the list says by now; nothing if there is none, or if somebody keeps something else under its tag. */
async function descriptorsOf (reads: RegistryReads, repository: string, subject: ContentDigest, options: TransferOptions): Promise<JsonRecord[]> {
  const index = await reads.getTag(repository, listTag(subject), options)
  const bytes = index === undefined ? undefined : await reads.readBlob(repository, index, MANIFEST_BYTES_MAX, options)
  if (bytes === undefined) return []
  const root = parseJson(Buffer.from(bytes).toString('utf8'), `referrers of ${subject}`)
  const entries: unknown[] = isRecord(root) && Array.isArray(root.manifests) ? root.manifests : []
  return entries.filter(isRecord)
}

/** An image manifest without an `artifactType` of its own is of its config's type; an index is of none. */
function descriptorOf (digest: ContentDigest, sizeBytes: number, manifest: Manifest): JsonRecord {
  const config = manifest.references.find(reference => reference.role === 'config')
  const artifactType = manifest.artifactType ?? config?.mediaType
  const annotations = Object.keys(manifest.annotations).length === 0 ? undefined : manifest.annotations
  return { mediaType: manifest.mediaType, size: sizeBytes, digest, annotations, artifactType }
}

function indexOf (descriptors: readonly JsonRecord[]): string {
  return JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: descriptors })
}
