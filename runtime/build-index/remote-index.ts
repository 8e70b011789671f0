import { buildIndexApi, TAG_VERSION_HEADER } from '../../net/api/build-index.js'
import { type Method, pathOf } from '../../net/api/route.js'
import { must200 } from '../../net/client/answers.js'
import { type Http, type HttpAnswer } from '../../net/client/http.js'
import { type Digest, parseDigest } from '../core/digest.js'
import { AppError } from '../core/errors.js'
import { formatVersion, parseVersion, type TagVersion } from '../store/tag-version.js'

const LOOKUP_MS = 10_000
/** It checks all that the tag needs before it answers. */
const PUT_MS = 30_000

/** The build-index of another cluster, of Kraken's or ours (http-api specification 7.1). */
export class RemoteIndex {
  constructor (readonly address: string, readonly http: Http) {}

  async get (tag: string, signal: AbortSignal): Promise<Digest | undefined> {
    const answer = await this.#call('GET', pathOf(buildIndexApi.getTag, { tag }), LOOKUP_MS, signal)
    return answer.status === 404 ? undefined : parseDigest(must200(`tag ${tag} at ${this.address}`, answer).text)
  }

  /** Since when the tag points where; one that was deleted points at `DELETED`. Undefined too if it is one of Kraken's. */
  async version (tag: string, signal: AbortSignal): Promise<TagVersion | undefined> {
    const answer = await this.#call('GET', pathOf(buildIndexApi.tagVersion, { tag }), LOOKUP_MS, signal)
    return answer.status === 200 ? parseVersion(answer.text) : undefined
  }

  /** Points the tag there, and has it passed on to the clusters that this one copies it to. */
  async put (tag: string, digest: Digest, version: TagVersion | undefined, signal: AbortSignal): Promise<void> {
    const headers: Record<string, string> = version === undefined ? {} : { [TAG_VERSION_HEADER]: formatVersion(version) }
    const path = `${pathOf(buildIndexApi.putTag, { tag, digest })}?replicate=true`
    must200(`put of tag ${tag} at ${this.address}`, await this.#call('PUT', path, PUT_MS, signal, headers))
  }

  /** Where the origins of that cluster are. @throws AppError UNAVAILABLE */
  async origin (signal: AbortSignal): Promise<string> {
    const { text } = must200(`the origins behind ${this.address}`, await this.#call('GET', buildIndexApi.origin.path, LOOKUP_MS, signal))
    const address = text.trim()
    if (address !== '') return address
    throw new AppError('UNAVAILABLE', `${this.address} does not say where its origins are`)
  }

  async #call (method: Method, path: string, timeoutMs: number, signal: AbortSignal, headers: Record<string, string> = {}): Promise<HttpAnswer> {
    return await this.http.call({ method, address: this.address, path, headers, timeoutMs, signal })
  }
}
