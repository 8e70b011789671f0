import { AppError, isAppError, messageOf } from '../../runtime/core/errors.js'
import { field, parseJson } from '../../runtime/core/json.js'
import { type Digest } from '../../runtime/core/digest.js'
import { type Logger } from '../../runtime/observe/log.js'
import { buildIndexApi } from '../api/build-index.js'
import { type Method, pathOf } from '../api/route.js'
import { isNetworkError, must200, refusal } from './answers.js'
import { type CallOptions, type RecordClient } from './clients.js'
import { type HttpAnswer } from './http.js'
import { type Sleep } from './upstream.js'

const TIMEOUT_MS = 10_000
/** How long those are waited for who answer later than the others. */
const PATIENCE_MS = 500

/** One request to one build-index. */
export interface RecordCall {
  readonly method: Method
  readonly path: string
  readonly timeoutMs: number
  readonly body?: string
}

/** How the build-indexes are reached. */
export interface RecordHosts {
  /** Those that are well, in random order. */
  hosts (): Promise<readonly string[]>
  /** All, those that are well first. */
  all (): Promise<readonly string[]>
  /** @throws AppError NETWORK, TIMED_OUT if there is no answer */
  callAt (address: string, call: RecordCall, options?: CallOptions): Promise<HttpAnswer>
  readonly sleep: Sleep
}

/**
 * Records, and deletes of tags, at all build-indexes of a cluster: what is written is on every one that is well when this
 * resolves, on record for those that are not, and of what they say the newest counts. So one that was away during a write
 * is outvoted, and set right by the next reader. Build-indexes of Kraken's have no such routes.
 */
export class IndexRecords implements RecordClient {
  constructor (readonly at: RecordHosts, readonly log: Logger) {}

