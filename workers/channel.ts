import { type MessagePort } from 'node:worker_threads'
import { AppError } from '../runtime/core/errors.js'
import { type JobResult } from './jobs.js'
import { failureOf, unwrap } from './result.js'

/*
 * Typed calls and events over one MessagePort. What is sent during one turn of the event loop travels as one message:
 * an array, in the order of sending, so that an event emitted before an answer also arrives before it.
 *
 *   owner                                        service
 *     | -- call 7 append {...}, call 8 ... ------> |   handler for each
 *     | <- answer 7 {...}, event leading {...} --- |
 *     | -- abort 8 -----------------------------> |   its signal is aborted
 *     | -- close -------------------------------> |   onClose(), the last answers, then the port is closed
 */

/** A map of calls: each name has an input and an output. */
export type CallMap<Calls> = { [Name in keyof Calls]: { input: unknown, output: unknown } }

/** What answers the calls. `signal` is aborted when the caller gave up; the answer is then dropped. */
export type Handlers<Calls extends CallMap<Calls>> = {
  [Name in keyof Calls]: (input: Calls[Name]['input'], context: { signal: AbortSignal }) => Promise<Calls[Name]['output']> | Calls[Name]['output']
}

export type Emit<Events> = <Name extends keyof Events> (event: Name, payload: Events[Name]) => void

type Request =
  | { readonly type: 'call', readonly id: number, readonly name: PropertyKey, readonly input: unknown, readonly isAbortable: boolean }
  | { readonly type: 'abort', readonly id: number }
  | { readonly type: 'close' }

type Response =
  | { readonly type: 'ready' }
  | { readonly type: 'answer', readonly id: number, readonly result: JobResult<unknown> }
  | { readonly type: 'event', readonly name: PropertyKey, readonly payload: unknown }

/**
 * Serves calls inside a service thread, from now on, and returns how to emit events. When the owner closes the door,
 * `onClose` stops the service; the calls that are still running then get their answers out, and the port is closed, which
 * ends the thread's task.
 */
export function serveCalls<Calls extends CallMap<Calls>, Events> (
  port: MessagePort, handlers: Handlers<Calls>, onClose: () => Promise<void> | void
): Emit<Events> {
  const out = new Outbox<Response>(port)
  const running = new Set<Promise<void>>()
  const abortable = new Map<number, AbortController>()
  let isClosing = false

  const answer = async (request: Request & { type: 'call' }): Promise<void> => {
    let signal = neverAborted
    if (request.isAbortable) {
      const controller = new AbortController()
      abortable.set(request.id, controller)
      signal = controller.signal
    }
    let result: JobResult<unknown>
    try {
      if (isClosing) throw new AppError('UNAVAILABLE', `${String(request.name)}: the service is being stopped`)
      result = { ok: true, value: await handlerOf(handlers, request.name)(request.input, { signal }) }
    } catch (error) {
      result = failureOf(error)
    }
    abortable.delete(request.id)
    out.send({ type: 'answer', id: request.id, result })
  }
  const close = async (): Promise<void> => {
    isClosing = true
    try {
      await onClose()
      await Promise.all(running)
    } finally {
      out.flush()
      port.close()
    }
  }
  port.on('message', (batch: readonly Request[]) => {
    for (const request of batch) {
      if (request.type === 'call') {
        const done = answer(request).finally(() => running.delete(done))
        running.add(done)
      } else if (request.type === 'abort') {
        abortable.get(request.id)?.abort()
      } else {
        void close()
      }
    }
  })
  out.send({ type: 'ready' })
  return (name, payload) => out.send({ type: 'event', name, payload })
}

/** The owner's end of a channel. */
export class Caller<Calls extends CallMap<Calls>, Events> {
  readonly #out: Outbox<Request>
  readonly #pending = new Map<number, Pending>()
  readonly #listeners = new Map<PropertyKey, Set<(payload: never) => void>>()
  #nextId = 1
  #ended: AppError | undefined
  /** Resolved once the other side serves calls; never, if it ends before. */
  readonly ready: Promise<void>

