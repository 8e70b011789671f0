import { type Infer, bool, choice, duration, int, nested, optionalAddress, section, unused } from '../schema.js'

/** Announces (p2p specification 7.8). */
export const trackerServer = section({
  announce_interval: duration({ as: 'announceIntervalMs', default: '3s', min: 1, max: 3_600_000, doc: 'How long peers are told to wait between two announces.' }),
  announce_limit: int({ as: 'announceLimit', default: 50, min: 1, max: 10_000, doc: 'Agents handed out in one answer, at most; origins come on top.' }),
  get_metainfo_limit: unused('Not used by Kraken either.'),
  listener: unused('A second socket without a front.'),
  cache: unused('A leftover of older files.')
})

/** Several trackers that know the same peers (p2p specification 7.6). */
const redis = section({
  enabled: bool({ as: 'isEnabled', default: false, doc: 'Keep peers in Redis. What follows counts only then.' }),
  addr: optionalAddress({ as: 'address', doc: 'Where Redis is, `host:port`. Required if it is enabled.' }),
  dial_timeout: duration({ as: 'connectMs', default: '5s', min: 1, max: 600_000, doc: 'How long a connection may take.' }),
  read_timeout: duration({ as: 'replyMs', default: '30s', min: 1, max: 600_000, doc: 'How long a reply may take, 1 s at most; then the peers that this tracker was told of itself are handed out.' }),
  peer_set_window_size: duration({ as: 'windowMs', default: '1h', min: 1000, max: 30 * 86_400_000, doc: 'Peers are kept in sets, a new one each time that this has passed. The same at all trackers.' }),
  max_peer_set_windows: int({ as: 'windows', default: 5, min: 1, max: 1000, doc: 'How many of these sets are looked at, and kept.' }),
  write_timeout: unused('As `read_timeout`.'),
  max_idle_conns: unused('There is one connection, over which all announces go.'),
  max_active_conns: unused('As `max_idle_conns`.'),
  idle_conn_timeout: unused('As `max_idle_conns`.')
}, ({ isEnabled, address, replyMs, ...rest }, complain): RedisConfig | undefined => {
  if (!isEnabled) return undefined
  if (address === undefined) complain('required: expected an address such as redis:6379, since `enabled` is true', 'addr')
  return { ...rest, address: address ?? '', replyMs: Math.min(replyMs, REDIS_REPLY_MAX_MS) }
})

/** Nobody waits longer than this for what others may know too. */
const REDIS_REPLY_MAX_MS = 1_000

export interface RedisConfig {
  readonly address: string
  readonly connectMs: number
  readonly replyMs: number
  readonly windowMs: number
  readonly windows: number
}

/** Who is announced where. */
export const peerStore = section({
  local: nested('local', section({
    ttl: duration({ as: 'peerTtlMs', default: '5h', min: 1, doc: 'How long a peer is handed out after its last announce.' })
  }), 'Peers in memory.'),
  redis: nested('redis', redis, 'Peers in Redis, shared by several trackers.')
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
