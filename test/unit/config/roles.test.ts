import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { UsageError } from '../../../runtime/config/flags.js'
import { agentRole } from '../../../runtime/config/roles/agent.js'
import { buildIndexRole } from '../../../runtime/config/roles/build-index.js'
import { originRole } from '../../../runtime/config/roles/origin.js'
import { proxyRole } from '../../../runtime/config/roles/proxy.js'
import { trackerRole } from '../../../runtime/config/roles/tracker.js'

/*
 * Files like those that uber/kraken ships for its development cluster must load without a warning and mean the same.
 */

const HOST = { ip: '10.1.2.3', name: 'host-a' }
const COMMON = `
zap: { level: info, development: false, encoding: console, disableStacktrace: true, encoderConfig: { messageKey: message }, outputPaths: [stdout] }
metrics: { backend: statsd, statsd: { host_port: "0:8080", prefix: kraken } }
tls: { client: { disabled: true }, server: { disabled: true } }
`
const ACTIVE = 'hosts: { static: [origin-a:15002, origin-b:15002] }, healthcheck: { filter: { fails: 5, passes: 3, timeout: 1s }, monitor: { interval: 20s } }'
const SCHEDULER_DEFAULTS = {
  seederTtiMs: 300_000,
  leecherTtiMs: 300_000,
  connTtiMs: 30_000,
  connTtlMs: 3_600_000,
  preemptionIntervalMs: 30_000,
  probeTimeoutMs: 3_000,
  connState: { openConnsMax: 10, mutualConnsMax: 10, blacklistMs: 30_000 },
  conn: { handshakeTimeoutMs: 5_000 },
  dispatch: {
    pieceRequestTimeoutMinMs: 4_000,
    pieceRequestTimeoutPerMbMs: 4_000,
    pieceRequestPolicy: 'default',
    pipelineLimit: 3,
    originPipelineLimit: 5,
    endgameThreshold: 3,
    endgameDisabled: false
  }
}
const PASSIVE_HEALTH = { failsMax: 3, passesMin: 1, timeoutMs: 300_000, intervalMs: 300_000 }
const MEMORY = { swarmSlots: 256, uploadSlots: 128 }
const REGISTRY = { canDelete: true, membership: 'shared', mirror: 'plain' }

function file (t: { testdir (): string }, content: string): string {
  const path = join(t.testdir(), 'role.yaml')
  writeFileSync(path, COMMON + content)
  return path
}

t.test('agent', async t => {
  const config = file(t, `
store: { download_dir: /d, cache_dir: /c, download_cleanup: { ttl: 24h }, cache_cleanup: { ttl: 24h } }
registry: { docker: { version: 0.1, log: { level: error }, http: { net: unix, addr: /tmp/kraken-agent-registry.sock } } }
scheduler:
  torrentlog: { service_name: kraken-agent, path: /var/log/torrent.log }
  dispatch: { piece_request_policy: rarest_first }
  conn: { bandwidth: { enable: true, egress_bits_per_sec: 1677721600 } }
  connstate: { disable_blacklist: false, max_open_conn: 0 }
peer_id_factory: addr_hash
tracker: { hosts: { static: ["tracker:15003"] } }
build_index: { hosts: { dns: "build-index:15004" } }
allowed_cidrs: [127.0.0.1, 172.17.0.1]
container_runtime: { docker: { docker_host: unix:///var/run/docker.sock } }
`)
  const args = ['-config', config, '--peer-port=16001', '-agent-server-port', '16002', '--agent-registry-port', '16000', '--cluster', 'test', '--zone=z1']
  const { config: agent, warnings, logLevel, unused } = agentRole.load(args, HOST)
  t.same(warnings, [])
  t.equal(logLevel, 'info')
  t.ok(unused.includes('scheduler.conn.bandwidth'))
  t.same(agent, {
    peerIp: '10.1.2.3',
    peerPort: 16001,
    serverPort: 16002,
    registryPort: 16000,
    zone: 'z1',
    cluster: 'test',
    store: { downloadDir: '/d', cacheDir: '/c' },
    scheduler: { ...SCHEDULER_DEFAULTS, dispatch: { ...SCHEDULER_DEFAULTS.dispatch, pieceRequestPolicy: 'rarest_first' } },
    peerIdPolicy: 'addr_hash',
    tracker: {
      hosts: { static: ['tracker:15003'], dns: undefined, ttlMs: 5_000 },
      health: PASSIVE_HEALTH,
      ring: { replicasMax: 3, refreshIntervalMs: 10_000 }
    },
    buildIndex: { hosts: { static: [], dns: 'build-index:15004', ttlMs: 5_000 }, health: PASSIVE_HEALTH },
    docker: { host: 'unix:///var/run/docker.sock', version: '1.21' },
    containerd: { address: '/run/containerd/containerd.sock' },
    memory: MEMORY,
    registry: REGISTRY,
    inlineBytesMax: 65_536,
    allowed: [{ address: '127.0.0.1', family: 'ipv4', prefixBits: 32 }, { address: '172.17.0.1', family: 'ipv4', prefixBits: 32 }],
    backup: undefined,
    readinessTtlMs: 0
  })
  t.equal(agentRole.load([...args, '--peer-ip', 'agent-7'], HOST).config.peerIp, 'agent-7')
  t.throws(() => agentRole.load(args.slice(0, -3), HOST).config && agentRole.load(['--config', config], HOST), { code: 'CONFIG_INVALID', message: /--peer-port is required/ })
  t.throws(() => agentRole.load([...args, '--peer-port', '70000'], HOST), { code: 'CONFIG_INVALID', message: /--peer-port 70000 is no port/ })
  t.throws(() => agentRole.load(args.slice(2), HOST), { code: 'CONFIG_INVALID', message: /--config is required/ })
  t.throws(() => agentRole.load([...args, '--port', '1'], HOST), UsageError)
})

