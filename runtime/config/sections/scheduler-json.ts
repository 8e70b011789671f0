import { AppError } from '../../core/errors.js'
import { field, isRecord } from '../../core/json.js'
import { scheduler, type SchedulerConfig } from './scheduler.js'

/*
 * The same configuration as it comes over HTTP (http-api specification 3.2): JSON in the names of the reference's fields,
 * durations in nanoseconds, which is how a bare integer is read in a file, too.
 */

/** The key in the file by the name of the field, or that of a block with its fields. */
interface Names { readonly [name: string]: string | readonly [block: string, names: Names] }

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

/** Reads a whole configuration: what is absent, or zero, has its default. @throws AppError BODY_INVALID with the field that is wrong */
export function schedulerFromJson (value: unknown): SchedulerConfig {
  if (value !== null && !isRecord(value)) throw new AppError('BODY_INVALID', 'json decode: expected an object such as {"ConnTTL":3600000000000}')
  const read = scheduler.schema.safeParse(toKeys(value, NAMES))
  if (read.success) return read.data
  const faults = read.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
  throw new AppError('BODY_INVALID', `json decode: ${faults.join('; ')}`)
}

function toKeys (value: unknown, names: Names): Record<string, unknown> {
  return Object.fromEntries(Object.entries(names).flatMap(([name, target]) => {
    const found = field(value, name)
    if (found === undefined) return []
    return [typeof target === 'string' ? [target, found] : [target[0], isRecord(found) ? toKeys(found, target[1]) : found]]
  }))
}