  constructor (readonly port: MessagePort, readonly serviceName: string) {
    this.#out = new Outbox(port)
    let markReady = (): void => {}
    this.ready = new Promise(resolve => { markReady = resolve })
    port.on('message', (batch: readonly Response[]) => {
      for (const response of batch) {
        if (response.type === 'answer') this.#settle(response.id, response.result)
        else if (response.type === 'event') this.#dispatch(response.name, response.payload)
        else markReady()
      }
    })
  }

  /**
   * Asks and waits for the answer. An aborted `signal` ends the waiting at once with CANCELLED; the service is told and
   * may go on.
   */
  async call<Name extends keyof Calls> (
    name: Name, input: Calls[Name]['input'], { signal }: { signal?: AbortSignal } = {}
  ): Promise<Calls[Name]['output']> {
    if (this.#ended !== undefined) throw new AppError(this.#ended.code, this.#ended.message)
    if (signal?.aborted === true) throw cancelled(this.serviceName, name)
    const id = this.#nextId++
    const answer = new Promise<unknown>((resolve, reject) => this.#pending.set(id, { resolve, reject }))
    this.#out.send({ type: 'call', id, name, input, isAbortable: signal !== undefined })
    if (signal === undefined) return await answer
    const onAbort = (): void => {
      this.#out.send({ type: 'abort', id })
      this.#take(id)?.reject(cancelled(this.serviceName, name))
    }
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      return await answer
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Calls `listener` for each such event; the function returned ends that. */
  on<Name extends keyof Events> (event: Name, listener: (payload: Events[Name]) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set()
    this.#listeners.set(event, listeners)
    listeners.add(listener)
    return () => { listeners.delete(listener) }
  }

  /** Asks the service to stop. */
  requestClose (): void { this.#out.send({ type: 'close' }) }

  /** Nothing more will come: what is pending, and every later call, fails with `error`. */
  end (error: AppError): void {
    this.#ended ??= error
    this.port.close()
    for (const id of [...this.#pending.keys()]) this.#take(id)?.reject(new AppError(error.code, error.message))
  }

  #settle (id: number, result: JobResult<unknown>): void {
    const pending = this.#take(id)
    if (pending === undefined) return
    try {
      pending.resolve(unwrap(result))
    } catch (error) {
      pending.reject(error)
    }
  }

  #dispatch (name: PropertyKey, payload: unknown): void {
    // The service's `emit` has the same type parameters as `on`, so a payload is what the listeners of its name take.
    for (const listener of this.#listeners.get(name) ?? []) listener(payload as never)
  }

  #take (id: number): Pending | undefined {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    return pending
  }
}

interface Pending { readonly resolve: (value: unknown) => void, readonly reject: (error: unknown) => void }

/** Collects what is sent during one turn and posts it as one message. */
class Outbox<Message> {
  #batch: Message[] = []
  constructor (readonly port: MessagePort) {}

  send (message: Message): void {
    // A tick comes after all promise callbacks of the turn, so answers that are ready together leave together.
    if (this.#batch.push(message) === 1) process.nextTick(() => this.flush())
  }

  flush (): void {
    if (this.#batch.length === 0) return
    const batch = this.#batch
    this.#batch = []
    this.port.postMessage(batch)
  }
}

const neverAborted = new AbortController().signal

function handlerOf<Calls extends CallMap<Calls>> (
  handlers: Handlers<Calls>, name: PropertyKey
): (input: unknown, context: { signal: AbortSignal }) => unknown {
  const handler: unknown = Object.hasOwn(handlers, name) ? handlers[name as keyof Calls] : undefined
  if (typeof handler !== 'function') throw new AppError('INTERNAL', `the service answers no call "${String(name)}"`)
  return handler as (input: unknown, context: { signal: AbortSignal }) => unknown
}

function cancelled (service: string, call: PropertyKey): AppError {
  return new AppError('CANCELLED', `${service}: ${String(call)} was given up by its caller`)
}
