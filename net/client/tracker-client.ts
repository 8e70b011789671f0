import { randomBytes } from 'node:crypto'
import { type RingConfig, type UpstreamConfig } from '../../runtime/config/types.js'
import { type Clock } from '../../runtime/core/clock.js'
import { type Digest, digestFromSum, hexOf } from '../../runtime/core/digest.js'
import { AppError, isAppError, messageOf } from '../../runtime/core/errors.js'
import { idToJson } from '../../runtime/core/id-bytes.js'
import { type InfoHash } from '../../runtime/core/infohash.js'
import { field, goJson, parseJson } from '../../runtime/core/json.js'
import { type PeerInfo, peerInfoFromJson, peerInfoToJson } from '../../runtime/core/peer.js'
import { type Logger, noLog } from '../../runtime/observe/log.js'
import { Ring } from '../../runtime/ring/ring.js'
import { pathOf } from '../api/route.js'
import { trackerApi } from '../api/tracker.js'
import { isNetworkError, must200 } from './answers.js'
import { type CallOptions, type MetaInfoAnswer, type MetaInfoOptions, type TrackerClient } from './clients.js'
import { hedged } from './hedge.js'
import { type Hosts, resolveHosts } from './hosts.js'
import { type ClientTls, createHttp, type Http, type HttpAnswer, type HttpCall } from './http.js'
import { METAINFO_BYTES_MAX, metaInfoHeaders, metaInfoOf } from './origin-client.js'
import { type Sleep, systemSleep, type Upstream, watchPassively } from './upstream.js'

const CALL_MS = 10_000
const SHORT_MS = 5_000
const ANNOUNCE_BYTES_MAX = 4 * 1024 * 1024
const INTERVAL_MS = { min: 1, max: 60_000, default: 3_000 }

export interface TrackerClientOptions {
  /** Default one of its own, which `close` ends. */
  readonly http?: Http
  /** Of its own one. */
  readonly tls?: ClientTls | undefined
  readonly log?: Logger
  readonly clock?: Clock
  /** Replaces the resolution of the config's hosts. */
  readonly resolve?: Hosts
  /** What is waited with until a second tracker is asked beside one that says nothing. */
  readonly patience?: Sleep
}

/** The trackers of a cluster as one. */
export function createTrackerClient (
  config: UpstreamConfig & { readonly ring: RingConfig }, options: TrackerClientOptions = {}
): TrackerClient & { close (): Promise<void> } {
  return new RingTrackerClient(config, options)
}

/**
 * Every digest has its trackers, the same for all agents of a cluster; the next one is asked only if there is no HTTP answer
 * (p2p specification 7.9).
 */
class RingTrackerClient implements TrackerClient {
  readonly #http: Http
  readonly #ownHttp: Http | undefined
  readonly #log: Logger
  readonly #resolve: Hosts
  readonly #upstream: Upstream
  readonly #patience: Sleep
  #ring = new Ring([])
  #members: readonly string[] = []

  constructor (readonly config: UpstreamConfig & { readonly ring: RingConfig }, options: TrackerClientOptions) {
    const { log = noLog, clock, patience = systemSleep } = options
    this.#http = options.http ?? createHttp(options.tls)
    this.#ownHttp = options.http === undefined ? this.#http : undefined
    this.#log = log
    this.#patience = patience
    this.#resolve = options.resolve ?? resolveHosts(config.hosts, { log, clock })
    this.#upstream = watchPassively(config, { http: this.#http, log, clock, hosts: this.#resolve })
  }

  async close (): Promise<void> {
    await this.#upstream.close()
    await this.#ownHttp?.close()
  }

