import { AppError } from '../core/errors.js'
import { logTail } from './log-tail.js'
import { DEFAULT_POLICY, type ProcessEvent, type ProcessSpec, type RestartPolicy, SupervisedProcess } from './supervised-process.js'

/** A set of processes that run together: all are started, each is kept alive, all are stopped. */
export class Supervisor {
  readonly #processes: readonly SupervisedProcess[]
  readonly #waiting: Set<string>
  readonly #ready: Promise<void>
  #resolve: () => void = () => {}
  #reject: (error: AppError) => void = () => {}

  /** @param onEvent - told of every start and end, for people to read */
  constructor (specs: readonly ProcessSpec[], onEvent: (event: ProcessEvent) => void, policy: RestartPolicy = DEFAULT_POLICY) {
    this.#waiting = new Set(specs.map(spec => spec.name))
    this.#ready = new Promise((resolve, reject) => { [this.#resolve, this.#reject] = [resolve, reject] })
    // Whoever waits for it sees the failure; nobody need wait.
    this.#ready.catch(() => {})
    this.#processes = specs.map(spec => new SupervisedProcess(spec, policy, event => {
      onEvent(event)
      this.#track(event, spec)
    }))
  }

  /** Process ids by name; undefined for one that is about to be started again. */
  get pids (): Readonly<Record<string, number | undefined>> {
    return Object.fromEntries(this.#processes.map(({ spec, pid }) => [spec.name, pid]))
  }

  start (): void { for (const supervised of this.#processes) supervised.start() }

  /**
   * Resolves once every process was healthy.
   * @throws AppError UNAVAILABLE if one was given up, TIMED_OUT after `timeoutMs`, CANCELLED by the signal
   */
  async ready ({ timeoutMs, signal }: { timeoutMs: number, signal?: AbortSignal }): Promise<void> {
    const deadline = AbortSignal.timeout(timeoutMs)
    const either = signal === undefined ? deadline : AbortSignal.any([signal, deadline])
    await Promise.race([this.#ready, aborted(either)])
    if (this.#waiting.size === 0) return
    if (signal?.aborted === true) throw new AppError('CANCELLED', 'stopped before everything was ready')
    throw new AppError('TIMED_OUT', `${[...this.#waiting].join(', ')} did not become healthy within ${timeoutMs / 1000} s`)
  }

  /** Stops all of them at once. May be called twice. */
  async stop (): Promise<void> { await Promise.all(this.#processes.map(async supervised => { await supervised.stop() })) }

  #track (event: ProcessEvent, { logFile }: ProcessSpec): void {
    if (event.type === 'healthy') {
      this.#waiting.delete(event.name)
      if (this.#waiting.size === 0) this.#resolve()
    } else if (event.type === 'gaveUp') {
      this.#reject(new AppError('UNAVAILABLE', `${event.name} does not start (${event.how}). Its log, ${logFile}, ends with:\n${logTail(logFile)}`))
    }
  }
}

async function aborted (signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>(resolve => { signal.addEventListener('abort', () => { resolve() }, { once: true }) })
}
