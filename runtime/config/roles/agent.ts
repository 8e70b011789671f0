import { intFlag, stringFlag } from '../flags.js'
import { choice, duration, list, nested, optionalAddress, section, unused } from '../schema.js'
import { sourceShape } from '../sections/allowed.js'
import { common, registryBlock } from '../sections/common.js'
import { containerRuntime, dockerConfig, dockerDaemon } from '../sections/container-runtime.js'
import { memoryRegistryAndInlining } from '../sections/memory.js'
import { scheduler } from '../sections/scheduler.js'
import { agentStore } from '../sections/store.js'
import { passiveRing, passiveUpstream } from '../sections/upstream.js'
import { type AgentConfig } from '../types.js'
import { role } from './role.js'

const agentserver = section({
  readiness_cache_ttl: duration({ as: 'readinessTtlMs', default: '0s', min: 0, doc: 'How long it is remembered that this agent was ready.' })
})

export const agentRole = role({
  name: 'agent',
  flags: {
    'peer-ip': stringFlag('Address announced to the tracker; by default the first IPv4 address of this host.'),
    'peer-port': intFlag('Port for peers, listened on and announced.'),
    'agent-server-port': intFlag('Port of the agent\'s HTTP API.'),
    'agent-registry-port': intFlag('Port of the registry to pull from.'),
    zone: stringFlag('Name of the zone.')
  },
  required: ['peer-port', 'agent-server-port', 'agent-registry-port'],
  file: section({
    store: nested('store', agentStore, 'Where blobs are kept.'),
    scheduler: nested('scheduler', scheduler, 'How blobs are exchanged with peers.'),
    peer_id_factory: choice({ as: 'peerIdPolicy', of: ['addr_hash', 'random'], doc: 'How this peer is named: after its address, which survives restarts, or anew at each start.' }),
    tracker: nested('tracker', passiveRing, 'The trackers.'),
    build_index: nested('buildIndex', passiveUpstream, 'The build-indexes.'),
    shoal: nested('own', memoryRegistryAndInlining, 'What only this program has.'),
    ...common,
    registry: registryBlock,
    registry_backup: optionalAddress({ as: 'backup', doc: 'A registry that speaks plain HTTP, asked for what this one answers with 404 or 5xx.' }),
    allowed_cidrs: list({ as: 'allowed', of: sourceShape(), doc: 'Who may use the registry port, addresses and networks; others get 403. Without any, everybody may.' }),
    agentserver: nested('agentserver', agentserver, 'The HTTP API.'),
    container_runtime: nested('containerRuntime', containerRuntime, 'What pulls images for the preload.'),
    docker_daemon: nested('dockerDaemon', dockerDaemon, 'The older name of `container_runtime.docker`.'),
    network_event: unused('A file of peer events.')
  }),
  make: (flags, file, host): AgentConfig => ({
    peerIp: flags['peer-ip'] === '' ? host.ip : flags['peer-ip'],
    peerPort: flags['peer-port'],
    serverPort: flags['agent-server-port'],
    registryPort: flags['agent-registry-port'],
    zone: flags.zone,
    cluster: flags.cluster,
    store: file.store,
    scheduler: file.scheduler,
    peerIdPolicy: file.peerIdPolicy,
    tracker: file.tracker,
    buildIndex: file.buildIndex,
    docker: dockerConfig(file.containerRuntime, file.dockerDaemon),
    containerd: file.containerRuntime.containerd,
    ...file.own,
    allowed: file.allowed.flat(),
    backup: file.backup,
    readinessTtlMs: file.agentserver.readinessTtlMs,
    ...file.tls === undefined ? {} : { tls: file.tls }
  })
})
