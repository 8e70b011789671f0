import { type PeerIdPolicy } from '../core/peer-id.js'
import { type AuthConfig } from './sections/auth.js'
import { type BackendChoice, type BackendItem, type BackendsConfig, type PlainBackend } from './sections/backends.js'
import { type BandwidthConfig } from './sections/backends/bandwidth.js'
import { type FsConfig, type HdfsConfig, type HttpBackendConfig, type TestfsConfig } from './sections/backends/files.js'
import { type GcsConfig } from './sections/backends/gcs.js'
import { type UpstreamRegistryConfig } from './sections/backends/registry.js'
import { type S3Config } from './sections/backends/s3.js'
import { type PatherKind } from './sections/backends/shared.js'
import { type ContainerdConfig, type DockerConfig } from './sections/container-runtime.js'
import { type HealthConfig } from './sections/healthcheck.js'
import { type CasConfig } from './sections/store.js'
import { type HostsConfig } from './sections/hosts.js'
import { type DurabilityConfig, type MemoryConfig } from './sections/memory.js'
import { type PrefetchConfig } from './sections/prefetch.js'
import { type PieceLengthConfig } from './sections/metainfogen.js'
import { type RegistryConfig } from './sections/registry.js'
import { type RingConfig } from './sections/hashring.js'
import { type RetryConfig, type SyncRetryConfig } from './sections/retry.js'
import { type SchedulerConfig } from './sections/scheduler.js'
import { type Source } from './sections/allowed.js'
import { type TlsConfig } from './sections/tls.js'
import { type TagTypeConfig } from './sections/tag-types.js'
import { type OriginStoreConfig } from './sections/tracker-server.js'
import { type UpstreamConfig } from './sections/upstream.js'

/*
 * What each component is handed: its flags and its file as one value. Durations are milliseconds and sizes bytes;
 * Kraken's YAML keys are renamed in the sections and nowhere else.
 */

export type {
  AuthConfig, BackendChoice, BackendItem, BackendsConfig, BandwidthConfig, FsConfig, GcsConfig, HdfsConfig, HttpBackendConfig, PatherKind,
  PlainBackend, S3Config, TestfsConfig, UpstreamRegistryConfig
}
export type {
  CasConfig, DockerConfig, DurabilityConfig, HealthConfig, HostsConfig, MemoryConfig, OriginStoreConfig, PieceLengthConfig, PrefetchConfig,
  RegistryConfig, RetryConfig, RingConfig, SchedulerConfig, SyncRetryConfig, TagTypeConfig, UpstreamConfig
}

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
  readonly docker: DockerConfig
  readonly containerd: ContainerdConfig
  readonly memory: MemoryConfig
  /** Blobs of at most this size are taken from the trackers. */
  readonly inlineBytesMax: number
  readonly registry: RegistryConfig
  /** Who may use the registry port; empty: everybody. */
  readonly allowed?: readonly Source[]
  /** Registry that is asked for what this one cannot answer. */
  readonly backup?: string | undefined
  readonly readinessTtlMs?: number
  /** Undefined: plain HTTP everywhere. */
  readonly tls?: TlsConfig
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
  /** Folder of the tasks. */
  readonly taskDir: string
  readonly writeBack: RetryConfig
  readonly durability: DurabilityConfig
  /** Larger blobs are not fetched from a backend; 0: no limit. */
  readonly refreshBytesMax: number
  readonly backends: BackendsConfig
  readonly memory: MemoryConfig
  /** Undefined: plain HTTP everywhere. */
  readonly tls?: TlsConfig
}

export interface TrackerConfig {
  readonly port: number
  readonly announceIntervalMs: number
  readonly announceLimit: number
  readonly handoutPolicy: 'default' | 'completeness'
  readonly peerTtlMs: number
  readonly originStore: OriginStoreConfig
  readonly origin: UpstreamConfig
  /** Undefined: plain HTTP everywhere. */
  readonly tls?: TlsConfig
}

export interface BuildIndexConfig {
  readonly port: number
  readonly store: { readonly uploadDir: string, readonly cacheDir: string }
  /** First match on the tag decides; `docker` resolves the manifest's references (cluster specification 7.3). */
  readonly tagTypes: readonly TagTypeConfig[]
  readonly origin: UpstreamConfig
  /** The other build-indexes of this cluster, perhaps with this one among them; undefined if it is alone. */
  readonly cluster: UpstreamConfig | undefined
  readonly duplicatePutStaggerMs: number
  /** Tags are written to the backend before a put is answered. */
  readonly isWriteThrough: boolean
  /** Folder of the tasks. */
  readonly taskDir: string
  readonly writeBack: RetryConfig
  readonly tagReplication: RetryConfig
  readonly backends: BackendsConfig
  /** Undefined: plain HTTP everywhere. */
  readonly tls?: TlsConfig
}

export interface ProxyConfig {
  /** At least one; each serves the same site. */
  readonly ports: readonly number[]
  /** 0: off. */
  readonly serverPort: number
  readonly castore: CasConfig
  readonly origin: UpstreamConfig
  readonly buildIndex: UpstreamConfig
  readonly prefetch: PrefetchConfig
  readonly registry: RegistryConfig
  readonly memory: MemoryConfig
  /** Undefined: plain HTTP everywhere. */
  readonly tls?: TlsConfig
}
