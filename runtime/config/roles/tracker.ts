import { intFlag } from '../flags.js'
import { nested, section } from '../schema.js'
import { common } from '../sections/common.js'
import { handout, originStore, peerStore, trackerServer } from '../sections/tracker-server.js'
import { activeUpstream } from '../sections/upstream.js'
import { type TrackerConfig } from '../types.js'
import { role } from './role.js'

export const trackerRole = role({
  name: 'tracker',
  flags: { port: intFlag('Port of the tracker\'s HTTP API.') },
  required: ['port'],
  file: section({
    trackerserver: nested('server', trackerServer, 'Announces.'),
    peerstore: nested('peerStore', peerStore, 'Who is announced where.'),
    originstore: nested('originStore', originStore, 'What is remembered of the origins.'),
    peerhandoutpolicy: nested('handout', handout, 'Who is handed out first.'),
    origin: nested('origin', activeUpstream, 'The origins.'),
    ...common
  }),
  make: (flags, file): TrackerConfig => ({
    port: flags.port,
    announceIntervalMs: file.server.announceIntervalMs,
    announceLimit: file.server.announceLimit,
    handoutPolicy: file.handout.policy,
    peerTtlMs: file.peerStore.local.peerTtlMs,
    originStore: file.originStore,
    origin: file.origin,
    ...file.tls === undefined ? {} : { tls: file.tls }
  })
})
