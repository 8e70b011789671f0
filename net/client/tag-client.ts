import { randomInt } from 'node:crypto'
import { type UpstreamConfig } from '../../runtime/config/types.js'
import { type Clock } from '../../runtime/core/clock.js'
import { type Digest, parseDigest } from '../../runtime/core/digest.js'
import { AppError, isAppError, messageOf } from '../../runtime/core/errors.js'
import { field, parseJson } from '../../runtime/core/json.js'
import { type Prng, seededPrng, shuffle } from '../../runtime/core/prng.js'
import { type Logger } from '../../runtime/observe/log.js'
import { buildIndexApi } from '../api/build-index.js'
import { type Method, escapeSegment, pathOf } from '../api/route.js'
import { isNetworkError, must200 } from './answers.js'
import { type CallOptions, type RecordClient, type TagClient } from './clients.js'
import { hedged } from './hedge.js'
import { type Hosts } from './hosts.js'
import { type Http, type HttpAnswer } from './http.js'
import { IndexRecords } from './record-client.js'
import { type Sleep, systemSleep, type Upstream, watchActively, watchPassively } from './upstream.js'

const SHORT_MS = 5_000
const LOOKUP_MS = 10_000
const PUT_MS = 30_000
const REPLICATE_MS = 15_000
const LIST_MS = 60_000
/** Kraken's build-indexes answer a whole listing at once. */
const LIST_BYTES_MAX = 64 * 1024 * 1024
const PAGES_MAX = 10_000

export interface TagClientOptions {
  readonly hosts: UpstreamConfig
  readonly http: Http
  readonly log: Logger
  /** Agents learn from failed calls only (`passive`), all others ask for the hosts' health; default `active`. */
  readonly health?: 'active' | 'passive'
  readonly clock?: Clock
  readonly sleep?: Sleep
  readonly prng?: Prng
  /** Replaces the resolution of `hosts`. */
  readonly resolve?: Hosts
  /** What is waited with until a second build-index is asked beside one that says nothing. */
  readonly patience?: Sleep
}

/** The build-indexes of a cluster as one; their health is watched until `close`. */
export function createTagClient (options: TagClientOptions): TagClient & { readonly records: RecordClient, close (): Promise<void> } {
  return new ClusterTagClient(options)
}

/** One request of the kind that any build-index can answer. */
interface Call {
  readonly method: Method
  readonly path: string
  readonly timeoutMs: number
  readonly answerBytesMax?: number
}

/** Calls go to a random host, and to another if there is no HTTP answer, or 503 (http-api specification 1.10). */
class ClusterTagClient implements TagClient {
  readonly records: RecordClient
  readonly #upstream: Upstream
  readonly #http: Http
  readonly #prng: Prng
  readonly #patience: Sleep

