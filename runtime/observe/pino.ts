import { type DestinationStream, type Logger as Pino, destination, pino, stdSerializers, stdTimeFunctions } from 'pino'
import { type LogLevel } from '../config/sections/common.js'
import { type Logger } from './log.js'

/** Lines that wait for a slow reader of standard output; beyond it they are dropped, so that no log can fill the memory. */
const BUFFERED_BYTES_MAX = 16 * 1024 * 1024

export interface LogOptions {
  readonly level: LogLevel
  /** Fields of every line, such as the role. */
  readonly fields?: object
  /** Where the lines go; default standard output, without ever blocking. */
  readonly sink?: DestinationStream
}

/** The program's log: one JSON object per line, with `level` as a word and `time` in ISO 8601. */
export function makeLog ({ level, fields = {}, sink }: LogOptions): Logger {
  const options = {
    level,
    base: { pid: process.pid, ...fields },
    messageKey: 'event',
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { error: stdSerializers.err, err: stdSerializers.err, cause: stdSerializers.err }
  }
  return new PinoLog(pino(options, sink ?? destination({ fd: 1, sync: false, maxLength: BUFFERED_BYTES_MAX })))
}

/** Narrows Pino to the four levels and the one form of call that the program uses. */
class PinoLog implements Logger {
  readonly #pino: Pino

  constructor (logger: Pino) { this.#pino = logger }

  error (fields: object, event: string): void { this.#pino.error(fields, event) }
  warn (fields: object, event: string): void { this.#pino.warn(fields, event) }
  info (fields: object, event: string): void { this.#pino.info(fields, event) }
  debug (fields: object, event: string): void { this.#pino.debug(fields, event) }
  child (fields: object): Logger { return new PinoLog(this.#pino.child(fields)) }
}