  async record (key: string, options?: CallOptions): Promise<string | undefined> {
    const path = pathOf(buildIndexApi.getRecord, { key })
    const found = await this.#each(await this.#hosts(), { method: 'GET', path, timeoutMs: TIMEOUT_MS }, options, answer => {
      return answer.status === 404 ? undefined : recordOf(key, must200(`record ${key}`, answer).text)
    })
    const newest = found.map(({ result }) => result).reduce((a, b) => (b?.version ?? 0) > (a?.version ?? 0) ? b : a, undefined)
    if (newest === undefined) return undefined
    const behind = found.filter(({ result }) => (result?.version ?? 0) < newest.version).map(({ address }) => address)
    if (behind.length > 0) await this.#duplicate(behind, key, newest).catch((error: unknown) => { this.log.warn({ key, error: messageOf(error) }, 'record not repaired') })
    return newest.value
  }

  async putRecord (key: string, value: string, options?: CallOptions): Promise<void> {
    const hosts = await this.at.all()
    for (const [i, address] of hosts.entries()) {
      try {
        return await this.#putAt(address, key, value, options)
      } catch (error) {
        if (!isNetworkError(error) || i === hosts.length - 1) throw error
      }
    }
    throw noneAtAll()
  }

  async deleteTag (tag: string, { digest, ...options }: CallOptions & { readonly digest?: Digest } = {}): Promise<boolean> {
    const query = digest === undefined ? '' : `?digest=${digest}`
    const call: RecordCall = { method: 'DELETE', path: pathOf(buildIndexApi.deleteTag, { tag }) + query, timeoutMs: TIMEOUT_MS }
    const settled = await Promise.allSettled((await this.#hosts()).map(async address => {
      const answer = await this.at.callAt(address, call, options)
      if (answer.status === 202) return true
      if (answer.status === 404) return false
      throw answer.status === 405 ? unsupported(address) : refusal(`delete of tag ${tag}`, answer)
    }))
    const isDeleted = settled.some(outcome => outcome.status === 'fulfilled' && outcome.value)
    for (const outcome of settled) {
      if (outcome.status === 'fulfilled') continue
      // One that is away is told by those that know, when it is back.
      if (!isDeleted || !isNetworkError(outcome.reason)) throw asAppError(outcome.reason)
      this.log.warn({ tag, error: messageOf(outcome.reason) }, 'tag not deleted everywhere')
    }
    return isDeleted
  }

  async #putAt (address: string, key: string, value: string, options?: CallOptions): Promise<void> {
    const call: RecordCall = { method: 'PUT', path: pathOf(buildIndexApi.putRecord, { key }), timeoutMs: TIMEOUT_MS, body: JSON.stringify({ value }) }
    const answer = await this.at.callAt(address, call, options)
    if (answer.status === 404 || answer.status === 405) throw unsupported(address)
    const version = Number(field(parseJson(must200(`put of record ${key}`, answer).text, `put of record ${key}`), 'version'))
    const others = (await this.#hosts()).filter(host => host !== address)
    await this.#duplicateOrOwe(address, others, key, { value, version }, options)
  }

  /** One that is away is told by the one that has the record, as soon as it is back. */
  async #duplicateOrOwe (
    holder: string, hosts: readonly string[], key: string, record: { value: string, version: number }, options?: CallOptions
  ): Promise<void> {
    const away = new Set((await this.at.all()).filter(host => host !== holder))
    let refusal: unknown
    const writing = hosts.map(async host => {
      try {
        await this.#duplicate([host], key, record, options)
        away.delete(host)
      } catch (error) {
        if (!isNetworkError(error)) refusal ??= error
      }
    })
    await this.#patiently(writing)
    if (refusal !== undefined) throw asAppError(refusal)
    if (away.size === 0) return
    this.log.warn({ key, away: [...away] }, 'record not written everywhere')
    const query = new URLSearchParams()
    for (const address of away) query.append('owed_to', address)
    const path = `${pathOf(buildIndexApi.putDuplicateRecord, { key })}?${query.toString()}`
    const answer = await this.at.callAt(holder, { method: 'PUT', path, timeoutMs: TIMEOUT_MS, body: JSON.stringify(record) }, options)
    must200(`record ${key}`, answer)
  }

  async #duplicate (hosts: readonly string[], key: string, record: { value: string, version: number }, options?: CallOptions): Promise<void> {
    const path = pathOf(buildIndexApi.putDuplicateRecord, { key })
    await this.#all(hosts, { method: 'PUT', path, timeoutMs: TIMEOUT_MS, body: JSON.stringify(record) }, options, (answer, address) => {
      if (answer.status === 404 || answer.status === 405) throw unsupported(address)
      must200(`duplicate of record ${key}`, answer)
    })
  }

  /** The results of those that answer. @throws a failure if nobody does */
  async #each<T> (
    hosts: readonly string[], call: RecordCall, options: CallOptions | undefined, read: (answer: HttpAnswer) => T
  ): Promise<Array<{ address: string, result: T }>> {
    const found: Array<{ address: string, result: T }> = []
    const failures: unknown[] = []
    let answered: () => void = () => {}
    const firstAnswer = new Promise<void>(resolve => { answered = resolve })
    const asking = hosts.map(async address => {
      try {
        found.push({ address, result: read(await this.at.callAt(address, call, options)) })
        answered()
      } catch (error) {
        failures.push(error)
      }
    })
    await Promise.race([Promise.all(asking), firstAnswer])
    await this.#patiently(asking)
    if (found.length > 0 || failures.length === 0) return [...found]
    throw asAppError(failures[0])
  }

  /** Waits for all of it, but for one that says nothing no longer than a moment. */
  async #patiently (work: ReadonlyArray<Promise<void>>): Promise<void> {
    const over = new AbortController()
    await Promise.race([Promise.all(work), this.at.sleep(PATIENCE_MS, over.signal).catch(() => {})])
    over.abort()
  }

  /** The results of all hosts. @throws what any of them failed with, when all are done */
  async #all<T> (
    hosts: readonly string[], call: RecordCall, options: CallOptions | undefined, read: (answer: HttpAnswer, address: string) => T
  ): Promise<T[]> {
    const settled = await Promise.allSettled(hosts.map(async address => read(await this.at.callAt(address, call, options), address)))
    return settled.map(outcome => {
      if (outcome.status === 'fulfilled') return outcome.value
      throw asAppError(outcome.reason)
    })
  }

  async #hosts (): Promise<readonly string[]> {
    const hosts = await this.at.hosts()
    if (hosts.length === 0) throw noneAtAll()
    return hosts
  }
}

function noneAtAll (): AppError { return new AppError('UNAVAILABLE', 'all build-indexes unavailable: there are none') }

function recordOf (key: string, text: string): { value: string, version: number } {
  const document = parseJson(text, `record ${key}`)
  return { value: String(field(document, 'value') ?? ''), version: Number(field(document, 'version')) }
}

function asAppError (reason: unknown): AppError {
  return isAppError(reason) ? reason : new AppError('INTERNAL', messageOf(reason), { cause: reason })
}

function unsupported (address: string): AppError {
  return new AppError('UNSUPPORTED', `the build-index ${address} is of a kind that cannot delete and keeps no records of repositories`)
}
