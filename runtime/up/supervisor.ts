import { AppError } from '../core/errors.js'
import { logTail } from './log-tail.js'
import { DEFAULT_POLICY, type ProcessEvent, type ProcessSpec, type RestartPolicy, SupervisedProcess } from './supervised-process.js'

/** A set of processes that run together: started stage by stage, each kept alive, stopped in the reverse order. */
export class Supervisor {
  readonly #stages: ReadonlyArray<readonly SupervisedProcess[]>
  #stagesStarted = 0
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
    this.#stages = stagesOf(specs).map(stage => stage.map(spec => new SupervisedProcess(spec, policy, event => {
      onEvent(event)
      this.#track(event, spec)
    })))
  }

  /** Process ids by name; undefined for one that is about to be started again. */
  get pids (): Readonly<Record<string, number | undefined>> {
    return Object.fromEntries(this.#stages.flat().map(({ spec, pid }) => [spec.name, pid]))
  }

  /** Starts the first stage; each further one follows when the one before it was healthy. */
  start (): void { this.#startStage() }

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

  /** Stops all, those of the last stage first: what clients reach is gone before what it rests on. May be called twice. */
  async stop (): Promise<void> {
    this.#stagesStarted = this.#stages.length
    for (const stage of this.#stages.toReversed()) await Promise.all(stage.map(async supervised => { await supervised.stop() }))
  }

  #startStage (): void { for (const supervised of this.#stages[this.#stagesStarted++] ?? []) supervised.start() }

  #track (event: ProcessEvent, { logFile }: ProcessSpec): void {
    if (event.type === 'healthy') {
      this.#waiting.delete(event.name)
      if (this.#waiting.size === 0) this.#resolve()
      const isStageHealthy = this.#stages.slice(0, this.#stagesStarted).flat().every(({ spec }) => !this.#waiting.has(spec.name))
      if (isStageHealthy && this.#stagesStarted < this.#stages.length) this.#startStage()
    } else if (event.type === 'gaveUp') {
      this.#reject(new AppError('UNAVAILABLE', `${event.name} does not start (${event.how}). Its log, ${logFile}, ends with:\n${logTail(logFile)}`))
    }
  }
}

function stagesOf (specs: readonly ProcessSpec[]): ProcessSpec[][] {
  const stages = [...new Set(specs.map(stageOf))].sort((a, b) => a - b)
  return stages.map(stage => specs.filter(spec => stageOf(spec) === stage))
}

function stageOf ({ stage = 0 }: ProcessSpec): number { return stage }

async function aborted (signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>(resolve => { signal.addEventListener('abort', () => { resolve() }, { once: true }) })
}
