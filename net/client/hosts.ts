import { lookup, resolveSrv } from 'node:dns/promises'
import { isIPv4 } from 'node:net'
import { type HostsConfig } from '../../runtime/config/types.js'
import { type Clock, type Millis, systemClock } from '../../runtime/core/clock.js'
import { AppError, messageOf } from '../../runtime/core/errors.js'
import { type Logger, noLog } from '../../runtime/observe/log.js'

/** The addresses `host:port` that there are now. @throws AppError UNAVAILABLE if they were never known */
export type Hosts = () => Promise<readonly string[]>

export interface HostsOptions {
  readonly log?: Logger
  readonly clock?: Clock
  /** The addresses of a name; default the system's resolver, A and AAAA. */
  readonly resolve?: (name: string) => Promise<ReadonlyArray<{ readonly address: string, readonly family: number }>>
  /** The service records of a name; default the system's resolver. */
  readonly resolveService?: (name: string) => Promise<ReadonlyArray<{ readonly name: string, readonly port: number }>>
}

/** A resolver that does not answer must not hold up everybody who wants to know the hosts. */
const RESOLVE_MS = 5_000

/**
 * The hosts of a config: a fixed list, or every address of a DNS name with the port attached (cluster specification 3.1), or
 * the targets of a service such as `_origin._tcp.example` with their own ports. These stay names, so that a member keeps its
 * place in a ring when its address changes.
 * A resolution is reused for `ttlMs`; while later ones fail, the last good answer stays.
 */
export function resolveHosts (config: HostsConfig, options: HostsOptions = {}): Hosts {
  const { dns } = config
  if (dns === undefined) {
    const hosts = [...config.static]
    return async () => hosts
  }
  const resolution = new Resolution(dns, config.ttlMs, options)
  return async () => await resolution.current()
}

/**
 * Where an address given by somebody else leads: to one host, or to all that have its name.
 * @throws AppError PARAMETER_INVALID
 */
export function hostsAt (address: string): HostsConfig {
  if (isService(address)) return { static: [], dns: address, ttlMs: 5_000 }
  const [, name = '', port = ''] = /^([^\s:/?#@]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})$/.exec(address) ?? []
  if (name === '' || Number(port) < 1 || Number(port) > 65_535 || address.length > 300) {
    throw new AppError('PARAMETER_INVALID', `"${address.slice(0, 300)}" is no address: expected host:port`)
  }
  const isFixed = name.startsWith('[') || isIPv4(name)
  return { static: isFixed ? [address] : [], dns: isFixed ? undefined : address, ttlMs: 5_000 }
}

class Resolution {
  readonly #name: string
  readonly #port: string
  readonly #clock: Clock
  #known: readonly string[] | undefined
  #expiresAt = 0 as Millis
  /** Shared by all who ask while it runs. */
  #running: Promise<readonly string[]> | undefined

  constructor (readonly dns: string, readonly ttlMs: number, readonly options: HostsOptions) {
    const colon = isService(dns) ? dns.length : dns.lastIndexOf(':')
    this.#name = dns.slice(0, colon)
    this.#port = dns.slice(colon + 1)
    this.#clock = options.clock ?? systemClock
    if (!isService(dns) && (colon < 1 || !/^\d+$/.test(this.#port))) throw new AppError('CONFIG_INVALID', `"${dns}" is no DNS name with a port: expected name:port, or _service._tcp.name`)
  }

  async current (): Promise<readonly string[]> {
    if (this.#known !== undefined && this.#clock.now() < this.#expiresAt) return this.#known
    this.#running ??= this.#refresh().finally(() => { this.#running = undefined })
    return await this.#running
  }

  async #addresses (): Promise<string[]> {
    const found = await (this.options.resolve ?? resolveAll)(this.#name)
    return found.map(({ address, family }) => family === 6 ? `[${address}]:${this.#port}` : `${address}:${this.#port}`)
  }

  async #targets (): Promise<string[]> {
    const found = await (this.options.resolveService ?? resolveSrv)(this.#name)
    // A target that is only a dot says that there is no such service.
    return found.flatMap(({ name, port }) => name === '' || name === '.' || port === 0 ? [] : [`${name.replace(/\.$/, '').toLowerCase()}:${port}`])
  }

  async #refresh (): Promise<readonly string[]> {
    try {
      const hosts = await within(RESOLVE_MS, isService(this.dns) ? this.#targets() : this.#addresses())
      if (hosts.length === 0) throw new Error('no addresses')
      const sorted = [...new Set(hosts)].sort()
      // The same list as before stays the same object, so that nobody rebuilds a ring for nothing.
      if (this.#known?.join() !== sorted.join()) this.#known = sorted
    } catch (cause) {
      if (this.#known === undefined) {
        throw new AppError('UNAVAILABLE', `the hosts of "${this.dns}" cannot be resolved: ${messageOf(cause)}. Check the name and the resolver.`, { cause })
      }
      (this.options.log ?? noLog).warn({ name: this.#name, reason: messageOf(cause) }, 'hosts not resolved')
    }
    this.#expiresAt = this.#clock.now() + this.ttlMs as Millis
    return this.#known ?? []
  }
}

/** Only services have names that begin so. */
function isService (dns: string): boolean { return /^_[A-Za-z0-9-]{1,62}\._(?:tcp|udp)\.[A-Za-z0-9._-]{1,180}$/.test(dns) }

async function resolveAll (name: string): Promise<Array<{ address: string, family: number }>> { return await lookup(name, { all: true }) }

async function within<T> (ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => { timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms) })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