  async metaInfo (namespace: string, digest: Digest, options: MetaInfoOptions = {}): Promise<MetaInfoAnswer> {
    const { address, answer } = await this.#call(digest, {
      method: 'GET',
      path: pathOf(trackerApi.metaInfo, { namespace, digest }),
      headers: metaInfoHeaders({ ...options, withPieceDigests: true }),
      answerBytesMax: METAINFO_BYTES_MAX,
      signal: options.signal
    })
    return metaInfoOf(`metainfo of ${digest} at ${address}`, digest, answer)
  }

  async announce (digest: Digest, infoHash: InfoHash, self: PeerInfo, options: CallOptions = {}): Promise<{ peers: PeerInfo[], intervalMs: number }> {
    const { address, answer } = await this.#call(digest, {
      method: 'POST',
      path: pathOf(trackerApi.announceV2, { infohash: infoHash }),
      body: goJson({ name: hexOf(digest), digest, info_hash: idToJson(infoHash), peer: peerInfoToJson(self) }),
      answerBytesMax: ANNOUNCE_BYTES_MAX,
      signal: options.signal
    })
    const what = `announce of ${digest} at ${address}`
    const json = parseJson(must200(what, answer).text, what)
    return { peers: this.#peersOf(field(json, 'peers'), address), intervalMs: intervalOf(field(json, 'interval')) }
  }

  async checkReadiness (options: CallOptions = {}): Promise<void> {
    const [address] = await this.#locations(digestFromSum(randomBytes(32)))
    if (address === undefined) throw new AppError('UNAVAILABLE', 'there are no trackers')
    const answer = await this.#http.call({ method: 'GET', address, path: trackerApi.readiness.path, timeoutMs: SHORT_MS, signal: options.signal })
    must200(`readiness of ${address}`, answer)
  }

  /** Both calls may be made twice: another tracker knows other peers, which is as good. */
  async #call (digest: Digest, call: Omit<HttpCall, 'address' | 'timeoutMs'>): Promise<{ address: string, answer: HttpAnswer }> {
    const trackers = this.#http.wellFirst(await this.#locations(digest))
    const last = trackers.at(-1)
    const asked = await hedged(trackers, {
      ask: async address => {
        try {
          return { address, answer: await this.#http.call({ ...call, address, timeoutMs: CALL_MS, isReplaceable: address !== last }) }
        } catch (error) {
          if (isNetworkError(error)) this.#upstream.reportFailure(address)
          throw error
        }
      },
      isFinal: error => !isNetworkError(error),
      sleep: this.#patience
    })
    if (asked.isGood) return asked.answer
    const { failures } = asked
    if (failures.length === 1 && isAppError(failures[0])) throw failures[0]
    const reasons = failures.length === 0 ? 'there are none' : failures.map(messageOf).join('; ')
    throw new AppError('UNAVAILABLE', `all trackers unavailable: ${reasons}`, { cause: failures.at(-1) })
  }

  async #locations (digest: Digest): Promise<string[]> {
    const members = await this.#resolve()
    if (members !== this.#members) {
      this.#members = members
      this.#ring = new Ring(members)
    }
    const healthy = new Set(await this.#upstream.hosts())
    const well = this.#ring.locationsOf(digest, member => healthy.has(member), this.config.ring.replicasMax)
    // What is known of the others may be out of date; they are asked when all of these have failed.
    return [...well, ...this.#ring.ownersOf(digest).slice(0, this.config.ring.replicasMax).filter(member => !well.includes(member))]
  }

  /** One peer that makes no sense is no reason to lose the others. */
  #peersOf (list: unknown, address: string): PeerInfo[] {
    if (!Array.isArray(list)) return []
    const entries: unknown[] = list
    return entries.flatMap(entry => {
      try {
        return [peerInfoFromJson(entry)]
      } catch (error) {
        this.#log.debug({ tracker: address, reason: messageOf(error) }, 'peer ignored')
        return []
      }
    })
  }
}

/** Nanoseconds on the wire. */
function intervalOf (ns: unknown): number {
  if (typeof ns !== 'number') return INTERVAL_MS.default
  return Math.min(Math.max(Math.round(ns / 1_000_000), INTERVAL_MS.min), INTERVAL_MS.max)
}
