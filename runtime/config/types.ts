import { type PeerIdPolicy } from '../core/peer-id.js'
import { type SchedulerConfig } from './sections/scheduler.js'

/*
 * What each component is handed. Durations are milliseconds and sizes bytes; Kraken's YAML keys are renamed in the
 * sections and nowhere else.
 */

/** `static` addresses `host:port`; DNS names are resolved by whoever builds the list. */
export interface HostsConfig { readonly static: readonly string[], readonly dns: string | undefined, readonly ttlMs: number }
export interface HealthConfig { readonly failsMax: number, readonly passesMin: number, readonly timeoutMs: number, readonly intervalMs: number }
export interface UpstreamConfig { readonly hosts: HostsConfig, readonly health: HealthConfig }
export interface RingConfig { readonly replicasMax: number, readonly refreshIntervalMs: number }

/** Size of the two slabs, in slots of 256 KiB. */
export interface MemoryConfig { readonly swarmSlots: number, readonly uploadSlots: number }

export interface CasConfig {
  readonly uploadDir: string
  readonly cacheDir: string
  /** Uploads without any write for this long are removed. */
  readonly uploadTtlMs: number
}
export interface PieceLengthConfig { readonly minBlobBytes: number, readonly pieceBytes: number }

export interface AgentConfig {
  readonly peerIp: string
  readonly peerPort: number
  readonly serverPort: number
  readonly registryPort: number
  readonly zone: string
  readonly cluster: string
  readonly store: { readonly downloadDir: string, readonly cacheDir: string }
  readonly scheduler: SchedulerConfig
  readonly peerIdPolicy: PeerIdPolicy
  readonly tracker: UpstreamConfig & { readonly ring: RingConfig }
  readonly buildIndex: UpstreamConfig
  readonly memory: MemoryConfig
}

export interface OriginConfig {
  readonly peerIp: string
  readonly peerPort: number
  readonly hostname: string
  readonly port: number
  readonly zone: string
  readonly cluster: string
  readonly castore: CasConfig
  readonly scheduler: SchedulerConfig
  readonly peerIdPolicy: PeerIdPolicy
  readonly members: HostsConfig
  readonly health: HealthConfig
  readonly ring: RingConfig
  /** In ascending order of `minBlobBytes`, at least one (p2p specification 3.2). */
  readonly pieceLengths: readonly PieceLengthConfig[]
  readonly duplicateWriteBackStaggerMs: number
  readonly memory: MemoryConfig
}

export interface TrackerConfig {
  readonly port: number
  readonly announceIntervalMs: number
  readonly announceLimit: number
  readonly handoutPolicy: 'default' | 'completeness'
  readonly peerTtlMs: number
  readonly originStore: { readonly locationsTtlMs: number, readonly locationsErrorTtlMs: number, readonly contextTtlMs: number, readonly unavailableTtlMs: number }
  readonly origin: UpstreamConfig
}

export interface BuildIndexConfig {
  readonly port: number
  readonly store: { readonly uploadDir: string, readonly cacheDir: string }
  /** First match on the tag decides; `docker` resolves the manifest's references (cluster specification 7.3). */
  readonly tagTypes: ReadonlyArray<{ readonly pattern: RegExp, readonly type: 'default' | 'docker' }>
  readonly origin: UpstreamConfig
}

export interface ProxyConfig {
  /** At least one; each serves the same site. */
  readonly ports: readonly number[]
  /** 0: off. */
  readonly serverPort: number
  readonly castore: CasConfig
  readonly origin: UpstreamConfig
  readonly buildIndex: UpstreamConfig
  readonly memory: MemoryConfig
}
