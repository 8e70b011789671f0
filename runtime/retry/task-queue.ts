import { type Sleep } from '../../net/client/upstream.js'
import { after, type Clock } from '../core/clock.js'
import { AppError, messageOf } from '../core/errors.js'
import { type Prng } from '../core/prng.js'
import { type Logger } from '../observe/log.js'
import { pauseAfter } from './backoff.js'
import { Lane, type Slot } from './lane.js'
import { PinCounts } from './pin-counts.js'
import { type NewTask, type RetryPolicy, type TaskHandler, type TaskKind, type TaskOutcome, type TaskRecord, type TaskView } from './task.js'
import { TaskStore } from './task-store.js'

/** Tasks of a component, all kinds together. About 300 bytes of memory each. */
const TASKS_MAX = 1_000_000
const REASON_CHARS_MAX = 500
const LIST_MAX = 10_000
/** How long what runs may take to end when the queue is closed. */
const CLOSE_MS = 5_000

export interface TaskQueueOptions {
  /** A folder of its own; made if it is not there. */
  readonly dir: string
  readonly clock: Clock
  readonly sleep: Sleep
  readonly prng: Prng
  readonly log: Logger
  readonly tasksMax?: number
}

export interface TaskStats {
  readonly waiting: number
  readonly running: number
  readonly parked: number
  /** Age of the oldest task that is not parked, 0 if there is none. */
  readonly oldestMs: number
}

export interface TaskQuery {
  readonly kind?: string | undefined
  readonly state?: string | undefined
  /** At most; default and bound 10,000. */
  readonly limit?: number | undefined
}

/** How an attempt ended, failures included. */
type Ended = TaskOutcome | { readonly failed: string }

/**
 * Work that has to be done at least once, whatever happens to the process (cluster specification 4). What `add` has
 * resolved for is done by this process or a later one. Tasks whose kind has no handler, because a setting changed for
 * instance, wait for one and can be listed.
 */
export class TaskQueue {
  readonly #lanes = new Map<string, Lane>()
  readonly #slots = new Map<string, Slot>()
  readonly #pins = new PinCounts()
  readonly #stopped = new AbortController()
  #closing: Promise<void> | undefined

  private constructor (readonly options: TaskQueueOptions, readonly store: TaskStore) {}

  /** Finds the tasks of earlier processes; nothing runs before its kind has a handler. @throws AppError STORAGE */
  static async open (options: TaskQueueOptions): Promise<TaskQueue> {
    const queue = new TaskQueue(options, await TaskStore.open(options.dir))
    const wall = options.clock.wall()
    for (const record of queue.store.all(options.log)) {
      // A wall clock that was wrong then, or is now, must not put a task off for longer than it was meant to wait.
      const waitMs = Math.min(Math.max(0, record.dueAtMs - wall), Math.max(0, record.dueAtMs - record.createdAtMs))
      queue.#insert(record, waitMs, record.isParked ? 'parked' : 'waiting')
    }
    if (queue.size > 0) options.log.info({ taskCount: queue.size }, 'tasks found')
    return queue
  }

