import { type BlobClient } from '../../net/client/clients.js'
import { type Clock } from '../core/clock.js'
import { type Digest } from '../core/digest.js'
import { AppError, isAppError } from '../core/errors.js'
import { KeyedLock } from '../store/keyed-lock.js'
import { DELETED, isCredible, isDeletion, newerOf, compareVersions, type Stamp, stampAfter, successorOf, type TagVersion } from '../store/tag-version.js'
import { type Dependencies, type Dependency } from './dependencies.js'
import { type Neighbours } from './neighbours.js'
import { type Remotes } from './remotes.js'
import { type BuildIndexService, type PutOptions } from './server.js'
import { type Page, type PageQuery } from './tag-index.js'
import { type TagBackend } from './tag-backend.js'
import { type TagLists } from './tag-lists.js'
import { type TagStore } from './tag-store.js'

/** Clients give up after 30 s; a put that has not been decided by then must not happen behind their backs. */
const PUT_LIMIT_MS = 25_000

export interface TagServiceOptions {
  readonly tags: TagStore
  readonly dependencies: Dependencies
  readonly origins: Pick<BlobClient, 'checkReadiness'>
  readonly originAddress: string
  readonly neighbours: Pick<Neighbours, 'ask' | 'tell' | 'tellBehind'>
  /** Whether a tag that is not here is not ours to know: false while we still learn what a lost disk had. */
  readonly hasLearnt: () => boolean
  readonly clock: Clock
  /** Storage behind the cluster, if there is any. */
  readonly backend?: Pick<TagBackend, 'check' | 'save' | 'find'>
  readonly lists?: Pick<TagLists, 'page'> | undefined
  /** Other clusters that get copies. */
  readonly remotes?: Pick<Remotes, 'enqueue' | 'share'>
  /** Resolves if all backends that this role needs to be ready answer. */
  readonly checkBackends?: (signal: AbortSignal) => Promise<void>
}

/**
 * Reads and writes of tags (cluster specification 7). A write has the time at which it came in, later than everything that
 * any build-index within reach knew of the tag by then; the latest write wins everywhere. A read looks at what all within
 * reach know, and what it gives they all know when it is given: so nobody ever sees a tag move back. With too few within
 * reach to be sure of that, a read fails, and is to be tried again.
 */
export class TagService implements BuildIndexService {
  /** Of puts that depend on what the tag points at. */
  readonly #turns = new KeyedLock<string>()

  constructor (readonly options: TagServiceOptions) {}

  get originAddress (): string { return this.options.originAddress }

