import { type MetaInfoAnswer } from '../../net/client/clients.js'
import { hedged } from '../../net/client/hedge.js'
import { type Sleep } from '../../net/client/upstream.js'
import { type Millis } from '../core/clock.js'
import { type Digest } from '../core/digest.js'
import { AppError } from '../core/errors.js'
import { MetaInfoCache } from './metainfo-cache.js'

/** As long as the reference's front layer keeps it (http-api specification 2.3). */
const TTL_MS = 5 * 60_000
const CACHE_BYTES_MAX = 64 * 1024 * 1024
/** Callers give up after 10 s and then take the tracker for broken; "ask again" comes before that (http-api specification 11). */
const PATIENCE_MS = 8_000

const PENDING: MetaInfoAnswer = { status: 'pending' }

export interface MetaInfoSourceOptions {
  /** Addresses of the owners, best first. */
  readonly locations: (digest: Digest, signal: AbortSignal) => Promise<readonly string[]>
  /** Asks one origin, for piece digests and small blobs too. */
  readonly metaInfoAt: (address: string, namespace: string, digest: Digest, signal: AbortSignal) => Promise<MetaInfoAnswer>
  readonly now: () => Millis
  readonly sleep: Sleep
}

/**
 * Fetches metainfo from the origins. Whatever is found is kept, one that is pending never; questions that are asked at the
 * same time are asked once.
 */
export class MetaInfoSource {
  readonly #cache = new MetaInfoCache(TTL_MS, CACHE_BYTES_MAX)
  readonly #flights = new Map<string, Promise<MetaInfoAnswer>>()
  readonly #stop = new AbortController()

  constructor (readonly options: MetaInfoSourceOptions) {}

  /**
   * The metainfo of a blob; `pending` also if the origins take too long to answer.
   * @throws AppError what the last owner failed with
   */
  async get (namespace: string, digest: Digest): Promise<MetaInfoAnswer> {
    const known = this.#cache.get(this.options.now(), digest)
    if (known !== undefined) return { status: 'found', ...known }
    const key = `${digest} ${namespace}`
    const flight = this.#flights.get(key) ?? this.#fly(key, namespace, digest)
    return this.#patiently(flight)
  }

  /** Ends the questions that are under way. */
  stop (): void { this.#stop.abort() }

  #fly (key: string, namespace: string, digest: Digest): Promise<MetaInfoAnswer> {
    const flight = this.#ask(namespace, digest).finally(() => { this.#flights.delete(key) })
    this.#flights.set(key, flight)
    return flight
  }

  /** Asks the owners in order until one has it, or is about to; the next one also beside one that says nothing. */
  async #ask (namespace: string, digest: Digest): Promise<MetaInfoAnswer> {
    const { locations, metaInfoAt, sleep } = this.options
    const { signal } = this.#stop
    const asked = await hedged(await locations(digest, signal), {
      ask: async address => await metaInfoAt(address, namespace, digest, signal),
      isGood: ({ status }) => status !== 'unknown',
      isFinal: () => signal.aborted,
      sleep
    })
    if (asked.isGood) {
      const { answer } = asked
      if (answer.status === 'found') this.#cache.set(this.options.now(), digest, { metaInfo: answer.metaInfo, blob: answer.blob })
      return answer
    }
    // One that did not answer may have it.
    if (asked.failures.length > 0) throw asked.failures.at(-1)
    const [unknown] = asked.answers
    if (unknown !== undefined) return unknown
    throw new AppError('UNAVAILABLE', `no origin owns ${digest}`)
  }

  async #patiently (flight: Promise<MetaInfoAnswer>): Promise<MetaInfoAnswer> {
    const settled = new AbortController()
    try {
      return await Promise.race([flight, this.options.sleep(PATIENCE_MS, settled.signal).then(() => PENDING)])
    } finally {
      settled.abort()
    }
  }
}
