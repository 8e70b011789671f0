import { randomBytes, randomInt } from 'node:crypto'
import { type UpstreamConfig } from '../../runtime/config/types.js'
import { type Clock, systemClock } from '../../runtime/core/clock.js'
import { type Digest, digestFromSum } from '../../runtime/core/digest.js'
import { AppError, isAppError, messageOf } from '../../runtime/core/errors.js'
import { type PeerContext } from '../../runtime/core/peer.js'
import { type Prng, seededPrng, shuffle } from '../../runtime/core/prng.js'
import { type Logger } from '../../runtime/observe/log.js'
import { answeredStatus, isRetryable } from './answers.js'
import { downloadBlob } from './blob-download.js'
import { type BlobClient, type BlobContent, type BlobStream, type CallOptions, type MetaInfoAnswer } from './clients.js'
import { type Hedged, hedged } from './hedge.js'
import { type Hosts } from './hosts.js'
import { type Http } from './http.js'
import { HttpOriginClient } from './origin-client.js'
import { poll, type Polled } from './polling.js'
import { type Sleep, systemSleep, type Upstream, watchActively } from './upstream.js'

export interface BlobClientOptions {
  readonly hosts: UpstreamConfig
  readonly http: Http
  readonly log: Logger
  readonly clock?: Clock
  readonly sleep?: Sleep
  readonly prng?: Prng
  /** Replaces the resolution of `hosts`. */
  readonly resolve?: Hosts
  /** What is waited with until a second origin is asked beside one that says nothing. */
  readonly patience?: Sleep
}

/** On so many origins is what was acknowledged: if fewer do not answer, and the others do not have it, it was not. */
const COPIES = 2

/** The origins of a cluster as one; their health is watched until `close`. */
export function createBlobClient (options: BlobClientOptions): BlobClient & { close (): Promise<void> } { return new ClusterBlobClient(options) }

/*
 * Any origin knows the owners of a digest, so every call first asks one for them, and then the owners themselves (http-api
 * specification 5.7, cluster specification 3.5).
 */
class ClusterBlobClient implements BlobClient {
  readonly #upstream: Upstream
  readonly #http: Http
  readonly #log: Logger
  readonly #clock: Clock
  readonly #sleep: Sleep
  readonly #prng: Prng
  readonly #patience: Sleep

  constructor (options: BlobClientOptions) {
    const { hosts, http, log, clock = systemClock, sleep = systemSleep, prng = seededPrng(randomInt(2 ** 32)), patience = systemSleep } = options
    this.#upstream = watchActively(hosts, { http, log, clock, sleep, hosts: options.resolve })
    this.#http = http
    this.#log = log
    this.#clock = clock
    this.#sleep = sleep
    this.#prng = prng
    this.#patience = patience
  }

