import { join } from 'node:path'
import { buildIndexApi } from '../../net/api/build-index.js'
import { pathOf } from '../../net/api/route.js'
import { must200 } from '../../net/client/answers.js'
import { type Http } from '../../net/client/http.js'
import { createTagClient } from '../../net/client/tag-client.js'
import { type Sleep } from '../../net/client/upstream.js'
import { type UpstreamConfig } from '../config/types.js'
import { type Clock } from '../core/clock.js'
import { messageOf } from '../core/errors.js'
import { forEachLimited } from '../core/limited.js'
import { type Logger } from '../observe/log.js'
import { replaceFile, statIfPresent, syncDir } from '../store/files.js'
import { isCredible, parseVersion, type TagVersion } from '../store/tag-version.js'

const FILE_NAME = 'learnt'
/** Tags that are learnt at the same time. */
const LEARNING_MAX = 8
const AGAIN_MS = 250
const ANSWER_MS = 10_000
/** A neighbour that never comes must not keep us from knowing what is not there for ever. */
const GIVE_UP_MS = 10 * 60_000

export interface LearningOptions {
  /** Where it is noted that everything was learnt: beside the tags, so that it is lost with them. */
  readonly dir: string
  readonly addresses: () => Promise<readonly string[]>
  readonly isKnown: (tag: string) => boolean
  readonly keep: (tag: string, version: TagVersion) => Promise<unknown>
  readonly http: Http
  readonly clock: Clock
  readonly sleep: Sleep
  readonly log: Logger
}

/**
 * Learns from the neighbours what they know and we do not, as after a disk was lost. Until that is done, that a tag is not
 * here says nothing. What changed while we were merely away they tell us by themselves, and every read asks them.
 */
export class Learning {
  #isDone: boolean

  private constructor (readonly options: LearningOptions, isDone: boolean) { this.#isDone = isDone }

  /** @throws AppError STORAGE */
  static async open (options: LearningOptions): Promise<Learning> {
    return new Learning(options, await statIfPresent(join(options.dir, FILE_NAME)) !== undefined)
  }

  /** Whether we have, once since our disk was empty, learnt all that the neighbours knew. */
  get isDone (): boolean { return this.#isDone }

  /** Resolves when everything was learnt from everybody. @throws AppError STORAGE */
  async run (signal: AbortSignal): Promise<void> {
    const { addresses, clock, sleep, log, dir } = this.options
    const giveUpAt = clock.now() + GIVE_UP_MS
    const done = new Set<string>()
    let count = 0
    while (!signal.aborted) {
      const rest = (await addresses()).filter(address => !done.has(address))
      for (const address of rest) {
        const learnt = await this.#learnFrom(address, signal)
        if (learnt === undefined) continue
        done.add(address)
        count += learnt
      }
      const isGivenUp = clock.now() >= giveUpAt
      if (rest.every(address => done.has(address)) || isGivenUp || (this.#isDone && done.size > 0)) {
        if (count > 0) log.info({ count }, 'tags learnt from neighbours')
        if (isGivenUp) log.error({ rest }, 'neighbours never answered: tags that only they know are taken for absent')
        break
      }
      await sleep(AGAIN_MS, signal).catch(() => {})
    }
    if (signal.aborted || this.#isDone) return
    await replaceFile(join(dir, FILE_NAME), Buffer.from('all\n'), { isDurable: true })
    await syncDir(dir)
    this.#isDone = true
  }

  /** @returns how many tags; undefined if it could not be asked for all */
  async #learnFrom (address: string, signal: AbortSignal): Promise<number | undefined> {
    const { http, log, isKnown, keep } = this.options
    const client = createTagClient({ hosts: only(address), http, log, health: 'passive' })
    try {
      const unknown = (await client.list('', { signal })).filter(name => !isKnown(name))
      await forEachLimited(unknown, LEARNING_MAX, async tag => {
        const version = await this.#versionAt(address, tag, signal)
        if (version !== undefined) await keep(tag, version)
      })
      return unknown.length
    } catch (error) {
      if (!signal.aborted) log.warn({ address, reason: messageOf(error) }, 'tags of a neighbour not read')
      return undefined
    } finally {
      await client.close()
    }
  }

  async #versionAt (address: string, tag: string, signal: AbortSignal): Promise<TagVersion | undefined> {
    const { http, clock } = this.options
    const answer = await http.call({ method: 'GET', address, path: pathOf(buildIndexApi.tagVersion, { tag }), timeoutMs: ANSWER_MS, signal })
    if (answer.status === 404) return undefined
    const version = parseVersion(must200(`version of tag ${tag} at ${address}`, answer).text)
    return version !== undefined && isCredible(version.stamp, clock.wall()) ? version : undefined
  }
}

function only (address: string): UpstreamConfig {
  return { hosts: { static: [address], dns: undefined, ttlMs: 1 }, health: { failsMax: 1, passesMin: 1, timeoutMs: 1, intervalMs: 1 } }
}
