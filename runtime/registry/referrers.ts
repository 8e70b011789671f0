import { type HttpRequest, type Reply } from '../../net/http/engine.js'
import { type ContentDigest, type Digest, digestOf } from '../core/digest.js'
import { AppError, isAppError } from '../core/errors.js'
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
  const { descriptors: all } = await readList(reads, repository, subject, { signal: request.signal })
  const headers = { 'Content-Type': OCI_INDEX }
  if (type === null) return { status: 200, headers, body: indexOf(all) }
  const wanted = all.filter(descriptor => descriptor.artifactType === type)
  return { status: 200, headers: { ...headers, 'OCI-Filters-Applied': 'artifactType' }, body: indexOf(wanted) }
}

/** A list that others keep changing is tried again this often; of so many writers at once one succeeds each time. */
const TRIES_MAX = 100

/**
 * Keeps the lists. Two pushes about one subject take turns, since each reads the list and writes it back; those of another
 * proxy are noticed when it is written, and then it is read again.
 */
export class ReferrerLists {
  readonly #turns = new KeyedLock<string>()

  constructor (readonly reads: RegistryReads, readonly writes: RegistryWrites) {}

  /**
   * Enters a manifest that is stored already into the list of its subject.
   * @throws AppError BODY_TOO_LARGE if the list would no longer be a manifest that can be read, UNAVAILABLE if too many write it
   */
  async add (repository: string, digest: ContentDigest, sizeBytes: number, manifest: Manifest, options: TransferOptions): Promise<void> {
    await this.#change(repository, manifest, options, known =>
      known.some(descriptor => descriptor.digest === digest) ? known : [...known, descriptorOf(digest, sizeBytes, manifest)])
  }

  /** Takes a manifest, known by these names, out of the list of its subject. */
  async remove (repository: string, names: readonly ContentDigest[], manifest: Manifest, options: TransferOptions): Promise<void> {
    await this.#change(repository, manifest, options, known => known.filter(descriptor => !names.some(name => descriptor.digest === name)))
  }

  /** @param change - returns a list as long as it was given if there is nothing to do */
  async #change (
    repository: string, manifest: Manifest, options: TransferOptions, change: (known: readonly JsonRecord[]) => readonly JsonRecord[]
  ): Promise<void> {
    const subject = manifest.subject?.digest
    if (subject === undefined) return
    await this.#turns.run(`${repository}@${subject}`, async () => {
      for (let tries = 0; tries < TRIES_MAX; tries++) {
        const list = await readList(this.reads, repository, subject, options)
        const changed = change(list.descriptors)
        if (changed.length === list.descriptors.length || await this.#write(repository, subject, list.index, changed, options)) return
      }
      throw new AppError('UNAVAILABLE', `the list of referrers of ${subject} is being changed by too many at once; ask again`)
    })
  }

  /** @param known - the list that is to be replaced. @returns false if it is another one by now */
  async #write (
    repository: string, subject: ContentDigest, known: Digest | undefined, descriptors: readonly JsonRecord[], options: TransferOptions
  ): Promise<boolean> {
    const tag = listTag(subject)
    if (descriptors.length === 0 && known !== undefined) return await this.writes.deleteTag(repository, tag, { ...options, onlyIf: known })
    const bytes = Buffer.from(indexOf(descriptors))
    if (bytes.length > MANIFEST_BYTES_MAX) throw new AppError('BODY_TOO_LARGE', `the list of referrers of ${subject} is full`)
    const index = digestOf(bytes)
    await this.writes.putBlob(repository, index, bytes, options)
    try {
      await this.writes.putTag(repository, tag, index, { ...options, onlyIf: known ?? 'none' })
      return true
    } catch (error) {
      if (isAppError(error, 'TAG_EXISTS')) return false
      throw error
    }
  }
}

/** The algorithm, and what a tag has room for of the hex characters. */
function listTag (subject: ContentDigest): string { return subject.replace(':', '-').slice(0, 'sha256-'.length + 64) }

interface ReferrerList {
  /** What its tag points at. */
  readonly index: Digest | undefined
  /** None if somebody keeps something else under the tag. */
  readonly descriptors: readonly JsonRecord[]
}

async function readList (reads: RegistryReads, repository: string, subject: ContentDigest, options: TransferOptions): Promise<ReferrerList> {
  const index = await reads.getTag(repository, listTag(subject), options)
  const bytes = index === undefined ? undefined : await reads.readBlob(repository, index, MANIFEST_BYTES_MAX, options)
  if (bytes === undefined) return { index, descriptors: [] }
  const root = parseJson(Buffer.from(bytes).toString('utf8'), `referrers of ${subject}`)
  const entries: unknown[] = isRecord(root) && Array.isArray(root.manifests) ? root.manifests : []
  return { index, descriptors: entries.filter(isRecord) }
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
