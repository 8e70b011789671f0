import { hashring } from '../../runtime/config/sections/hashring.js'
import { activeHealth, passiveHealth } from '../../runtime/config/sections/healthcheck.js'
import { type HostsConfig, type UpstreamConfig } from '../../runtime/config/types.js'
import { AppError } from '../../runtime/core/errors.js'
import { type Logger, noLog } from '../../runtime/observe/log.js'
import { createAgentClient } from './agent-client.js'
import { createBlobClient } from './blob-client.js'
import { type AgentClient, type BlobClient, type RecordClient, type SingleOriginClient, type TagClient, type TrackerClient } from './clients.js'
import { hostsAt } from './hosts.js'
import { createHttp, type Http } from './http.js'
import { createOriginClient } from './origin-client.js'
import { createTagClient } from './tag-client.js'
import { createTrackerClient } from './tracker-client.js'

/*
 * The public entry `shoal/client`: what programs outside this package may use. Everything else may change with any version.
 */

export { type Digest, digestOf, isDigest, parseDigest } from '../../runtime/core/digest.js'
export { AppError, type ErrorCode, isAppError } from '../../runtime/core/errors.js'
export { type InfoHash, parseInfoHash } from '../../runtime/core/infohash.js'
export { type MetaInfo } from '../../runtime/core/metainfo.js'
export { parsePeerId, type PeerId } from '../../runtime/core/peer-id.js'
export { type PeerContext, type PeerInfo } from '../../runtime/core/peer.js'
export { type Logger } from '../../runtime/observe/log.js'
export { bytesContent, fileContent } from './content.js'
export type {
  AgentClient, BlobClient, BlobContent, BlobStream, CallOptions, MetaInfoAnswer, PreloadOptions, RangeOptions, RecordClient, SingleOriginClient,
  TagClient, TrackerClient
} from './clients.js'

/** Hosts of one role: a list of `host:port`, or one DNS name with a port, behind which all of them are. */
export type HostList = string | readonly string[]

export interface ConnectOptions {
  /** Told when a host is left out, and when a transfer goes on at another one. Default nobody. */
  readonly log?: Logger
}

/** Clients that share their connections. What they make is closed together with them. */
export function connect (options: ConnectOptions = {}): Connections { return new Connections(options) }

export class Connections {
  readonly #http: Http = createHttp()
  readonly #log: Logger
  readonly #clients: Array<{ close (): Promise<void> }> = []

  constructor ({ log = noLog }: ConnectOptions) { this.#log = log }

  /** The agent of one host. */
  agent (address: string): AgentClient { return createAgentClient(checked(address), { http: this.#http, log: this.#log }) }

  /** The origins of a cluster as one. */
  blobs (origins: HostList): BlobClient {
    return this.#kept(createBlobClient({ hosts: watched(origins), http: this.#http, log: this.#log }))
  }

  /** One origin, whoever owns what. */
  origin (address: string): SingleOriginClient { return createOriginClient(checked(address), this.#http) }

  /** The build-indexes of a cluster as one. */
  tags (buildIndexes: HostList): TagClient & { readonly records: RecordClient } {
    return this.#kept(createTagClient({ hosts: watched(buildIndexes), http: this.#http, log: this.#log }))
  }

  /** The trackers of a cluster as one: announces, and metainfo of blobs. */
  tracker (trackers: HostList): TrackerClient {
    const config = { hosts: hostsOf(trackers), health: passiveHealth.schema.parse({}), ring: hashring.schema.parse({}) }
    return this.#kept(createTrackerClient(config, { http: this.#http, log: this.#log }))
  }

  /** Ends all clients and connections; calls that run fail. May be called twice. */
  async close (): Promise<void> {
    await Promise.all(this.#clients.splice(0).map(async client => { await client.close() }))
    await this.#http.close()
  }

  #kept<C extends { close (): Promise<void> }> (client: C): C {
    this.#clients.push(client)
    return client
  }
}

/** @throws AppError PARAMETER_INVALID */
function checked (address: string): string {
  hostsAt(address)
  return address
}

function watched (list: HostList): UpstreamConfig { return { hosts: hostsOf(list), health: activeHealth.schema.parse({}) } }

function hostsOf (list: HostList): HostsConfig {
  if (typeof list === 'string') return hostsAt(list)
  if (list.length === 0) throw new AppError('PARAMETER_INVALID', 'expected at least one host:port')
  return { static: list.map(checked), dns: undefined, ttlMs: 5_000 }
}
