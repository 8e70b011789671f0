import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type RoleName } from '../../runtime/cli/role-names.js'

/*
 * Configuration files as a cluster of Kraken's has them: for each role a base file in which every key stands that the role
 * knows (cluster specification 9.3), and over it a file for one cluster that says where everybody is.
 */

export interface KrakenPorts {
  readonly origin: number
  readonly tracker: number
  readonly buildIndex: number
  readonly testfs: number
}

/** Writes base and cluster files of every role. @returns the paths of the cluster files */
export function writeKrakenFiles (folder: string, ports: KrakenPorts): Record<RoleName, string> {
  const write = (role: RoleName, base: string, cluster: string): string => {
    mkdirSync(join(folder, role))
    writeFileSync(join(folder, role, 'base.yaml'), `${shared(role)}${base}`)
    const path = join(folder, role, 'cluster.yaml')
    writeFileSync(path, `extends: base.yaml\n${cluster}`)
    return path
  }
  const state = (role: RoleName, name: string): string => join(folder, 'state', role, name)
  const backends = (root: string, namePath: string): string =>
    `backends: [{ namespace: .*, backend: { testfs: { addr: "127.0.0.1:${ports.testfs}", root: ${root}, name_path: ${namePath} } }, must_ready: true }]\n`
  const stores = (role: RoleName, block: string, ...names: readonly string[]): string =>
    `${block}:\n${names.map(name => `  ${name}_dir: ${state(role, name)}\n`).join('')}`
  return {
    origin: write('origin', ORIGIN, `${stores('origin', 'castore', 'upload', 'cache')}localdb: { source: ${state('origin', 'origin.db')} }
cluster: { static: ["127.0.0.1:${ports.origin}"] }
${backends('blobs', 'sharded_docker_blob')}`),
    tracker: write('tracker', TRACKER, active('origin', ports.origin)),
    'build-index': write('build-index', BUILD_INDEX, `${stores('build-index', 'store', 'upload', 'cache')}
localdb: { source: ${state('build-index', 'build-index.db')} }
${active('origin', ports.origin)}${active('cluster', ports.buildIndex)}${backends('tags', 'docker_tag')}`),
    proxy: write('proxy', PROXY, `${stores('proxy', 'castore', 'upload', 'cache')}${active('origin', ports.origin)}${active('build_index', ports.buildIndex)}`),
    agent: write('agent', AGENT, `${stores('agent', 'store', 'download', 'cache')}
tracker: { hosts: { static: ["127.0.0.1:${ports.tracker}"] } }
build_index: { hosts: { static: ["127.0.0.1:${ports.buildIndex}"] } }
`)
  }
}

function active (block: string, port: number): string { return `${block}: { hosts: { static: ["127.0.0.1:${port}"] } }\n` }

function shared (role: RoleName): string {
  return `
zap:
  level: info
  development: false
  encoding: console
  disableStacktrace: true
  encoderConfig: { messageKey: message, nameKey: logger_name, levelKey: level, timeKey: ts, callerKey: caller, stacktraceKey: stack, levelEncoder: capital, timeEncoder: iso8601, durationEncoder: seconds, callerEncoder: short }
  outputPaths: [stdout, /var/log/kraken/kraken-${role}/stdout.log]
  errorOutputPaths: [stdout]
verbose: false
metrics: { backend: disabled, statsd: { host_port: "127.0.0.1:8125", prefix: kraken }, m3: { host_port: "127.0.0.1:9052", service: kraken-${role}, env: test } }
nginx:
  name: kraken-${role}
  template_path: ""
  binary: /usr/sbin/nginx
  root: true
  cache_dir: /var/cache/kraken/kraken-${role}/nginx/
  log_dir: /var/log/kraken/kraken-${role}/
  stdout_log_path: ""
  access_log_path: ""
  error_log_path: ""
  proxy_timeout: 3m
  listen_backlog: 1024
tls:
  name: kraken
  cas: [{ path: /etc/kraken/tls/ca/server.crt }]
  server: { disabled: true, cert: { path: /etc/kraken/s.crt }, key: { path: /etc/kraken/s.key }, passphrase: { path: /etc/kraken/s.pass } }
  client: { disabled: true, cert: { path: /etc/kraken/c.crt }, key: { path: /etc/kraken/c.key }, passphrase: { path: /etc/kraken/c.pass } }
`
}

