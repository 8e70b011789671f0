import { intFlag, stringFlag } from '../flags.js'
import { choice, duration, nested, section, size, unused } from '../schema.js'
import { backendBlocks, common } from '../sections/common.js'
import { hashring } from '../sections/hashring.js'
import { healthFilter } from '../sections/healthcheck.js'
import { hosts } from '../sections/hosts.js'
import { memoryAndDurability } from '../sections/memory.js'
import { metainfogen } from '../sections/metainfogen.js'
import { taskDirOf } from '../sections/retry.js'
import { scheduler } from '../sections/scheduler.js'
import { castore } from '../sections/store.js'
import { type OriginConfig } from '../types.js'
import { role } from './role.js'

const blobserver = section({
  duplicate_write_back_stagger: duration({ as: 'duplicateWriteBackStaggerMs', default: '30m', min: 1, doc: 'How much later each further owner of an upload writes it back.' }),
  listener: unused('A second socket without a front.')
})

const blobrefresh = section({
  size_limit: size({ as: 'bytesMax', default: '0', min: 0, doc: 'Larger blobs are not fetched from a backend. 0: no limit.' })
})

export const originRole = role({
  name: 'origin',
  flags: {
    'peer-ip': stringFlag('Address told to the tracker; by default the first IPv4 address of this host.'),
    'peer-port': intFlag('Port for peers.'),
    'blobserver-hostname': stringFlag('Name by which this origin finds itself among the members; by default the host name.'),
    'blobserver-port': intFlag('Port of the origin\'s HTTP API.'),
    zone: stringFlag('Name of the zone.')
  },
  required: ['peer-port', 'blobserver-port'],
  file: section({
    cluster: nested('members', hosts, 'All origins of this cluster, spelt alike everywhere.'),
    healthcheck: nested('health', healthFilter, 'Which of them are left out.'),
    hashring: nested('ring', hashring, 'Who of them owns which digest.'),
    castore: nested('castore', castore, 'Where blobs are kept.'),
    metainfogen: nested('pieceLengths', metainfogen, 'In which pieces blobs are cut.'),
    scheduler: nested('scheduler', scheduler, 'How blobs are served to peers.'),
    peer_id_factory: choice({ as: 'peerIdPolicy', of: ['addr_hash', 'random'], doc: 'How this peer is named: after its address, which survives restarts, or anew at each start.' }),
    blobserver: nested('blobserver', blobserver, 'The HTTP API.'),
    shoal: nested('own', memoryAndDurability, 'What only this program has.'),
    ...common,
    ...backendBlocks,
    blobrefresh: nested('refresh', blobrefresh, 'Blobs that are fetched from a backend.'),
    network_event: unused('A file of peer events.')
  }),
  make: (flags, file, host): OriginConfig => ({
    peerIp: flags['peer-ip'] === '' ? host.ip : flags['peer-ip'],
    peerPort: flags['peer-port'],
    hostname: flags['blobserver-hostname'] === '' ? host.name : flags['blobserver-hostname'],
    port: flags['blobserver-port'],
    zone: flags.zone,
    cluster: flags.cluster,
    castore: file.castore,
    scheduler: file.scheduler,
    peerIdPolicy: file.peerIdPolicy,
    members: file.members,
    health: { ...file.health, intervalMs: file.ring.refreshIntervalMs },
    ring: file.ring,
    pieceLengths: file.pieceLengths,
    duplicateWriteBackStaggerMs: file.blobserver.duplicateWriteBackStaggerMs,
    taskDir: taskDirOf(file.localDb, file.castore.cacheDir),
    writeBack: file.writeBack,
    durability: file.own.durability,
    refreshBytesMax: file.refresh.bytesMax,
    backends: { items: file.backends, auth: file.auth },
    memory: file.own.memory,
    ...file.tls === undefined ? {} : { tls: file.tls }
  })
})
