import { type UpstreamRegistryConfig } from '../../config/types.js'
import { systemClock } from '../../core/clock.js'
import { AppError, isAppError } from '../../core/errors.js'
import { Web, type WebAnswer } from '../web.js'
import { parseChallenge } from './challenge.js'
import { credentialsOf } from './credentials.js'
import { Tokens } from './tokens.js'

/** Manifests that are asked for, in this order (cluster specification 5.9). */
export const MANIFEST_TYPES = [
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json'
].join(', ')

const REPOSITORY = /^[A-Za-z0-9_][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_][A-Za-z0-9._-]*)*$/
const REPOSITORY_LENGTH_MAX = 512

export interface RegistryRequest {
  readonly method: 'GET' | 'HEAD'
  /** Without a tag. */
  readonly repository: string
  /** What follows the repository, such as `manifests/latest`. */
  readonly what: string
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal | undefined
}

/** Another registry, read with whatever credentials it asks for. */
export class Registry {
  readonly #web: Web
  readonly #tokens: Tokens
  /** Whether plain HTTP turned out to be what it speaks. */
  #isPlain: boolean

  /** @throws AppError CONFIG_INVALID */
  constructor (readonly config: UpstreamRegistryConfig) {
    const { name, authorities, client } = config.security.tls
    this.#isPlain = client.isDisabled
    const tls = { name, authorities, certFile: client.cert, keyFile: client.key, passphraseFile: client.passphrase }
    this.#web = new Web({ idleMs: config.idleMs, tls })
    this.#tokens = new Tokens(this.#web, async () => await credentialsOf(config), systemClock)
  }

  /** The answer of the registry, or of where it redirects to. @throws AppError NAME_INVALID, NETWORK, TIMED_OUT, CANCELLED, UNAVAILABLE */
  async ask ({ method, repository: asked, what, headers = {}, signal }: RegistryRequest): Promise<WebAnswer> {
    const { prefix = '' } = this.config
    const repository = asked.startsWith(prefix) ? asked.slice(prefix.length) : asked
    checkRepository(repository)
    const send = async (authorization: string | undefined): Promise<WebAnswer> => await this.#send({
      method, path: `/v2/${repository}/${what}`, headers: { ...headers, ...authorization === undefined ? {} : { Authorization: authorization } }, signal
    })
    const known = this.#tokens.known(repository)
    const answer = await send(known)
    const challenge = answer.status === 401 ? parseChallenge(answer.header('www-authenticate')) : undefined
    if (challenge === undefined) return answer
    answer.discard()
    return await send(await this.#tokens.meet(challenge, repository, known))
  }

  /** Resolves if the registry answers, whatever it says about who we are. */
  async check (signal: AbortSignal | undefined): Promise<void> {
    const answer = await this.#send({ method: 'GET', path: '/v2/', headers: {}, signal })
    if (answer.status !== 200 && answer.status !== 401) throw answer.unexpected()
    answer.discard()
  }

  async close (): Promise<void> { await this.#web.close() }

  async #send (
    { path, ...request }: { method: 'GET' | 'HEAD', path: string, headers: Readonly<Record<string, string>>, signal: AbortSignal | undefined }
  ): Promise<WebAnswer> {
    const { address, security: { canFallBack } } = this.config
    if (this.#isPlain) return await this.#web.follow({ ...request, url: `http://${address}${path}` })
    try {
      return await this.#web.follow({ ...request, url: `https://${address}${path}` })
    } catch (error) {
      if (!canFallBack || !isAppError(error, 'NETWORK')) throw error
      const answer = await this.#web.follow({ ...request, url: `http://${address}${path}` })
      this.#isPlain = true
      return answer
    }
  }
}

/** @throws AppError NAME_INVALID */
function checkRepository (repository: string): void {
  if (repository.length > REPOSITORY_LENGTH_MAX || !REPOSITORY.test(repository)) {
    throw new AppError('NAME_INVALID', `${JSON.stringify(repository.slice(0, 256))} is no repository of a registry`)
  }
}