  constructor (options: TagClientOptions) {
    const { hosts, http, log, health = 'active', clock, sleep = systemSleep, prng = seededPrng(randomInt(2 ** 32)), patience = systemSleep } = options
    const watch = health === 'active' ? watchActively : watchPassively
    this.#upstream = watch(hosts, { http, log, clock, sleep, hosts: options.resolve })
    this.#http = http
    this.#prng = prng
    this.#patience = patience
    this.records = new IndexRecords({
      hosts: async () => this.#http.wellOnes(await this.#hosts()),
      all: async () => await this.#inOrder(),
      sleep,
      callAt: async (address, call, { signal } = {}) => {
        return await this.#http.call({ ...call, address, signal, isReplaceable: true }).catch((error: unknown) => {
          if (isNetworkError(error)) this.#upstream.reportFailure(address)
          throw error
        })
      }
    }, log)
  }

  async close (): Promise<void> { await this.#upstream.close() }

  async put (tag: string, digest: Digest, options: CallOptions & { replicate?: boolean, onlyIf?: Digest | 'none' } = {}): Promise<void> {
    const { replicate = false, onlyIf } = options
    const query = [...replicate ? ['replicate=true'] : [], ...onlyIf === undefined ? [] : [`onlyif=${onlyIf}`]].join('&')
    const call: Call = { method: 'PUT', path: pathOf(buildIndexApi.putTag, { tag, digest }) + (query === '' ? '' : `?${query}`), timeoutMs: PUT_MS }
    // With a condition all ask the same build-index, which lets them take turns.
    const answer = await this.#call(call, options, onlyIf === undefined ? undefined : (await this.#hosts()).toSorted())
    if (answer.status === 409) throw new AppError('TAG_EXISTS', answer.text)
    must200(`put of tag ${tag}`, answer)
  }

  async get (tag: string, options?: CallOptions): Promise<Digest | undefined> {
    const answer = await this.#call({ method: 'GET', path: pathOf(buildIndexApi.getTag, { tag }), timeoutMs: LOOKUP_MS }, options)
    return answer.status === 404 ? undefined : parseDigest(must200(`tag ${tag}`, answer).text)
  }

  async has (tag: string, options?: CallOptions): Promise<boolean> {
    const answer = await this.#call({ method: 'HEAD', path: pathOf(buildIndexApi.hasTag, { tag }), timeoutMs: LOOKUP_MS }, options)
    return answer.status !== 404 && must200(`tag ${tag}`, answer).status === 200
  }

  async list (prefix: string, options?: CallOptions): Promise<string[]> {
    return await this.#list(`/list/${prefix.split('/').map(escapeSegment).join('/')}`, options)
  }

  async listRepository (repository: string, options?: CallOptions): Promise<string[]> {
    // Escaped twice, as Kraken's client does it (http-api specification 1.2).
    return await this.#list(pathOf(buildIndexApi.repositoryTags, { repo: escapeSegment(repository) }), options)
  }

  async replicate (tag: string, options?: CallOptions): Promise<boolean> {
    const answer = await this.#call({ method: 'POST', path: pathOf(buildIndexApi.replicate, { tag }), timeoutMs: REPLICATE_MS }, options)
    return answer.status !== 404 && must200(`replication of tag ${tag}`, answer).status === 200
  }

  async origin (options?: CallOptions): Promise<string> {
    const what = 'the origin of the build-index'
    const { text } = must200(what, await this.#call({ method: 'GET', path: buildIndexApi.origin.path, timeoutMs: SHORT_MS }, options))
    return text.trim()
  }

  async checkReadiness (options?: CallOptions): Promise<void> {
    const [host] = await this.#hosts()
    if (host === undefined) throw new AppError('UNAVAILABLE', 'there are no build-indexes')
    const answer = await this.#http.call({
      method: 'GET', address: host, path: buildIndexApi.readiness.path, timeoutMs: SHORT_MS, signal: options?.signal
    })
    must200(`readiness of ${host}`, answer)
  }

  /** Follows the continuation tokens; without a limit, so that a server that lists all at once may do so. */
  async #list (path: string, options?: CallOptions): Promise<string[]> {
    const names: string[] = []
    let offset = ''
    for (let page = 0; page < PAGES_MAX; page++) {
      const query = offset === '' ? '' : `?offset=${encodeURIComponent(offset)}`
      const call: Call = { method: 'GET', path: path + query, timeoutMs: LIST_MS, answerBytesMax: LIST_BYTES_MAX }
      const answer = parseJson(must200(`list of ${path}`, await this.#call(call, options)).text, `list of ${path}`)
      const result: unknown = field(answer, 'result')
      if (Array.isArray(result)) for (const name of result) if (typeof name === 'string') names.push(name)
      const next = offsetOf(field(field(answer, 'Links'), 'next'))
      if (next === '' || next === offset) return names
      offset = next
    }
    throw new AppError('UNAVAILABLE', `the list of ${path} has no end after ${PAGES_MAX} pages`)
  }

  /** Reads are asked of a second host beside one that says nothing; writes only when the first one is known to be gone. */
  async #call (call: Call, { signal }: CallOptions = {}, order?: readonly string[]): Promise<HttpAnswer> {
    const hosts = order === undefined ? await this.#inOrder() : this.#http.wellFirst(order)
    const last = hosts.at(-1)
    const asked = await hedged(hosts, {
      ask: async address => {
        try {
          return await this.#http.call({ ...call, address, signal, isReplaceable: address !== last })
        } catch (error) {
          if (isNetworkError(error)) this.#upstream.reportFailure(address)
          throw error
        }
      },
      // It cannot tell, or is about to stop: the next one may.
      isGood: ({ status }) => status !== 503,
      isFinal: error => !isNetworkError(error),
      sleep: this.#patience,
      ...(call.method === 'GET' || call.method === 'HEAD' ? {} : { afterMs: Infinity })
    })
    if (asked.isGood) return asked.answer
    const { answers: [answer], failures } = asked
    if (answer !== undefined) return answer
    if (failures.length === 1 && isAppError(failures[0])) throw failures[0]
    const reasons = failures.length === 0 ? 'there are none' : failures.map(messageOf).join('; ')
    throw new AppError('UNAVAILABLE', `all build-indexes unavailable: ${reasons}`, { cause: failures.at(-1) })
  }

  /** Those that are well in random order, then the others: what is known of them may be out of date. */
  async #inOrder (): Promise<string[]> {
    const well = await this.#hosts()
    const others = (await this.#upstream.all()).filter(host => !well.includes(host))
    return [...this.#http.wellFirst(well), ...this.#http.wellFirst(others)]
  }

  async #hosts (): Promise<string[]> { return shuffle([...await this.#upstream.hosts()], this.#prng) }
}

/** The continuation token in the relative URL of the next page; '' on the last one. */
function offsetOf (next: unknown): string {
  if (typeof next !== 'string' || !next.includes('?')) return ''
  return new URLSearchParams(next.slice(next.indexOf('?'))).get('offset') ?? ''
}
