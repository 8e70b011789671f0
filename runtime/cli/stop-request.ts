import { type EventEmitter } from 'node:events'
import { constants } from 'node:os'

/**
 * Signals that follow the first one this closely are the same key press: a terminal sends Ctrl-C to the whole group, and
 * npm passes it on once more.
 */
const SAME_PRESS_MS = 500

/** What ends a process, and what asks it to. */
export interface StopSource extends Pick<EventEmitter, 'on' | 'off'> {
  exit (code: number): void
}

/**
 * Turns the ways in which a process is asked to stop into one abort signal: SIGINT, SIGTERM, and the end of the process
 * that started this one with a channel to it, so that nothing is orphaned. A second signal ends the process at once.
 */
export class StopRequest {
  readonly #abort = new AbortController()
  readonly #source: StopSource
  readonly #now: () => number
  readonly #requested: Promise<string>
  #resolve: (reason: string) => void = () => {}
  #since = 0

  constructor (source: StopSource = process, now: () => number = () => performance.now()) {
    this.#source = source
    this.#now = now
    this.#requested = new Promise(resolve => { this.#resolve = resolve })
    source.on('SIGINT', this.#onSignal)
    source.on('SIGTERM', this.#onSignal)
    source.on('disconnect', this.#onDisconnect)
  }

  /** Aborted by the first request. */
  get signal (): AbortSignal { return this.#abort.signal }

  /** Resolves with what asked: the name of the signal, or `parent ended`. */
  get requested (): Promise<string> { return this.#requested }

  /** Stops listening. */
  dispose (): void {
    this.#source.off('SIGINT', this.#onSignal)
    this.#source.off('SIGTERM', this.#onSignal)
    this.#source.off('disconnect', this.#onDisconnect)
  }

  readonly #onDisconnect = (): void => { this.#request('parent ended') }

  readonly #onSignal = (name: 'SIGINT' | 'SIGTERM'): void => {
    if (!this.signal.aborted) return this.#request(name)
    if (this.#now() - this.#since >= SAME_PRESS_MS) this.#source.exit(128 + constants.signals[name])
  }

  #request (reason: string): void {
    if (this.signal.aborted) return
    this.#since = this.#now()
    this.#abort.abort()
    this.#resolve(reason)
  }
}