const HEALTH = '  healthcheck: { filter: { fails: 3, passes: 2, timeout: 3s }, monitor: { interval: 10s }, disabled: false }\n'
const CLEANUP = '{ disabled: false, interval: 30m, tti: 6h, ttl: 24h, aggressive_threshold: 80, aggressive_ttL: 12h, aggressive_lower_threshold: 60 }'
const LOGGER = '{ level: info, disable: false, service_name: kraken, path: /var/log/kraken.log, encoding: console, timeEncoder: iso8601 }'
const RETRIES = `
  incoming_buffer: 1000
  retry_buffer: 1000
  num_incoming_workers: 4
  num_retry_workers: 2
  max_task_throughput: 10ms
  retry_interval: 100ms
  poll_retries_interval: 250ms
  sync_retry_backoff: { enabled: true, initial_interval: 500ms, randomization_factor: 0.05, multiplier: 2, max_interval: 30s, max_retries: 2 }
  workqueue_metrics_emit_interval: 5s
`
const SCHEDULER = `
scheduler:
  seeder_tti: 5m
  leecher_tti: 5m
  conn_tti: 30s
  conn_ttl: 1h
  preemption_interval: 30s
  emit_stats_interval: 1s
  disable_preemption: false
  probe_timeout: 3s
  log: ${LOGGER}
  torrentlog: ${LOGGER}
  connstate: { max_open_conn: 10, max_mutual_conn: 10, disable_blacklist: false, blacklist_duration: 30s }
  conn:
    handshake_timeout: 5s
    sender_buffer_size: 10000
    receiver_buffer_size: 10000
    bandwidth: { enable: true, egress_bits_per_sec: 1677721600, ingress_bits_per_sec: 2516582400, token_size: 1 }
  dispatch:
    piece_request_policy: rarest_first
    piece_request_min_timeout: 4s
    piece_request_timeout_per_mb: 4s
    pipeline_limit: 3
    origin_pipeline_limit: 5
    endgame_threshold: 3
    disable_endgame: false
peer_id_factory: addr_hash
network_event: { enabled: false, log_path: /var/log/events.log }
`
const CASTORE = `
castore:
  capacity: 1048576
  read_part_size: 0
  write_part_size: 0
  skip_hash_verification: false
  upload_cleanup: ${CLEANUP}
  cache_cleanup: ${CLEANUP}
  volumes: []
`
const BACKENDS = `
auth: {}
backend_manager: { log: ${LOGGER} }
writeback: ${RETRIES}`

const ORIGIN = `${CASTORE}  memory_cache: { enabled: true, max_size: 1048576, drain_workers: 2, drain_max_retries: 3, ttl: 2s, ttl_interval: 1m }
cluster: { ttl: 5s }
hashring: { max_replica: 2, refresh_interval: 10s, membership_wait_timeout: 1m, membership_wait_interval: 500ms }
healthcheck: { fails: 3, passes: 2, timeout: 3s }
metainfogen: { piece_lengths: { 0: 4MB, 2GB: 8MB } }
blobserver: { listener: { net: unix, addr: /tmp/kraken-origin.sock }, duplicate_write_back_stagger: 30m }
blobrefresh: { size_limit: 0 }
${SCHEDULER}${BACKENDS}`

const AGENT = `
store:
  read_part_size: 0
  write_part_size: 0
  download_cleanup: { ttl: 24h }
  cache_cleanup: { ttl: 24h }
tracker:
  hosts: { ttl: 5s }
  healthcheck: { fails: 3, fail_timeout: 5m }
  hashring: { max_replica: 3, refresh_interval: 10s, membership_wait_timeout: 1m, membership_wait_interval: 500ms }
build_index:
  hosts: { ttl: 5s }
  healthcheck: { fails: 3, fail_timeout: 5m }
registry: { docker: { version: 0.1, log: { level: error }, http: { net: unix, addr: /tmp/kraken-agent-registry.sock } } }
registry_backup: ""
allowed_cidrs: [127.0.0.1, 172.17.0.1]
agentserver: { readiness_cache_ttl: 10s }
container_runtime:
  docker: { docker_host: "unix:///var/run/docker.sock", docker_scheme: http, docker_version: "1.21", docker_client_headers: {} }
  containerd: { address: /run/containerd/containerd.sock }
docker_daemon: { docker_host: "unix:///var/run/docker.sock" }
${SCHEDULER}`

const PROXY = `${CASTORE}
registry: { docker: { version: 0.1, log: { level: error }, http: { net: unix, addr: /tmp/kraken-proxy-registry.sock, host: "", secret: asecret } } }
registryoverride: { listener: { net: unix, addr: /tmp/kraken-proxy-registry-override.sock } }
server: { listener: { net: unix, addr: /tmp/kraken-proxy.sock }, prefetch_min_blob_size: 0, prefetch_max_blob_size: 50GB }
origin:
${HEALTH}build_index:
${HEALTH}`

const TRACKER = `
trackerserver: { announce_interval: 3s, announce_limit: 50, get_metainfo_limit: 1s, listener: { net: unix, addr: /tmp/kraken-tracker.sock } }
peerstore:
  local: { ttl: 5h }
  redis: { enabled: false, addr: "127.0.0.1:14001", dial_timeout: 5s, read_timeout: 30s, write_timeout: 30s, peer_set_window_size: 1h, max_peer_set_windows: 5, max_idle_conns: 10, max_active_conns: 500, idle_conn_timeout: 60s }
originstore: { locations_ttl: 10s, locations_error_ttl: 1s, origin_context_ttl: 10s, origin_unavailable_ttl: 1m }
peerhandoutpolicy: { priority: completeness }
origin:
${HEALTH}`

const BUILD_INDEX = `
store:
  read_part_size: 0
  write_part_size: 0
  upload_cleanup: ${CLEANUP}
  cache_cleanup: ${CLEANUP}
tag_store: { write_through: true }
tagserver: { listener: { net: unix, addr: /tmp/kraken-build-index.sock }, duplicate_replicate_stagger: 20m, duplicate_put_stagger: 20m }
tag_types: [{ namespace: .*, type: docker, root: tags }]
remotes: {}
origin:
${HEALTH}cluster:
${HEALTH}tag_replication: ${RETRIES}${BACKENDS}`
