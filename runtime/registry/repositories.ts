import { aliasKey, memberKey, nameKey } from '../../net/api/records.js'
import { type RecordClient } from '../../net/client/clients.js'
import { type ContentDigest, type Digest, isContentDigest, isDigest, type Sha512Digest } from '../core/digest.js'
import { isAppError, messageOf } from '../core/errors.js'
import { type Logger } from '../observe/log.js'
import { isOutage } from './errors.js'
import { type TransferOptions } from './transfer.js'

/**
 * Whether content belongs to repositories (http-api specification 9.4, 9.7).
 *
 *   shared   whatever the cluster has is in every repository, as in the reference, but where it was deleted
 *   strict   a repository has what was pushed to it or mounted into it through one of our proxies, and nothing else
 *   ignored  nobody asks: an agent serves whatever its cluster has
 */
export type Membership = 'shared' | 'strict' | 'ignored'

export interface RepositoriesOptions {
  readonly records: Pick<RecordClient, 'record' | 'putRecord'>
  readonly membership: Membership
  readonly log: Logger
}

const PRESENT = 'present'
const DELETED = 'deleted'
/** Digests remembered of each kind; about 20 MB. */
const KNOWN_MAX = 50_000

/**
 * What repositories have, and by which names, as records of the build-indexes. Content itself lies in the cluster by its
 * SHA-256, once for all repositories: no delete here touches it.
 */
export class Repositories {
  readonly #options: RepositoriesOptions
  /** Aliases never change. */
  readonly #aliases = new Known<Sha512Digest, Digest>()
  /** A manifest that has no other name may get one; until it is forgotten here its tags show the plain one, which is as true. */
  readonly #names = new Known<Digest, ContentDigest>()

  constructor (options: RepositoriesOptions) { this.#options = options }

  /** The content that this name means in the repository; undefined if the repository does not have it. */
  async locate (repository: string, name: ContentDigest, options?: TransferOptions): Promise<Digest | undefined> {
    const digest = await this.digestOf(name, options)
    return digest !== undefined && await this.has(repository, digest, options) ? digest : undefined
  }

  /** False if the repository is known not to have the content; it may still be nowhere. */
  async has (repository: string, digest: Digest, options?: TransferOptions): Promise<boolean> {
    const { records, membership, log } = this.#options
    if (membership === 'ignored') return true
    try {
      const state = await records.record(memberKey(repository, digest), options)
      return membership === 'strict' ? state === PRESENT : state !== DELETED
    } catch (error) {
      if (membership === 'strict' || !isOutage(error)) throw error
      log.warn({ repository, digest, error: messageOf(error) }, 'not known whether it was deleted')
      return true
    }
  }

  /** Makes content that is in the cluster one of the repository's, by its own name and by `name`. */
  async enter (repository: string, digest: Digest, name: ContentDigest, options?: TransferOptions): Promise<void> {
    if (!isDigest(name)) await this.#alias(name, digest, options)
    const { records, membership } = this.#options
    const key = memberKey(repository, digest)
    const state = await records.record(key, options)
    if (state === PRESENT) return
    try {
      await records.putRecord(key, PRESENT, options)
    } catch (error) {
      // A build-index of Kraken's has no records: nothing was ever deleted there.
      if (membership === 'strict' || !isAppError(error, 'UNSUPPORTED')) throw error
    }
  }

  /** Takes content out of the repository. @throws AppError UNSUPPORTED */
  async remove (repository: string, digest: Digest, options?: TransferOptions): Promise<void> {
    await this.#options.records.putRecord(memberKey(repository, digest), DELETED, options)
  }

  /** Lets tags show the manifest by another name than its own. */
  async setShownName (digest: Digest, name: Sha512Digest, options?: TransferOptions): Promise<void> {
    await this.#options.records.putRecord(nameKey(digest), name, options)
    this.#names.set(digest, name)
  }

  /** The name by which tags show the manifest: that under which it was tagged. */
  async shownName (digest: Digest, options?: TransferOptions): Promise<ContentDigest> {
    const known = this.#names.get(digest)
    if (known !== undefined) return known
    try {
      const found = await this.#options.records.record(nameKey(digest), options)
      const name = found !== undefined && isContentDigest(found) ? found : digest
      this.#names.set(digest, name)
      return name
    } catch (error) {
      if (!isOutage(error)) throw error
      return digest
    }
  }

  /** The content that this name means, in whichever repository. */
  async digestOf (name: ContentDigest, options?: TransferOptions): Promise<Digest | undefined> {
    return isDigest(name) ? name : await this.#resolve(name, options)
  }

  /**
   * The content that may be mounted from this repository, or, if none is named, from anywhere: only where all share everything.
   */
  async locateForMount (source: string | undefined, name: ContentDigest, options?: TransferOptions): Promise<Digest | undefined> {
    if (source !== undefined) return await this.locate(source, name, options)
    return this.#options.membership === 'strict' ? undefined : await this.digestOf(name, options)
  }

  async #resolve (name: Sha512Digest, options: TransferOptions | undefined): Promise<Digest | undefined> {
    const known = this.#aliases.get(name)
    if (known !== undefined) return known
    const found = await this.#options.records.record(aliasKey(name), options)
    if (found === undefined || !isDigest(found)) return undefined
    this.#aliases.set(name, found)
    return found
  }

  async #alias (name: Sha512Digest, digest: Digest, options: TransferOptions | undefined): Promise<void> {
    if (await this.#resolve(name, options) === digest) return
    await this.#options.records.putRecord(aliasKey(name), digest, options)
    this.#aliases.set(name, digest)
  }
}

/** A map that forgets its oldest entry when it is full. */
class Known<K, V> {
  readonly #entries = new Map<K, V>()

  get (key: K): V | undefined { return this.#entries.get(key) }

  set (key: K, value: V): void {
    this.#entries.set(key, value)
    if (this.#entries.size <= KNOWN_MAX) return
    const [oldest] = this.#entries.keys()
    if (oldest !== undefined) this.#entries.delete(oldest)
  }
}