t.test('where Docker listens', async t => {
  const base = 'store: { download_dir: /d, cache_dir: /c }\npeer_id_factory: random\n' +
    'tracker: { hosts: { static: ["a:1"] } }\nbuild_index: { hosts: { static: ["a:1"] } }\n'
  const dockerOf = (block: string): object => {
    const args = ['--config', file(t, base + block), '--peer-port', '1', '--agent-server-port', '2', '--agent-registry-port', '3']
    return agentRole.load(args, HOST).config.docker
  }
  t.same(dockerOf('docker_daemon: { docker_host: "unix:///old.sock", docker_version: "1.24" }'), { host: 'unix:///old.sock', version: '1.24' })
  const both = 'docker_daemon: { docker_host: "unix:///old.sock" }\ncontainer_runtime: { docker: { docker_host: "tcp://docker:2375" } }'
  t.same(dockerOf(both), { host: 'tcp://docker:2375', version: '1.21' })
  t.throws(() => dockerOf('container_runtime: { docker: { docker_host: docker.sock } }'), { code: 'CONFIG_INVALID', message: /docker_host: expected unix:/ })
  t.throws(() => dockerOf('docker_daemon: { docker_version: new }'), { code: 'CONFIG_INVALID', message: /docker_version: expected a version/ })
})

t.test('origin', async t => {
  const config = file(t, `
cluster: { static: [origin-a:15002, origin-b:15002], ttl: 10s }
hashring: { max_replica: 2 }
castore: { upload_dir: /u, cache_dir: /c, capacity: 1000, memory_cache: { enabled: true }, upload_cleanup: { tti: 1h, aggressive_ttL: 5m } }
metainfogen: { piece_lengths: { 2GB: 8MB, 0: 4MB } }
peer_id_factory: random
scheduler: { seeder_tti: 10m, connstate: { disable_blacklist: true, max_open_conn: 100 } }
blobserver: { listener: { net: unix, addr: /tmp/kraken-origin.sock }, duplicate_write_back_stagger: 5m }
backends: [{ namespace: .*, backend: { testfs: { addr: "localhost:14000", name_path: identity } } }]
localdb: { source: /var/cache/origin.db }
writeback: { retry_interval: 100ms }
`)
  const { config: origin, warnings } = originRole.load(['--config', config, '--peer-port', '15001', '--blobserver-port', '15002'], HOST)
  t.same(warnings, [])
  t.same(origin.members, { static: ['origin-a:15002', 'origin-b:15002'], dns: undefined, ttlMs: 10_000 })
  t.same(origin.health, { failsMax: 3, passesMin: 2, timeoutMs: 3_000, intervalMs: 10_000 })
  t.same(origin.ring, { replicasMax: 2, refreshIntervalMs: 10_000 })
  t.same(origin.castore, { uploadDir: '/u', cacheDir: '/c', uploadTtlMs: 3_600_000 })
  t.same(origin.pieceLengths, [{ minBlobBytes: 0, pieceBytes: 4_194_304 }, { minBlobBytes: 2 ** 31, pieceBytes: 8_388_608 }])
  t.same(origin.scheduler.connState, { openConnsMax: 100, mutualConnsMax: 100, blacklistMs: 0 })
  t.equal(origin.scheduler.seederTtiMs, 600_000)
  t.equal(origin.duplicateWriteBackStaggerMs, 300_000)
  t.equal(origin.taskDir, '/var/cache/origin.db.tasks')
  const sync = { pauseMinMs: 500, pauseMaxMs: 30_000, retriesMax: 2 }
  t.same(origin.writeBack, { workers: 6, spacingMs: 10, pauseMinMs: 100, pauseMaxMs: 600_000, failuresMax: Infinity, sync })
  t.same(origin.durability, { isDurable: true, copiesMin: 2, reserveBytes: 64 * 2 ** 20 })
  t.equal(origin.hostname, 'host-a')
  t.equal(origin.peerIp, '10.1.2.3')
})

