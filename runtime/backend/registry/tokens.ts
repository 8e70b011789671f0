import { type Clock, type Millis, after } from '../../core/clock.js'
import { AppError } from '../../core/errors.js'
import { isRecord } from '../../core/json.js'
import { type Web } from '../web.js'
import { type Challenge } from './challenge.js'
import { type Credentials } from './credentials.js'

/** How long a token is good for if the server does not say. */
const LIFETIME_DEFAULT_S = 60
/** Tokens are given up so much before their end. */
const MARGIN_MS = 10_000
const TOKENS_MAX = 1_000
const ANSWER_BYTES_MAX = 256 * 1024

interface Token { readonly value: string, readonly until: Millis }

/**
 * What goes into `Authorization`, by repository: kept while it is good, and asked for once however many requests need it
 * (cluster specification 5.9).
 */
export class Tokens {
  readonly #known = new Map<string, Token>()
  readonly #asking = new Map<string, Promise<string>>()

  constructor (readonly web: Web, readonly credentials: () => Promise<Credentials>, readonly clock: Clock) {}

  /** What was good for the repository the last time, if that is not too long ago. */
  known (repository: string): string | undefined {
    const token = this.#known.get(repository)
    if (token !== undefined && token.until > this.clock.now()) return token.value
    this.#known.delete(repository)
    return undefined
  }

  /**
   * Meets a challenge; `refused` is the header that was sent and did not do.
   * @throws AppError UNAVAILABLE if there is nothing to meet it with
   */
  async meet (challenge: Challenge, repository: string, refused: string | undefined): Promise<string> {
    const known = this.known(repository)
    if (known !== undefined && known !== refused) return known
    this.#known.delete(repository)
    const asking = this.#asking.get(repository) ?? this.#ask(challenge, repository).finally(() => { this.#asking.delete(repository) })
    this.#asking.set(repository, asking)
    return await asking
  }

  async #ask (challenge: Challenge, repository: string): Promise<string> {
    const credentials = await this.credentials()
    if (credentials.kind === 'bearer') return this.#keep(repository, `Bearer ${credentials.token}`, LIFETIME_DEFAULT_S)
    if (challenge.scheme === 'basic') {
      if (credentials.kind === 'password') return this.#keep(repository, basicOf(credentials), LIFETIME_DEFAULT_S)
      throw new AppError('UNAVAILABLE', 'the registry wants a username and a password: set security.basic')
    }
    const { value, lifetimeS } = await this.#fetch(challenge, repository, credentials)
    return this.#keep(repository, `Bearer ${value}`, lifetimeS)
  }

  async #fetch (
    { realm, service, scope }: Extract<Challenge, { scheme: 'bearer' }>, repository: string, credentials: Credentials
  ): Promise<{ value: string, lifetimeS: number }> {
    const asked = { ...service === undefined ? {} : { service }, scope: scope ?? `repository:${repository}:pull` }
    const answer = credentials.kind === 'identity'
      ? await this.web.follow({
        method: 'POST',
        url: realm,
        headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({ ...asked, grant_type: 'refresh_token', refresh_token: credentials.token, client_id: 'shoal' }).toString()
      })
      : await this.web.follow({
        method: 'GET',
        url: `${realm}${realm.includes('?') ? '&' : '?'}${new URLSearchParams(asked).toString()}`,
        headers: credentials.kind === 'password' ? { Authorization: basicOf(credentials) } : {}
      })
    if (answer.status !== 200) throw answer.unexpected()
    const body: unknown = JSON.parse(await answer.text(ANSWER_BYTES_MAX))
    const value = isRecord(body) ? body['token'] ?? body['access_token'] : undefined
    if (!isRecord(body) || typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value)) throw new AppError('UNAVAILABLE', `${answer.what}: there is no token in the answer`)
    const lifetimeS = body['expires_in']
    return { value, lifetimeS: typeof lifetimeS === 'number' && lifetimeS > 0 ? lifetimeS : LIFETIME_DEFAULT_S }
  }

  #keep (repository: string, value: string, lifetimeS: number): string {
    const oldest = this.#known.keys().next()
    if (this.#known.size >= TOKENS_MAX && oldest.done !== true) this.#known.delete(oldest.value)
    this.#known.set(repository, { value, until: after(this.clock.now(), Math.max(0, lifetimeS * 1000 - MARGIN_MS)) })
    return value
  }
}

function basicOf ({ username, password }: { username: string, password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}
