import { type Sleep } from '../../net/client/upstream.js'
import { after, type Clock, type Millis } from '../core/clock.js'
import { DueHeap } from './due-heap.js'
import { type RetryPolicy, type TaskState } from './task.js'

/** A task in memory: what is needed to know when it is due. The rest is on the disk. */
export interface Slot {
  readonly kind: string
  readonly key: string
  createdAtMs: number
  failures: number
  /** `storing`: on its way to the disk, and not to be run before it is there. */
  state: TaskState | 'storing' | 'gone'
  dueAt: Millis
  pin: string | undefined
  /** Why the last attempt was no success. */
  reason: string | undefined
  /** Grows each time the task is added again, so that an attempt knows whether it was about the newest one. */
  version: number
  /** Writes under way that added it. */
  storing: number
}

export interface LaneOptions {
  readonly policy: RetryPolicy
  /** One attempt; must not reject. The slot is running until it resolves, and has its next state then. */
  readonly attempt: (slot: Slot, signal: AbortSignal) => Promise<void>
  readonly clock: Clock
  readonly sleep: Sleep
}

const IDLE_MS = 3_600_000

/** Starts the tasks of one kind when they are due, so many at a time and so far apart as the policy says. */
export class Lane {
  readonly #heap = new DueHeap<Slot>()
  readonly #running = new Set<Promise<void>>()
  #options: LaneOptions | undefined
  #loop: Promise<void> | undefined
  #signal: AbortSignal | undefined
  #nextStartAt = 0 as Millis
  #idle = new AbortController()

  get runningCount (): number { return this.#running.size }

  /** From now on there is somebody to do the work. */
  attach (options: LaneOptions, signal: AbortSignal): void {
    if (this.#loop !== undefined) throw new Error('a kind of task has one handler')
    this.#options = options
    this.#signal = signal
    signal.addEventListener('abort', () => { this.#idle.abort() }, { once: true })
    this.#loop = this.#run(options, signal)
  }

  /** The slot waits until its `dueAt`, which may have changed. */
  schedule (slot: Slot): void {
    this.#heap.push({ at: slot.dueAt, item: slot })
    this.wake()
  }

  wake (): void {
    if (this.#signal?.aborted === true) return
    this.#idle.abort()
    this.#idle = new AbortController()
  }

  /** Resolves when nothing runs any more, after the signal was aborted. */
  async ended (): Promise<void> {
    await this.#loop
    await Promise.all(this.#running)
  }

  async #run ({ sleep }: LaneOptions, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const idle = this.#idle.signal
      const waitMs = this.#startDue(signal)
      if (waitMs > 0) await sleep(waitMs, idle).catch(() => {})
    }
  }

  /** Starts what may be started now, and returns after how long to look again. */
  #startDue (signal: AbortSignal): number {
    const options = this.#options
    if (options === undefined) return IDLE_MS
    const { policy, clock } = options
    for (;;) {
      const first = this.#heap.peek()
      if (first === undefined || this.#running.size >= policy.workers) return IDLE_MS
      const slot = first.item
      if (slot.state !== 'waiting' || slot.dueAt !== first.at) {
        // It was begun, parked or moved since it was put here.
        this.#heap.pop()
        continue
      }
      const startAt = Math.max(slot.dueAt, this.#nextStartAt)
      const now = clock.now()
      if (startAt > now) return Math.min(IDLE_MS, Math.max(1, startAt - now))
      this.#heap.pop()
      this.#nextStartAt = after(now, policy.spacingMs)
      this.#start(slot, options, signal)
    }
  }

  #start (slot: Slot, { attempt }: LaneOptions, signal: AbortSignal): void {
    slot.state = 'running'
    const running = attempt(slot, signal).finally(() => {
      this.#running.delete(running)
      this.wake()
    })
    this.#running.add(running)
  }
}
