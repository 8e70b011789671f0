import { choice, nested, section, unused } from '../schema.js'
import { authBlock } from './auth.js'
import { backends } from './backends.js'
import { localDb, retry } from './retry.js'
import { tls } from './tls.js'

/** Names of the log's levels, least important first. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** The part of Kraken's logger that means something here; its three ways to crash count as errors. */
const zap = section({
  level: choice({ as: 'level', of: ['debug', 'info', 'warn', 'error', 'dpanic', 'panic', 'fatal'], default: 'info', doc: 'Nothing less important is logged.' }),
  ...Object.fromEntries([
    'development', 'encoding', 'disableStacktrace', 'disableCaller', 'encoderConfig', 'outputPaths', 'errorOutputPaths', 'sampling', 'initialFields'
  ].map(key => [key, unused('The log is JSON lines on standard output.')]))
}, ({ level }): { level: LogLevel } => ({ level: level === 'debug' || level === 'info' || level === 'warn' ? level : 'error' }))

/** Blocks that every role has (cluster specification 9.3). */
export const common = {
  zap: nested('log', zap, 'The log.'),
  verbose: unused('Not used by Kraken either.'),
  metrics: unused('Where metrics are sent.'),
  nginx: unused('There is no nginx: the ports are served by the program itself.'),
  tls: nested('tls', tls, 'Certificates.')
}

export const registryBlock = unused('Settings of an embedded registry; here the registry is the program itself.')
export const backendBlocks = {
  backends,
  auth: authBlock,
  backend_manager: unused('The log of the backends.'),
  localdb: nested('localDb', localDb, 'Pending work.'),
  writeback: nested('writeBack', retry, 'Pending copies to the backends.')
}