t.test('the odd table of piece lengths is refused', async t => {
  const config = file(t, 'metainfogen: { piece_lengths: {} }\ncluster: { static: [a:1], dns: "b:1" }\ncastore: { upload_dir: /u, cache_dir: /c }\npeer_id_factory: mac\n')
  const args = ['--config', config, '--peer-port', '1', '--blobserver-port', '2']
  t.throws(() => originRole.load(args, HOST), { code: 'CONFIG_INVALID', message: /metainfogen\.piece_lengths: required/ })
  t.throws(() => originRole.load(args, HOST), { message: /cluster: expected either `static` or `dns`, got both/ })
  t.throws(() => originRole.load(args, HOST), { message: /peer_id_factory: expected addr_hash or random, got "mac"/ })
})

t.test('tracker', async t => {
  const config = file(t, `
peerstore: { redis: { enabled: false, addr: "localhost:14001" }, local: { ttl: 1h } }
trackerserver: { announce_interval: 3s, listener: { net: unix, addr: /tmp/t.sock } }
peerhandoutpolicy: { priority: completeness }
originstore: { origin_unavailable_ttl: 5s }
origin: { ${ACTIVE} }
`)
  const { config: tracker, warnings } = trackerRole.load(['--config', config, '--port', '15003'], HOST)
  t.same(warnings, [])
  t.same(tracker, {
    port: 15003,
    announceIntervalMs: 3_000,
    announceLimit: 50,
    handoutPolicy: 'completeness',
    peerTtlMs: 3_600_000,
    originStore: { locationsTtlMs: 10_000, locationsErrorTtlMs: 1_000, contextTtlMs: 10_000, unavailableTtlMs: 5_000 },
    origin: {
      hosts: { static: ['origin-a:15002', 'origin-b:15002'], dns: undefined, ttlMs: 5_000 },
      health: { failsMax: 5, passesMin: 3, timeoutMs: 1_000, intervalMs: 20_000 }
    }
  })
})

t.test('build-index', async t => {
  const config = file(t, `
store: { upload_dir: /u, cache_dir: /c }
tag_types: [{ namespace: ^library/, type: docker, root: x }, { namespace: .*, type: default }]
tag_store: { write_through: true }
tagserver: { duplicate_put_stagger: 100ms }
cluster: { hosts: { static: [localhost:15004] } }
remotes: { remote-a: [.*] }
origin: { hosts: { static: [a:1] }, healthcheck: { disabled: true } }
`)
  const { config: buildIndex, warnings } = buildIndexRole.load(['--config', config, '--port', '15004'], HOST)
  t.same(warnings, [])
  t.same(buildIndex.tagTypes.map(({ pattern, type }) => [pattern.source, type]), [['^library\\/', 'docker'], ['.*', 'default']])
  t.same(buildIndex.store, { uploadDir: '/u', cacheDir: '/c' })
  t.equal(buildIndex.taskDir, '/c.tasks')
  t.equal(buildIndex.tagReplication.pauseMinMs, 30_000 / 32)
  t.same(buildIndex.cluster?.hosts.static, ['localhost:15004'])
  t.equal(buildIndex.origin.health.failsMax, Number.MAX_SAFE_INTEGER, 'nobody fails that often')
})

t.test('proxy', async t => {
  const config = file(t, `
castore: { upload_dir: /u, cache_dir: /c, capacity: 1024, upload_cleanup: { disabled: true } }
registryoverride: { listener: { net: unix, addr: /tmp/o.sock } }
server: { listener: { net: unix, addr: /tmp/p.sock }, prefetch_min_blob_size: 50M }
origin: { ${ACTIVE} }
build_index: { hosts: { static: [localhost:15004] } }
shoal: { upload_slots: 512 }
`)
  const { config: proxy, warnings } = proxyRole.load(['--config', config, '--port', '15000', '-port=15010', '--server-port', '15005'], HOST)
  t.same(warnings, [])
  t.same(proxy.ports, [15000, 15010])
  t.equal(proxy.serverPort, 15005)
  t.same(proxy.castore, { uploadDir: '/u', cacheDir: '/c', uploadTtlMs: Infinity })
  t.same(proxy.prefetch, { blobBytesMin: 50 * 2 ** 20, blobBytesMax: 50 * 2 ** 30 })
  t.same(proxy.memory, { swarmSlots: 256, uploadSlots: 512 })
  t.throws(() => proxyRole.load(['--config', config], HOST), { code: 'CONFIG_INVALID', message: /--port is required/ })
  t.throws(() => proxyRole.load(['--config', config, '--port', '1', '--port', '0'], HOST), { code: 'CONFIG_INVALID' })
})
