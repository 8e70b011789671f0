import { type BlobClient, type BlobStream, type CallOptions } from '../../net/client/clients.js'
import { type Sleep } from '../../net/client/upstream.js'
import { type BuildIndexConfig } from '../config/types.js'
import { type ContentDigest, type Digest, digestOf, isDigest } from '../core/digest.js'
import { AppError, isAppError, messageOf } from '../core/errors.js'
import { forEachLimited } from '../core/limited.js'
import { isManifestType, type Manifest, MANIFEST_BYTES_MAX, parseManifest, type Reference } from '../registry/manifest.js'

/** Indexes within indexes; real ones have one or two levels. */
const DEPTH_MAX = 8
/** Distinct blobs of one tag. An index of 50 platforms with 127 layers each has about 6,500. */
const DEPENDENCIES_MAX = 20_000
/** Questions to the origins under way for one tag (B14: a put costs about one round trip, not one for each blob). */
const REQUESTS_MAX = 16
/** Waits before a manifest that was not found, or an origin that did not answer, is asked for again. */
const RETRY_DELAYS_MS = [500, 1000, 2000]

export interface Dependency {
  readonly digest: Digest
  /** Its absence is by design: no manifest needs it in the cluster. */
  readonly isOptional: boolean
  /** 0 for a blob that refers to nothing; a manifest is one above the highest of what it refers to. */
  readonly height: number
}

export interface DependenciesOptions {
  readonly origins: Pick<BlobClient, 'download' | 'stat'>
  readonly tagTypes: BuildIndexConfig['tagTypes']
  readonly sleep: Sleep
  /** What a digest by another algorithm stands for; undefined if that is not known. */
  readonly storedAs?: (name: ContentDigest) => Digest | undefined
}

/** What a tag needs to be usable, by the type of the tag (cluster specification 7.3). */
export class Dependencies {
  constructor (readonly options: DependenciesOptions) {}

  /**
   * Everything that the tag needs, each blob once, what is referred to before what refers to it, its own digest last. For
   * `docker` tags that is the whole graph of manifests, through indexes within indexes, with their configs and layers.
   * @throws AppError with texts that clients of the reference know; MANIFEST_INVALID beyond a limit
   */
  async resolve (tag: string, digest: Digest, { signal }: Required<CallOptions>): Promise<Dependency[]> {
    const type = this.options.tagTypes.find(({ pattern }) => pattern.test(tag))?.type
    if (type === undefined) {
      throw new AppError('TAG_INVALID', `resolve dependencies: no tag type matches tag ${tag}; add one to tag_types`)
    }
    if (type === 'default') return [{ digest, isOptional: false, height: 0 }]
    const graph = new Graph(digest, name => isDigest(name) ? name : this.options.storedAs?.(name))
    await this.#walk(tag, graph, signal)
    return graph.dependencies()
  }

  /** Asks the origins for every blob. @throws AppError MANIFEST_BLOB_UNKNOWN if one is missing */
  async check (tag: string, dependencies: readonly Dependency[], { signal }: Required<CallOptions>): Promise<void> {
    const required = dependencies.filter(({ isOptional }) => !isOptional)
    await forEachLimited(required, REQUESTS_MAX, async ({ digest }) => {
      const found = await attempt('check blob: ', async () => this.options.origins.stat(tag, digest, { signal }))
      if (found === undefined) throw new AppError('MANIFEST_BLOB_UNKNOWN', `cannot upload tag, missing dependency ${digest}`)
    })
  }

  /** Reads the manifests level by level, those of one level at the same time. */
  async #walk (tag: string, graph: Graph, signal: AbortSignal): Promise<void> {
    for (let depth = 0, level = graph.takeUnread(); level.length > 0; depth++, level = graph.takeUnread()) {
      if (depth > DEPTH_MAX) throw tooLarge(`more than ${DEPTH_MAX} levels of indexes`)
      await forEachLimited(level, REQUESTS_MAX, async digest => {
        const bytes = await attempt('resolve dependencies: download manifest: ', async () => this.#download(tag, digest, signal))
        graph.add(digest, await attempt('resolve dependencies: download manifest: parse manifest: peek ', async () => parseManifest(bytes)))
      })
    }
  }

