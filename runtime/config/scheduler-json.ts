import { AppError } from '../core/errors.js'
import { field, isRecord, parseFirstJson } from '../core/json.js'
import { scheduler, type SchedulerConfig } from './sections/scheduler.js'

/** The names of the reference's fields in JSON, and the keys of its files (http-api specification 3.2). */
interface Names { readonly [name: string]: string | readonly [key: string, below: Names] }

const NAMES: Names = {
  SeederTTI: 'seeder_tti',
  LeecherTTI: 'leecher_tti',
  ConnTTI: 'conn_tti',
  ConnTTL: 'conn_ttl',
  PreemptionInterval: 'preemption_interval',
  ProbeTimeout: 'probe_timeout',
  ConnState: ['connstate', {
    MaxOpenConnectionsPerTorrent: 'max_open_conn',
    MaxMutualConnections: 'max_mutual_conn',
    DisableBlacklist: 'disable_blacklist',
    BlacklistDuration: 'blacklist_duration'
  }],
  Conn: ['conn', { HandshakeTimeout: 'handshake_timeout' }],
  Dispatch: ['dispatch', {
    PieceRequestMinTimeout: 'piece_request_min_timeout',
    PieceRequestTimeoutPerMb: 'piece_request_timeout_per_mb',
    PieceRequestPolicy: 'piece_request_policy',
    AgentPipelineLimit: 'pipeline_limit',
    OriginPipelineLimit: 'origin_pipeline_limit',
    EndgameThreshold: 'endgame_threshold',
    DisableEndgame: 'disable_endgame'
  }]
}

/**
 * A whole configuration of the scheduler in JSON, with the reference's field names and durations in nanoseconds. What is
 * absent or zero has its default; what has no effect here, or is not known, is ignored.
 * @throws AppError BODY_INVALID
 */
export function schedulerFromJson (text: string): SchedulerConfig {
  const document = parseFirstJson(text, 'json decode')
  if (!isRecord(document) && document !== null) throw new AppError('BODY_INVALID', 'json decode: expected an object such as {"ConnTTI":30000000000}')
  const read = scheduler.schema.safeParse(renamed(document, NAMES))
  if (read.success) return read.data
  const faults = read.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
  throw new AppError('BODY_INVALID', `json decode: ${faults.join('; ')}`)
}

function renamed (document: unknown, names: Names): Record<string, unknown> {
  return Object.fromEntries(Object.entries(names).flatMap(([name, to]) => {
    const value = field(document, name)
    if (value === undefined || value === null) return []
    if (typeof to === 'string') return [[to, value]]
    const [key, below] = to
    return [[key, isRecord(value) ? renamed(value, below) : value]]
  }))
}