  get size (): number { return this.#slots.size }

  /** Gives a kind its handler, once; its tasks begin to run. */
  handle<Payload> (kind: TaskKind<Payload>, policy: RetryPolicy, handler: TaskHandler<Payload>): void {
    const { clock, sleep } = this.options
    const attempt = async (slot: Slot, signal: AbortSignal): Promise<void> => { await this.#attempt(slot, kind, policy, handler, signal) }
    this.#laneOf(kind.name).attach({ policy, attempt, clock, sleep }, this.#stopped.signal)
  }

  /** Resolves when the task is on the disk. @throws AppError UNAVAILABLE if there are too many, STORAGE, STORAGE_FULL */
  async add<Payload> (kind: TaskKind<Payload>, task: NewTask<Payload>): Promise<void> { await this.addAll(kind, [task]) }

  /** Several of one kind, all or none. */
  async addAll<Payload> (kind: TaskKind<Payload>, tasks: ReadonlyArray<NewTask<Payload>>): Promise<void> {
    const { log, tasksMax = TASKS_MAX } = this.options
    if (this.#stopped.signal.aborted) throw new AppError('UNAVAILABLE', 'this process is stopping: try again in a moment')
    if (this.size + tasks.length > tasksMax) {
      throw new AppError('UNAVAILABLE', `${this.size} tasks wait already, the limit is ${tasksMax}: see what keeps them from being done`)
    }
    const prepared = tasks.map(task => this.#prepare(kind.name, task))
    // Also those that were there are written: whoever added them first may still be waiting for the disk.
    try {
      await this.store.put(prepared.map(({ record }) => record))
    } catch (error) {
      log.error({ kind: kind.name, error: messageOf(error) }, 'tasks could not be stored')
      throw error
    } finally {
      for (const { slot } of prepared) this.#stored(slot)
    }
  }

  /** Whether there is such a task, in whatever state. */
  has (kind: { readonly name: string }, key: string): boolean { return this.#slots.has(idOf(kind.name, key)) }

  /** How many tasks need that what is called `pin` is kept; parked ones too. It may be deleted at 0. */
  pinCount (pin: string): number { return this.#pins.of(pin) }

  /** Waiting tasks of a kind that `isMeant` are due now: what they waited for may have happened. */
  wake (kind: { readonly name: string }, isMeant: (key: string) => boolean): number {
    let count = 0
    for (const slot of this.#slots.values()) {
      if (slot.kind !== kind.name || slot.state !== 'waiting' || !isMeant(slot.key)) continue
      this.#reschedule(slot, 0)
      count++
    }
    return count
  }

  /** Begins a task anew, parked or not; false if there is none. */
  async retry (kind: string, key: string): Promise<boolean> {
    const slot = this.#slots.get(idOf(kind, key))
    const record = slot === undefined ? undefined : this.store.get(kind, key)
    if (slot === undefined || record === undefined) return false
    if (slot.state === 'running' || slot.state === 'storing') return true
    slot.failures = 0
    slot.state = 'waiting'
    this.#reschedule(slot, 0)
    await this.store.put([{ ...record, failures: 0, isParked: false, dueAtMs: this.options.clock.wall() }])
    return true
  }

  /** Gives a task up; false if there is none. One that runs is not interrupted, and not repeated either. */
  async drop (kind: string, key: string): Promise<boolean> {
    const slot = this.#slots.get(idOf(kind, key))
    if (slot === undefined) return false
    this.options.log.warn({ kind, key }, 'task dropped')
    await this.#forget(slot)
    return true
  }

  list ({ kind, state, limit = LIST_MAX }: TaskQuery = {}): TaskView[] {
    const views: TaskView[] = []
    for (const slot of this.#slots.values()) {
      if ((kind !== undefined && slot.kind !== kind) || (state !== undefined && slot.state !== state)) continue
      if (views.length >= Math.min(limit, LIST_MAX)) break
      const view = this.#viewOf(slot)
      if (view !== undefined) views.push(view)
    }
    return views
  }

  /** By kind. */
  stats (): Record<string, TaskStats> {
    const wall = this.options.clock.wall()
    const stats: Record<string, { waiting: number, running: number, parked: number, oldestMs: number }> = {}
    for (const kind of this.#lanes.keys()) stats[kind] = { waiting: 0, running: 0, parked: 0, oldestMs: 0 }
    for (const { kind, state, createdAtMs } of this.#slots.values()) {
      const found = stats[kind]
      if (found === undefined || state === 'gone' || state === 'storing') continue
      found[state]++
      if (state !== 'parked') found.oldestMs = Math.max(found.oldestMs, wall - createdAtMs)
    }
    return stats
  }

  /** Aborts what runs, which is then done by a later process, and closes the store. May be called twice. */
  async close (): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  async #close (): Promise<void> {
    this.#stopped.abort()
    const ended = Promise.all([...this.#lanes.values()].map(async lane => { await lane.ended() }))
    // A handler that does not listen to its signal must not keep the process from ending.
    const limit = new AbortController()
    await Promise.race([ended, this.options.sleep(CLOSE_MS, limit.signal).catch(() => {})])
    limit.abort()
    await this.store.close()
  }

  /** Takes a task into memory, or changes the one that is there, and says what to store of it. */
  #prepare<Payload> (kind: string, task: NewTask<Payload>): { slot: Slot, record: TaskRecord } {
    const { key, payload, delayMs = 0, pin, ifPresent = 'keep' } = task
    const wall = this.options.clock.wall()
    const fresh: TaskRecord = { kind, key, payload, createdAtMs: wall, dueAtMs: wall + delayMs, failures: 0, isParked: false, pin }
    const found = this.#slots.get(idOf(kind, key))
    const slot = found ?? this.#insert(fresh, delayMs, 'storing')
    slot.storing++
    slot.version++
    if (found === undefined) return { slot, record: fresh }
    const stored = ifPresent === 'keep' && slot.state === 'waiting' ? this.store.get(kind, key) : undefined
    if (stored !== undefined) return { slot, record: stored }
    this.#pins.add(pin)
    this.#pins.remove(slot.pin)
    slot.pin = pin
    slot.failures = 0
    slot.reason = undefined
    slot.createdAtMs = wall
    slot.dueAt = after(this.options.clock.now(), delayMs)
    if (slot.state !== 'running') slot.state = 'storing'
    return { slot, record: fresh }
  }

  /** A write that added the task has ended. With the last one it may run, if there is anything of it on the disk. */
  #stored (slot: Slot): void {
    slot.storing--
    if (slot.storing > 0 || slot.state !== 'storing') return
    if (this.store.get(slot.kind, slot.key) === undefined) return this.#remove(slot)
    slot.state = 'waiting'
    this.#laneOf(slot.kind).schedule(slot)
  }

  async #attempt<Payload> (
    slot: Slot, kind: TaskKind<Payload>, policy: RetryPolicy, handler: TaskHandler<Payload>, signal: AbortSignal
  ): Promise<void> {
    const { version } = slot
    const record = this.store.get(slot.kind, slot.key)
    if (record === undefined) {
      this.#remove(slot)
      return
    }
    const outcome = await this.#run(record, kind, handler, signal)
    // Dropped meanwhile; or stopped, and then the next process repeats the attempt.
    if (slot.state === 'gone' || signal.aborted) return
    try {
      await this.#settle(slot, version, record, outcome, policy)
    } catch (error) {
      // It is done at least once: with the disk full, for instance, once more.
      this.options.log.warn({ kind: slot.kind, key: slot.key, error: messageOf(error) }, 'outcome of a task not stored')
      slot.state = 'waiting'
      this.#reschedule(slot, policy.pauseMaxMs)
    }
  }

  async #run<Payload> (record: TaskRecord, kind: TaskKind<Payload>, handler: TaskHandler<Payload>, signal: AbortSignal): Promise<Ended> {
    let payload: Payload
    try {
      payload = kind.parse(record.payload)
    } catch (error) {
      return { park: `unreadable: ${messageOf(error)}` }
    }
    const { key, createdAtMs, failures } = record
    try {
      return await handler({ key, payload, createdAtMs, failures }, signal) ?? undefined
    } catch (error) {
      return { failed: messageOf(error) }
    }
  }

  async #settle (slot: Slot, version: number, record: TaskRecord, outcome: Ended, policy: RetryPolicy): Promise<void> {
    const { clock, prng, log } = this.options
    if (slot.version !== version) {
      // Added again while it ran: the newest version has not been attempted.
      slot.state = slot.storing > 0 ? 'storing' : 'waiting'
      if (slot.state === 'waiting') this.#laneOf(slot.kind).schedule(slot)
      return
    }
    if (outcome === undefined) return await this.#forget(slot)
    const isFailure = 'failed' in outcome
    slot.failures += isFailure ? 1 : 0
    const reason = (isFailure ? outcome.failed : 'park' in outcome ? outcome.park : undefined)?.slice(0, REASON_CHARS_MAX)
    const isParked = 'park' in outcome || slot.failures >= policy.failuresMax
    const pauseMs = isFailure ? pauseAfter(slot.failures, policy, prng) : 'againInMs' in outcome ? outcome.againInMs : 0
    const fields = { kind: slot.kind, key: slot.key, failures: slot.failures, reason }
    if (isParked) log.error(fields, 'task parked')
    else if (isFailure) log.warn({ ...fields, pauseMs: Math.round(pauseMs) }, 'task failed')
    slot.reason = reason
    slot.state = isParked ? 'parked' : 'waiting'
    if (!isParked) this.#reschedule(slot, pauseMs)
    await this.store.put([{ ...record, failures: slot.failures, isParked, reason, dueAtMs: clock.wall() + pauseMs }])
  }

  #insert ({ kind, key, createdAtMs, failures, pin, reason }: TaskRecord, waitMs: number, state: Slot['state']): Slot {
    const dueAt = after(this.options.clock.now(), waitMs)
    const slot: Slot = { kind, key, createdAtMs, failures, state, dueAt, pin, reason, version: 0, storing: 0 }
    this.#slots.set(idOf(kind, key), slot)
    this.#pins.add(pin)
    const lane = this.#laneOf(kind)
    if (state === 'waiting') lane.schedule(slot)
    return slot
  }

  #reschedule (slot: Slot, waitMs: number): void {
    slot.dueAt = after(this.options.clock.now(), waitMs)
    this.#laneOf(slot.kind).schedule(slot)
  }

  async #forget (slot: Slot): Promise<void> {
    const deleted = this.store.delete(slot.kind, slot.key)
    this.#remove(slot)
    await deleted
  }

  #remove (slot: Slot): void {
    if (slot.state === 'gone') return
    slot.state = 'gone'
    this.#slots.delete(idOf(slot.kind, slot.key))
    this.#pins.remove(slot.pin)
  }

  #viewOf (slot: Slot): TaskView | undefined {
    const { kind, key, createdAtMs, failures, state, reason } = slot
    const record = this.store.get(kind, key)
    if (record === undefined || state === 'gone' || state === 'storing') return undefined
    const dueInMs = state === 'waiting' ? Math.max(0, Math.round(slot.dueAt - this.options.clock.now())) : undefined
    return { kind, key, state, createdAtMs, dueInMs, failures, reason, payload: record.payload }
  }

  #laneOf (kind: string): Lane {
    let lane = this.#lanes.get(kind)
    if (lane === undefined) {
      lane = new Lane()
      this.#lanes.set(kind, lane)
    }
    return lane
  }
}

function idOf (kind: string, key: string): string { return `${kind}\n${key}` }