  async #download (tag: string, digest: Digest, signal: AbortSignal): Promise<Uint8Array> {
    for (let tries = 0; ; tries++) {
      try {
        return await this.#downloadOnce(tag, digest, signal)
      } catch (error) {
        const delayMs = RETRY_DELAYS_MS[tries]
        if (delayMs === undefined || !isPassing(error)) throw error
        await this.options.sleep(delayMs, signal)
      }
    }
  }

  async #downloadOnce (tag: string, digest: Digest, signal: AbortSignal): Promise<Uint8Array> {
    const refusal = new AbortController()
    const blob = await this.options.origins.download(tag, digest, { signal: AbortSignal.any([signal, refusal.signal]) })
    if (blob.sizeBytes > MANIFEST_BYTES_MAX) {
      refusal.abort()
      throw new AppError('MANIFEST_INVALID', `parse manifest: it has ${blob.sizeBytes} bytes, at most ${MANIFEST_BYTES_MAX} are allowed`)
    }
    const bytes = await collect(blob)
    if (digestOf(bytes) !== digest.toLowerCase()) throw new AppError('CORRUPT', `the origins sent other bytes than ${digest}`)
    return bytes
  }
}

/** The manifests and blobs found so far. What was seen once is not read again, so that cycles end. */
class Graph {
  readonly #isOptional = new Map<Digest, boolean>()
  /** What each manifest refers to, once it is read. */
  readonly #manifests = new Map<Digest, Digest[]>()
  #unread: Digest[]

  constructor (readonly root: Digest, readonly storedAs: (name: ContentDigest) => Digest | undefined) {
    this.#unread = [root]
    this.#manifests.set(root, [])
  }

  /** Manifests that nobody has read yet; each is given out once. */
  takeUnread (): Digest[] {
    const unread = this.#unread
    this.#unread = []
    return unread
  }

  add (manifest: Digest, { references }: Manifest): void {
    const children: Digest[] = []
    this.#manifests.set(manifest, children)
    for (const reference of references) {
      const { isOptional } = reference
      const digest = this.storedAs(reference.digest)
      if (digest === undefined) {
        if (isOptional) continue
        throw new AppError('MANIFEST_BLOB_UNKNOWN', `cannot upload tag, missing dependency ${reference.digest}`)
      }
      children.push(digest)
      this.#isOptional.set(digest, isOptional && this.#isOptional.get(digest) !== false)
      if (isManifest(reference) && !this.#manifests.has(digest)) {
        this.#manifests.set(digest, [])
        this.#unread.push(digest)
      }
    }
    if (this.#isOptional.size > DEPENDENCIES_MAX) throw tooLarge(`more than ${DEPENDENCIES_MAX} blobs`)
  }

  /** Lowest first. The walk had a limit of levels, so the recursion has it as well. */
  dependencies (): Dependency[] {
    const heights = new Map<Digest, number>()
    const heightOf = (digest: Digest): number => {
      const known = heights.get(digest)
      if (known !== undefined) return known
      const children = this.#manifests.get(digest)
      // Only a false record of what a digest stands for can make a circle; it ends here.
      heights.set(digest, 0)
      const height = children === undefined ? 0 : 1 + Math.max(0, ...children.map(heightOf))
      heights.set(digest, height)
      return height
    }
    const all = [...this.#isOptional].filter(([digest]) => digest !== this.root)
      .map(([digest, isOptional]) => ({ digest, isOptional, height: heightOf(digest) }))
    return [...all.sort((a, b) => a.height - b.height), { digest: this.root, isOptional: false, height: heightOf(this.root) }]
  }
}

/** The whole of a blob whose size was found acceptable. */
async function collect (blob: BlobStream): Promise<Uint8Array> {
  const { sizeBytes } = blob
  const bytes = Buffer.alloc(sizeBytes)
  let at = 0
  for await (const chunkView of blob.chunks()) {
    if (at + chunkView.length > sizeBytes) throw new AppError('CORRUPT', `the origins sent more than the ${sizeBytes} bytes they announced`)
    bytes.set(chunkView, at)
    at += chunkView.length
  }
  return bytes.subarray(0, at)
}

/** A child may be any blob; one that does not say what it is must be a manifest. */
function isManifest ({ role, mediaType }: Reference): boolean { return role === 'child' && (mediaType === '' || isManifestType(mediaType)) }

/** True for failures that may be over in a moment: a manifest that another proxy is still uploading, an origin that restarts. */
function isPassing (error: unknown): boolean {
  return isAppError(error, 'BLOB_UNKNOWN') || isAppError(error, 'NETWORK') || isAppError(error, 'UNAVAILABLE')
}

function tooLarge (what: string): AppError { return new AppError('MANIFEST_INVALID', `resolve dependencies: the tag needs ${what}`) }

/** Runs `work`; a failure begins with `prefix`, which says what was being done, and keeps its code. */
async function attempt<T> (prefix: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    const message = isAppError(cause, 'BLOB_UNKNOWN') ? 'blob not found' : messageOf(cause)
    throw new AppError(isAppError(cause) ? cause.code : 'INTERNAL', prefix + message, { cause })
  }
}