  async put (tag: string, digest: Digest, signal: AbortSignal, { isReplicated = false, version: given, onlyIf }: PutOptions = {}): Promise<void> {
    const { dependencies, backend, clock } = this.options
    backend?.check(tag)
    const limited = { signal: AbortSignal.any([signal, AbortSignal.timeout(PUT_LIMIT_MS)]) }
    const needed = await dependencies.resolve(tag, digest, limited)
    await dependencies.check(tag, needed, limited)
    // As late as can be: what others write meanwhile is earlier than this.
    const isDated = given?.digest === digest && isCredible(given.stamp, clock.wall())
    const stamp = isDated ? given.stamp : await this.#nextStamp(tag, limited.signal)
    limited.signal.throwIfAborted()
    if (onlyIf === undefined) await this.#advance(tag, { digest, stamp })
    else {
      await this.#turns.run(tag, async () => {
        const found = await this.get(tag, limited.signal) ?? 'none'
        if (found !== onlyIf) throw new AppError('TAG_EXISTS', `tag ${tag} points at ${found}, not at ${onlyIf}`)
        await this.#advance(tag, { digest, stamp: await this.#nextStamp(tag, limited.signal) })
      })
    }
    if (isReplicated) await this.#replicate(tag, digest, needed)
  }

  /** Without a version, from Kraken, it counts as written now. */
  async putDuplicate (tag: string, digest: Digest, version: TagVersion | undefined, delayMs: number): Promise<void> {
    const { tags, clock, backend } = this.options
    const isGood = version?.digest === digest && isCredible(version.stamp, clock.wall())
    await tags.advance(tag, isGood ? version : { digest, stamp: stampAfter(clock.wall(), [(await this.#own(tag))?.stamp]) })
    await backend?.save(tag, delayMs)
  }

  async replicate (tag: string, signal: AbortSignal): Promise<boolean> {
    const digest = await this.get(tag, signal)
    if (digest === undefined) return false
    await this.#replicate(tag, digest, await this.options.dependencies.resolve(tag, digest, { signal }))
    return true
  }

  async replicateDuplicate (tag: string, delayMs: number): Promise<void> { await this.options.remotes?.enqueue(tag, delayMs) }

  /** On record here when this resolves, and at those neighbours that answer (B10 of cluster specification 11.1). */
  async #replicate (tag: string, digest: Digest, needed: readonly Dependency[]): Promise<void> {
    const { remotes } = this.options
    if (remotes === undefined || !await remotes.enqueue(tag, 0)) return
    await remotes.share(tag, digest, needed.map(dependency => dependency.digest))
  }

  async get (tag: string, signal: AbortSignal): Promise<Digest | undefined> {
    const found = await this.find(tag, signal)
    return found === undefined || isDeletion(found.version) ? undefined : found.digest
  }

  /** Where the tag points by all within reach; since when is not known of one that only the backend has. */
  async find (tag: string, signal: AbortSignal): Promise<{ readonly digest: Digest, readonly version?: TagVersion } | undefined> {
    const { tags, neighbours, backend } = this.options
    const [own, known] = await Promise.all([this.#own(tag), neighbours.ask(tag, signal)])
    const latest = newerOf(own, known.newest)
    if (!known.isCertain || (latest === undefined && !known.isUnanimous && !this.options.hasLearnt())) throw tooFew(tag)
    // Says, as one without neighbours does, what is wrong with a damaged file.
    if (latest === undefined) {
      const digest = await tags.get(tag) ?? await backend?.find(tag, signal)
      return digest === undefined ? undefined : { digest }
    }
    const isBehind = (version: TagVersion | undefined): boolean => version === undefined || compareVersions(version, latest) < 0
    const behind = [...known.versions].filter(([, version]) => isBehind(version)).map(([address]) => address)
    if (isBehind(own)) await tags.advance(tag, latest)
    if (behind.length > 0) await neighbours.tellBehind(tag, latest, behind)
    return { digest: isDeletion(latest) ? DELETED : await tags.get(tag) ?? latest.digest, version: latest }
  }

  /**
   * A delete is a write as others are: the latest of them counts everywhere. One of a certain value comes right behind the
   * write of that value, so that whatever else was written since then, anywhere, stays.
   */
  async delete (tag: string, onlyIf: Digest | undefined, signal: AbortSignal): Promise<boolean> {
    const { tags, neighbours, clock, backend } = this.options
    const [own, known] = await Promise.all([this.#own(tag), neighbours.ask(tag, signal)])
    const latest = newerOf(own, known.newest)
    if (!known.isCertain) throw tooFew(tag)
    const digest = latest?.digest ?? await backend?.find(tag, signal)
    if (digest === undefined || digest === DELETED || (onlyIf !== undefined && digest !== onlyIf)) return false
    const stamp = onlyIf === undefined || latest === undefined ? stampAfter(clock.wall(), [latest?.stamp]) : successorOf(latest.stamp)
    const version = await tags.advance(tag, { digest: DELETED, stamp })
    await Promise.all([backend?.save(tag, 0), neighbours.tell(tag, version)])
    return isDeletion(version)
  }

  async version (tag: string): Promise<TagVersion | undefined> {
    const own = await this.#own(tag)
    if (own === undefined && !this.options.hasLearnt()) throw new AppError('UNAVAILABLE', 'this build-index is still learning what the others know')
    return own
  }

  async page (prefix: string, query: PageQuery): Promise<Page> {
    const { tags, lists } = this.options
    return await (lists ?? tags).page(prefix, query)
  }

  async checkReadiness (signal: AbortSignal): Promise<void> {
    const { origins, checkBackends } = this.options
    await checkBackends?.(signal)
    await origins.checkReadiness({ signal })
  }

  async #advance (tag: string, version: TagVersion): Promise<void> {
    const { tags, neighbours, backend } = this.options
    const found = await tags.advance(tag, version)
    await Promise.all([backend?.save(tag, 0), neighbours.tell(tag, found)])
  }

  async #nextStamp (tag: string, signal: AbortSignal): Promise<Stamp> {
    const { neighbours, clock } = this.options
    const [own, known] = await Promise.all([this.#own(tag), neighbours.ask(tag, signal)])
    return stampAfter(clock.wall(), [own?.stamp, known.newest?.stamp])
  }

  /** A damaged file counts as none: the neighbours may know, and a put repairs it. */
  async #own (tag: string): Promise<TagVersion | undefined> {
    return await this.options.tags.find(tag).catch((error: unknown) => {
      if (isAppError(error, 'CORRUPT')) return undefined
      throw error
    })
  }
}

function tooFew (tag: string): AppError {
  return new AppError('UNAVAILABLE', `too few build-indexes and origins answer to be sure where tag ${tag} points: ask again in a moment`)
}
