import { Redis } from 'ioredis'
import { type Clock, type Millis } from '../core/clock.js'
import { AppError, messageOf } from '../core/errors.js'
import { type Logger } from '../observe/log.js'

/** Rounds of commands that may wait for their replies. */
const PENDING_MAX = 10_000
/** Pauses between two attempts to connect. */
const CONNECT_PAUSE_MIN_MS = 50
const CONNECT_PAUSE_MAX_MS = 2_000

export interface RedisLinkOptions {
  /** `host:port`. */
  readonly address: string
  readonly connectMs: number
  /** How long a reply is waited for; then the connection is given up for a new one. */
  readonly replyMs: number
  readonly clock: Clock
  readonly log: Logger
}

/** A command and its arguments. */
export type RedisCommand = readonly [name: string, ...args: ReadonlyArray<string | number>]

/**
 * One connection to Redis, made anew whenever it is lost. Who asks while there is none is told at once, and one that stands
 * still counts as none: nobody waits for it longer than for one reply.
 */
export class RedisLink {
  readonly #redis: Redis
  #pending = 0
  #failure = 'it has not been connected yet'
  #lostAt: Millis | undefined

  constructor (readonly options: RedisLinkOptions) {
    const { address, connectMs, log, clock } = options
    const { hostname, port } = new URL(`redis://${address}`)
    this.#redis = new Redis({
      host: hostname.replace(/^\[|\]$/g, ''),
      port: Number(port),
      connectTimeout: connectMs,
      // What the oldest servers in use understand.
      protocol: 2,
      disableClientInfo: true,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      retryStrategy: tries => Math.min(CONNECT_PAUSE_MIN_MS * 2 ** Math.min(tries, 16), CONNECT_PAUSE_MAX_MS)
    })
    this.#redis.on('error', error => { this.#lost(messageOf(error)) })
    this.#redis.on('close', () => { this.#lost('the connection was closed') })
    this.#redis.on('ready', () => {
      log.info({ address, awayMs: this.#lostAt === undefined ? undefined : clock.now() - this.#lostAt }, 'redis connected')
      this.#lostAt = undefined
    })
  }

  /** Whether commands can be sent now. */
  get isUp (): boolean { return this.#redis.status === 'ready' && this.#lostAt === undefined && this.#pending < PENDING_MAX }

  /** Why not. */
  get failure (): string { return this.#pending >= PENDING_MAX ? `${this.#pending} replies are waited for` : this.#failure }

  /** Sends all commands at once and answers with their replies. @throws AppError UNAVAILABLE if any of them failed */
  async run (commands: readonly RedisCommand[]): Promise<unknown[]> {
    if (!this.isUp) throw new AppError('UNAVAILABLE', `redis at ${this.options.address}: ${this.failure}`)
    this.#pending++
    let timer: NodeJS.Timeout | undefined
    try {
      const late = new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => { reject(new Error(`no reply within ${this.options.replyMs} ms`)) }, this.options.replyMs)
      })
      const replies = await Promise.race([this.#redis.pipeline(commands.map(([name, ...args]) => [name.toLowerCase(), ...args])).exec(), late])
      return (replies ?? []).map(([error, reply]) => {
        if (error !== null) throw error
        return reply
      })
    } catch (cause) {
      if (messageOf(cause).startsWith('no reply')) this.#renew(messageOf(cause))
      throw new AppError('UNAVAILABLE', `redis at ${this.options.address}: ${messageOf(cause)}`, { cause })
    } finally {
      clearTimeout(timer)
      this.#pending--
    }
  }

  close (): void { this.#redis.disconnect() }

  /** A connection on which nothing comes back may never say so by itself. */
  #renew (reason: string): void {
    if (this.#redis.status !== 'ready') return
    this.#lost(reason)
    this.#redis.disconnect(true)
  }

  #lost (reason: string): void {
    this.#failure = reason
    if (this.#lostAt !== undefined) return
    this.#lostAt = this.options.clock.now()
    this.options.log.warn({ address: this.options.address, reason }, 'redis lost')
  }
}
