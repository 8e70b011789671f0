import { setMaxListeners } from 'node:events'
import { messageOf } from '../core/errors.js'
import { type Logger } from '../observe/log.js'

/** Work that outlives its caller, owned by the component that closes the group. */
export class TaskGroup {
  readonly #abort = new AbortController()
  readonly #running = new Set<Promise<void>>()

  constructor (readonly log: Logger) {
    // Everything that runs here listens to the same signal, which is no leak.
    setMaxListeners(0, this.#abort.signal)
  }

  /** Aborted when the group closes. */
  get signal (): AbortSignal { return this.#abort.signal }

  /** How many pieces of work are under way. */
  get size (): number { return this.#running.size }

  /** Starts `work`; a failure is logged, unless the group was closing. After the group was closed nothing is started. */
  run (name: string, work: (signal: AbortSignal) => Promise<void>): void {
    if (this.signal.aborted) return
    const task = work(this.signal)
      .catch((error: unknown) => { if (!this.signal.aborted) this.log.error({ task: name, error: messageOf(error) }, 'task failed') })
      .finally(() => { this.#running.delete(task) })
    this.#running.add(task)
  }

  /** Aborts what runs and waits for it. May be called twice. */
  async close (): Promise<void> {
    this.#abort.abort()
    await Promise.all(this.#running)
  }
}
