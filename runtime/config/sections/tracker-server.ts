import { type Infer, choice, duration, int, nested, section, unused } from '../schema.js'

/** Announces (p2p specification 7.8). */
export const trackerServer = section({
  announce_interval: duration({ as: 'announceIntervalMs', default: '3s', min: 1, max: 3_600_000, doc: 'How long peers are told to wait between two announces.' }),
  announce_limit: int({ as: 'announceLimit', default: 50, min: 1, max: 10_000, doc: 'Agents handed out in one answer, at most; origins come on top.' }),
  get_metainfo_limit: unused('Not used by Kraken either.'),
  listener: unused('A second socket without a front.'),
  cache: unused('A leftover of older files.')
})

/** Who is announced where. */
export const peerStore = section({
  local: nested('local', section({
    ttl: duration({ as: 'peerTtlMs', default: '5h', min: 1, doc: 'How long a peer is handed out after its last announce.' })
  }), 'Peers in memory.'),
  redis: unused('Peers in Redis, shared by several trackers.')
})

/** What the tracker remembers of the origins (p2p specification 7.7). */
export const originStore = section({
  locations_ttl: duration({ as: 'locationsTtlMs', default: '10s', min: 1, doc: 'Owners of a digest.' }),
  locations_error_ttl: duration({ as: 'locationsErrorTtlMs', default: '1s', min: 1, doc: 'That asking for them failed.' }),
  origin_context_ttl: duration({ as: 'contextTtlMs', default: '10s', min: 1, doc: 'How an origin is reached as a peer.' }),
  origin_unavailable_ttl: duration({ as: 'unavailableTtlMs', default: '1m', min: 1, doc: 'That an origin does not answer.' })
})
export type OriginStoreConfig = Infer<typeof originStore>

/** Who is handed out first (p2p specification 7.4). */
export const handout = section({
  priority: choice({ as: 'policy', of: ['default', 'completeness'], doc: '`completeness`: complete agents first, then origins, then the others. `default`: in any order.' })
})
