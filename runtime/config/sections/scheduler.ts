import { type Infer, duration, nested, section, unused } from '../schema.js'
import { conn } from './conn.js'
import { connState } from './conn-state.js'
import { dispatch } from './dispatch.js'

/** The parts of a peer's behaviour that can be set (p2p specification 6.1). */
export const scheduler = section({
  seeder_tti: duration({ as: 'seederTtiMs', default: '5m', min: 1, doc: 'A complete torrent that nobody reads for this long is dropped from memory; its files stay.' }),
  leecher_tti: duration({ as: 'leecherTtiMs', default: '5m', min: 1, doc: 'An incomplete torrent that receives no piece for this long is given up and its files are deleted.' }),
  conn_tti: duration({ as: 'connTtiMs', default: '30s', min: 1, doc: 'A connection that moves nothing for this long is closed.' }),
  conn_ttl: duration({ as: 'connTtlMs', default: '1h', min: 1, doc: 'A connection older than this is closed.' }),
  preemption_interval: duration({ as: 'preemptionIntervalMs', default: '30s', min: 1, max: 86_400_000, doc: 'How often the four limits above are enforced.' }),
  probe_timeout: duration({ as: 'probeTimeoutMs', default: '3s', min: 1, max: 600_000, doc: 'How long the health check waits for the peer thread.' }),
  connstate: nested('connState', connState, 'Which peers are connected.'),
  conn: nested('conn', conn, 'Each connection.'),
  dispatch: nested('dispatch', dispatch, 'Which pieces are asked of whom.'),
  emit_stats_interval: unused('Period of the statistics.'),
  disable_preemption: unused('For tests of the reference.'),
  log: unused('Where the log of the peer thread goes; here it is part of the program\'s log.'),
  torrentlog: unused('Where the log of downloads goes; here it is part of the program\'s log.')
})
export type SchedulerConfig = Infer<typeof scheduler>
export { type ConnConfig } from './conn.js'
export { type ConnStateConfig } from './conn-state.js'
export { type DispatchConfig } from './dispatch.js'
