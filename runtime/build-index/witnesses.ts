import { originApi } from '../../net/api/origin.js'
import { type Method, pathOf } from '../../net/api/route.js'
import { must200 } from '../../net/client/answers.js'
import { type Http, type HttpAnswer } from '../../net/client/http.js'
import { type Clock } from '../core/clock.js'
import { messageOf } from '../core/errors.js'
import { type Logger } from '../observe/log.js'
import { formatVersion, isCredible, parseVersion, type TagVersion } from '../store/tag-version.js'

/** Longer is nobody waited for: others can stand in. */
const ANSWER_MS = 3_000

/** `unable`: an origin of Kraken's, which keeps no marks. */
export type WitnessAnswer = { readonly kind: 'version', readonly version: TagVersion | undefined } | { readonly kind: 'unable' }

export interface WitnessesOptions {
  /** All origins of the cluster, well or not. */
  readonly addresses: () => Promise<readonly string[]>
  readonly http: Http
  readonly clock: Clock
  readonly log: Logger
}

/**
 * The origins as witnesses of where tags point, for as long as a build-index is away: together with the build-indexes they
 * are so many that two that are left have met one that knows (`Quorum`).
 */
export class Witnesses {
  constructor (readonly options: WitnessesOptions) {}

  async addresses (): Promise<readonly string[]> {
    try {
      return await this.options.addresses()
    } catch (error) {
      this.options.log.warn({ reason: messageOf(error) }, 'origins not known')
      return []
    }
  }

  /** What one of them has on record of a tag. @throws AppError if it does not answer */
  async ask (address: string, tag: string, signal: AbortSignal): Promise<WitnessAnswer> {
    const answer = await this.#call(address, 'GET', originApi.getTagMark, tag, undefined, signal)
    if (isUnable(answer)) return { kind: 'unable' }
    if (answer.status === 204) return { kind: 'version', version: undefined }
    const version = parseVersion(must200(`mark of tag ${tag} at ${address}`, answer).text)
    return { kind: 'version', version: version !== undefined && isCredible(version.stamp, this.options.clock.wall()) ? version : undefined }
  }

  /** Puts a version on record at one of them; false if it keeps no records. @throws AppError if it does not answer */
  async mark (address: string, tag: string, version: TagVersion): Promise<boolean> {
    const answer = await this.#call(address, 'PUT', originApi.putTagMark, tag, version)
    if (isUnable(answer)) return false
    must200(`mark of tag ${tag} at ${address}`, answer)
    return true
  }

  /** All build-indexes know it by now. What cannot be taken away does no harm. */
  async unmark (tag: string, version: TagVersion): Promise<void> {
    await Promise.allSettled((await this.addresses()).filter(address => !this.options.http.isSilent(address)).map(async address => {
      await this.#call(address, 'DELETE', originApi.deleteTagMark, tag, version)
    }))
  }

  async #call (
    address: string, method: Method, route: typeof originApi.getTagMark | typeof originApi.putTagMark | typeof originApi.deleteTagMark,
    tag: string, version?: TagVersion, signal?: AbortSignal
  ): Promise<HttpAnswer> {
    const body = version === undefined ? undefined : formatVersion(version)
    return await this.options.http.call({ method, address, path: pathOf(route, { tag }), body, signal, timeoutMs: ANSWER_MS, isReplaceable: true })
  }
}

function isUnable ({ status }: HttpAnswer): boolean { return status === 404 || status === 405 }
