/** A log line is an event with a fixed name and fields: `log.info({ digest, tookMs }, 'torrent done')`. */
export interface Logger {
  error (fields: object, event: string): void
  warn (fields: object, event: string): void
  info (fields: object, event: string): void
  debug (fields: object, event: string): void
  child (fields: object): Logger
}

const silent = (): void => {}

/** For tests and tools that say what they have to say otherwise. */
export const noLog: Logger = { error: silent, warn: silent, info: silent, debug: silent, child: () => noLog }