  async close (): Promise<void> { await this.#upstream.close() }

  async locations (digest: Digest, options?: CallOptions): Promise<string[]> {
    const well = shuffle([...await this.#upstream.hosts()], this.#prng)
    // What is known of the others may be out of date; they are asked when all of these have failed.
    const others = (await this.#upstream.all()).filter(host => !well.includes(host))
    const asked = await this.#ask([...well, ...others], async origin => await origin.locations(digest, options))
    if (asked.isGood) return asked.answer
    throw allFailed(`the owners of ${digest}`, asked.failures)
  }

  async stat (namespace: string, digest: Digest, options?: CallOptions): Promise<{ sizeBytes: number } | undefined> {
    // Any owner will do, so they share the questions; then the others, who may have taken the blob in for an owner.
    const owners = shuffle(await this.locations(digest, options), this.#prng)
    const statAt = async (origin: HttpOriginClient): Promise<{ sizeBytes: number } | undefined> => await origin.stat(namespace, digest, options)
    const isGood = (found: { sizeBytes: number } | undefined): boolean => found !== undefined
    const asked = await this.#ask(owners, statAt, isGood, true)
    if (asked.isGood) return asked.answer
    const others = (await this.#upstream.all()).filter(host => !owners.includes(host))
    const askedToo = await this.#ask(others, statAt, isGood)
    if (askedToo.isGood) return askedToo.answer
    const failures = [...asked.failures, ...askedToo.failures]
    const isAbsent = asked.answers.length + askedToo.answers.length > 0 && failures.length < COPIES
    if (isAbsent) return undefined
    throw allFailed(`the size of ${digest}`, failures)
  }

  async download (namespace: string, digest: Digest, options: CallOptions & { offset?: number, lengthBytes?: number } = {}): Promise<BlobStream> {
    const { offset = 0, lengthBytes, signal } = options
    if (lengthBytes === 0) return await this.#empty(namespace, digest, options)
    return await this.#withStandIns(digest, options, async owners => await downloadBlob({
      namespace,
      digest,
      owners,
      offset,
      lengthBytes,
      signal,
      sleep: this.#sleep,
      clock: this.#clock,
      prng: this.#prng,
      patience: this.#patience,
      log: this.#log
    }))
  }

  async upload (namespace: string, digest: Digest, content: BlobContent, options?: CallOptions): Promise<void> {
    await this.#withStandIns(digest, options, async owners => { await this.#uploadTo(owners, namespace, digest, content, options) })
  }

  async #uploadTo (
    owners: readonly HttpOriginClient[], namespace: string, digest: Digest, content: BlobContent, options?: CallOptions
  ): Promise<void> {
    const failures: unknown[] = []
    for (const owner of owners) {
      try {
        return await owner.upload(namespace, digest, content, options)
      } catch (error) {
        if (!isRetryable(error)) throw error
        this.#log.warn({ digest, owner: owner.address, reason: messageOf(error) }, 'upload goes to the next owner')
        failures.push(error)
      }
    }
    throw allFailed(`the upload of ${digest}`, failures)
  }

  async metaInfo (namespace: string, digest: Digest, options: CallOptions = {}): Promise<MetaInfoAnswer> {
    return await this.#withStandIns(digest, options, async owners => await this.#metaInfoAt(owners, namespace, digest, options))
  }

  async #metaInfoAt (owners: readonly HttpOriginClient[], namespace: string, digest: Digest, options: CallOptions): Promise<MetaInfoAnswer> {
    const ask = async (owner: HttpOriginClient): Promise<MetaInfoAnswer> =>
      await owner.metaInfo(namespace, digest, { ...options, withPieceDigests: true })
    const asked = await this.#askThese(owners, ask, ({ status }) => status !== 'unknown')
    if (asked.isGood) return asked.answer
    if (asked.answers.length > 0) return { status: 'unknown' }
    throw allFailed(`the metainfo of ${digest}`, asked.failures)
  }

  async prefetch (namespace: string, digest: Digest, options?: CallOptions): Promise<void> {
    const failures: unknown[] = []
    for (const owner of await this.#owners(digest, options)) {
      try {
        return await owner.prefetch(namespace, digest, options)
      } catch (error) {
        if (isAppError(error, 'CANCELLED') || isAppError(error, 'BLOB_UNKNOWN')) throw error
        failures.push(error)
      }
    }
    throw allFailed(`the prefetch of ${digest}`, failures)
  }

  async replicateToRemote (namespace: string, digest: Digest, remote: string, options: CallOptions = {}): Promise<void> {
    const polling = { signal: options.signal, sleep: this.#sleep, clock: this.#clock, prng: this.#prng }
    const failures: unknown[] = []
    for (const owner of await this.#owners(digest, options)) {
      try {
        return await poll(async (): Promise<Polled<void>> => {
          const isDone = await owner.replicateToRemote(namespace, digest, remote, options)
          return isDone ? { value: undefined } : { pending: new AppError('TIMED_OUT', `${owner.address} is still copying ${digest} to ${remote}`) }
        }, polling)
      } catch (error) {
        // What an owner refuses the others refuse as well, or do not know: only they may have lost it.
        if (isAppError(error, 'CANCELLED') || (isClientError(error) && !isAppError(error, 'BLOB_UNKNOWN'))) throw error
        failures.push(error)
      }
    }
    const unknown = failures.find(failure => isAppError(failure, 'BLOB_UNKNOWN'))
    if (unknown !== undefined && failures.every(failure => isAppError(failure, 'BLOB_UNKNOWN'))) throw unknown
    throw allFailed(`the copy of ${digest} to ${remote}`, failures)
  }

  async owners (digest: Digest, options?: CallOptions): Promise<PeerContext[]> {
    const owners = await this.#owners(digest, options)
    const answers = await Promise.allSettled(owners.map(async owner => await owner.peerContext(options)))
    const found = answers.flatMap(answer => answer.status === 'fulfilled' ? [answer.value] : [])
    if (found.length > 0) return found
    throw allFailed(`the peers of ${digest}`, answers.flatMap(answer => answer.status === 'rejected' ? [answer.reason] : []))
  }

  async checkReadiness (options?: CallOptions): Promise<void> {
    const [owner] = shuffle(await this.#owners(digestFromSum(randomBytes(32)), options), this.#prng)
    if (owner === undefined) throw new AppError('UNAVAILABLE', 'there are no origins')
    await owner.checkReadiness(options)
  }

  /** A part of no bytes, which no Range header can ask for. */
  async #empty (namespace: string, digest: Digest, options: CallOptions): Promise<BlobStream> {
    if (await this.stat(namespace, digest, options) === undefined) throw new AppError('BLOB_UNKNOWN', `no origin has ${digest}`)
    return { sizeBytes: 0, async * chunks () {} }
  }

  async #owners (digest: Digest, options?: CallOptions): Promise<HttpOriginClient[]> {
    return this.#origins(await this.locations(digest, options))
  }

  /**
   * Asks the owners, and if none of them has an answer the other origins: they may have taken a blob in for them, and take
   * one in now.
   */
  async #withStandIns<T> (digest: Digest, options: CallOptions | undefined, work: (origins: HttpOriginClient[]) => Promise<T>): Promise<T> {
    const owners = await this.locations(digest, options)
    const others = (await this.#upstream.all()).filter(host => !owners.includes(host))
    try {
      return await work(this.#origins(owners, others.length > 0))
    } catch (error) {
      if (others.length === 0 || !isAppError(error, 'UNAVAILABLE')) throw error
      this.#log.warn({ digest, owners, reason: messageOf(error) }, 'no owner has an answer, asking the other origins')
      return await work(this.#origins(others))
    }
  }

  /** Asks one after the other, and the next one also beside one that says nothing. @throws what cannot be better elsewhere */
  async #ask<T> (
    addresses: readonly string[], work: (origin: HttpOriginClient) => Promise<T>, isGood?: (answer: T) => boolean, more = false
  ): Promise<Hedged<T>> {
    return await this.#askThese(this.#origins(addresses, more), work, isGood)
  }

  async #askThese<T> (
    origins: readonly HttpOriginClient[], work: (origin: HttpOriginClient) => Promise<T>, isGood?: (answer: T) => boolean
  ): Promise<Hedged<T>> {
    return await hedged(origins, { ask: work, isGood, isFinal: error => isAppError(error, 'CANCELLED'), sleep: this.#patience })
  }

  /** In this order, but those last that did not answer a moment ago. The very last one is waited for, unless there are `more`. */
  #origins (addresses: readonly string[], more = false): HttpOriginClient[] {
    return this.#http.wellFirst(addresses).map((address, i) =>
      new HttpOriginClient(address, this.#http, this.#sleep, more || i < addresses.length - 1))
  }
}

/** The caller's fault, by the status of the answer. */
function isClientError (error: unknown): boolean {
  const status = answeredStatus(error) ?? 0
  return status >= 400 && status < 500
}

/** One error for many; if somebody cancelled, that is what happened. */
function allFailed (what: string, failures: readonly unknown[]): AppError {
  const cancelled = failures.find(failure => isAppError(failure, 'CANCELLED'))
  if (isAppError(cancelled)) return cancelled
  const reasons = failures.length === 0 ? 'there are no origins' : failures.map(messageOf).join('; ')
  return new AppError('UNAVAILABLE', `all origins unavailable for ${what}: ${reasons}`, { cause: failures.at(-1) })
}
