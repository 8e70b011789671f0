import { fileURLToPath } from 'node:url'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { Piscina } from 'piscina'
import { AppError, messageOf } from '../runtime/core/errors.js'
import { type SlabMemory } from '../runtime/core/slab.js'
import { type HashEngine } from '../wasm/engine.js'
import { type CallMap, Caller } from './channel.js'
import { type JobResult, type Jobs } from './jobs.js'
import { unwrap } from './result.js'
import { Turns } from './turns.js'

/*
 * Worker threads. The only file that knows Piscina.
 */

const ENTRY = fileURLToPath(new URL('./entry.js', import.meta.url))
/** A service that does not stop when asked is terminated after this long. */
const CLOSE_TIMEOUT_MS = 30_000

export interface HashPool {
  /**
   * Runs a job on the next free thread. An aborted `signal` withdraws a job that still waits (CANCELLED); one that runs
   * goes on to its end, so slots named in `input` may be released as soon as this settles, and not before.
   */
  run<J extends keyof Jobs> (job: J, input: Jobs[J]['input'], options?: { signal?: AbortSignal }): Promise<Jobs[J]['output']>
  /** Withdraws what waits, lets what runs finish, and ends the threads. Idempotent. */
  close (): Promise<void>
}

export interface HashPoolOptions {
  readonly threads: number
  /** The slots that `verifyPiece` names. */
  readonly slab?: SlabMemory
  readonly hashEngine?: HashEngine
}

/** Starts threads for hashing, from the main thread or from a service's. */
export function createHashPool ({ threads, slab, hashEngine = 'auto' }: HashPoolOptions): HashPool {
  const pool = new Piscina({
    filename: ENTRY,
    name: 'runJob',
    minThreads: threads,
    maxThreads: threads,
    workerData: { slab, hashEngine },
    recordTiming: false
  })
  // A thread that is ended while it loads its modules can bring the process down, deep in the engine. The first that each says
  // is that it is ready.
  const loaded = Promise.all(pool.threads.map(async thread => {
    await new Promise(resolve => { for (const event of ['message', 'exit']) thread.once(event, resolve) })
  }))
  // Waiting happens here and not in Piscina, whose abort cannot tell a task that waits from one whose thread it kills.
  const turns = new Turns(threads)
  let closed: Promise<void> | undefined
  return {
    async run (job, input, { signal } = {}) {
      await turns.take(signal)
      try {
        return unwrap(await runTask<JobResult<Jobs[typeof job]['output']>>(pool, { job, input }))
      } finally {
        turns.give()
      }
    },
    close () {
      closed ??= Promise.all([loaded, turns.close()]).then(async () => await pool.destroy())
      return closed
    }
  }
}

/** A service from outside: calls in, events out. */
export interface ServiceDoor<Calls extends CallMap<Calls>, Events> {
  call<Name extends keyof Calls> (name: Name, input: Calls[Name]['input'], options?: { signal?: AbortSignal }): Promise<Calls[Name]['output']>
  /** The function returned ends the listening. */
  on<Name extends keyof Events> (event: Name, listener: (payload: Events[Name]) => void): () => void
  /**
   * Resolves with the reason if the thread ends unasked; never otherwise. Pending and later calls fail with INTERNAL then.
   * What a service holds is lost with its thread, so the owner's answer is to stop the process.
   */
  readonly failed: Promise<AppError>
  /** Asks the service to stop, waits for that, and ends the thread. Calls still running get their answers. Idempotent. */
  close (): Promise<void>
}

/**
 * Starts a service on a thread of its own and waits until it serves calls.
 * @param options - what the service's function takes; must survive a structured clone
 * @throws the AppError with which the service did not start
 */
export async function startService<Calls extends CallMap<Calls>, Events, Options> (
  service: 'upload' | 'swarm', options: Options
): Promise<ServiceDoor<Calls, Events>> {
  const pool = new Piscina({
    filename: ENTRY,
    name: 'runService',
    minThreads: 1,
    maxThreads: 1,
    // The thread's event loop must never block in wait of a second task.
    atomics: 'disabled',
    recordTiming: false
  })
  const { port1, port2 } = new MessageChannel()
  const caller = new Caller<Calls, Events>(port1, service)
  const ended = runTask<JobResult<undefined>>(pool, { service, port: port2, options }, [port2]).then(unwrap)
  try {
    await Promise.race([caller.ready, ended.then(() => { throw new AppError('INTERNAL', `service ${service} ended before it served calls`) })])
  } catch (error) {
    port1.close()
    await pool.destroy()
    throw error
  }
  return new Door(service, pool, caller, ended)
}

class Door<Calls extends CallMap<Calls>, Events> implements ServiceDoor<Calls, Events> {
  readonly failed: Promise<AppError>
  #closed: Promise<void> | undefined
  #hasFailed = false

  constructor (readonly service: string, readonly pool: Piscina, readonly caller: Caller<Calls, Events>, readonly ended: Promise<void>) {
    this.failed = new Promise(resolve => {
      const onEnd = (why: string): void => {
        if (this.#closed !== undefined) return
        const error = new AppError('INTERNAL', `service ${service} ended unasked: ${why}`)
        this.#hasFailed = true
        caller.end(error)
        resolve(error)
      }
      ended.then(() => onEnd('its task returned'), error => onEnd(messageOf(error)))
    })
  }

  call<Name extends keyof Calls> (name: Name, input: Calls[Name]['input'], options?: { signal?: AbortSignal }): Promise<Calls[Name]['output']> {
    return this.caller.call(name, input, options)
  }

  on<Name extends keyof Events> (event: Name, listener: (payload: Events[Name]) => void): () => void {
    return this.caller.on(event, listener)
  }

  close (): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close (): Promise<void> {
    if (this.#hasFailed) return await this.pool.destroy()
    this.caller.requestClose()
    let timer: NodeJS.Timeout | undefined
    const timedOut = new Promise<void>(resolve => { timer = setTimeout(resolve, CLOSE_TIMEOUT_MS).unref() })
    try {
      await Promise.race([this.ended, timedOut])
    } finally {
      clearTimeout(timer)
      this.caller.end(new AppError('UNAVAILABLE', `service ${this.service} is stopped`))
      await this.pool.destroy()
    }
  }
}

/** A task of which only the thread itself can fail: everything else comes back as a value. */
async function runTask<Output> (pool: Piscina, task: object, transferList: MessagePort[] = []): Promise<Output> {
  try {
    return await pool.run(task, { transferList }) as Output
  } catch (cause) {
    throw new AppError('INTERNAL', `a worker thread failed: ${messageOf(cause)}`, { cause })
  }
}
