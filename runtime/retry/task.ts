import { AppError } from '../core/errors.js'
import { field, isRecord } from '../core/json.js'

/*
 * A task is a promise that was given to somebody: "this will be written back", "that owner will get its copy". It is on
 * the disk before the promise is given, and gone only when it is kept.
 *
 *   add --> waiting --(due)--> running --(done)--> gone
 *              ^                  |  \
 *              +--- pause --------+   +--(hopeless, or failed too often)--> parked --(retry by a person)--> waiting
 */

/** A kind of work. `parse` reads what `payload` was stored as; a version that cannot read it leaves the task parked. */
export interface TaskKind<Payload> {
  /** Lower-case words joined by dashes. */
  readonly name: string
  /** @throws if it is no payload of this kind */
  readonly parse: (stored: unknown) => Payload
}

export interface NewTask<Payload> {
  /** Among the tasks of its kind; of two with the same key there is only ever one. */
  readonly key: string
  /** Plain data, kept as JSON. */
  readonly payload: Payload
  /** Before the first attempt; default none. */
  readonly delayMs?: number
  /** What must not be deleted as long as the task is there, see `TaskQueue.pinCount`. */
  readonly pin?: string
  /**
   * If there is a task with this key: `keep` it as it is, or `replace` its payload and begin anew. A parked one begins anew
   * in both cases, and one that is running right now is run once more. Default `keep`.
   */
  readonly ifPresent?: 'keep' | 'replace'
}

/** A task as its handler gets it. */
export interface DueTask<Payload> {
  readonly key: string
  readonly payload: Payload
  /** Unix milliseconds. */
  readonly createdAtMs: number
  /** Attempts that failed since it was added or begun anew. */
  readonly failures: number
}

/**
 * How an attempt ended. Nothing: the task is done. `park`: no further attempt makes sense, a person has to look.
 * `againInMs`: not a failure, but not done either. An attempt that throws has failed and is repeated later.
 */
export type TaskOutcome = undefined | { readonly park: string } | { readonly againInMs: number }

export type TaskHandler<Payload> = (task: DueTask<Payload>, signal: AbortSignal) => Promise<TaskOutcome> | Promise<void>

/** How the tasks of a kind are worked off. */
export interface RetryPolicy {
  /** Attempts at the same time. */
  readonly workers: number
  /** Least time between the beginnings of two attempts. */
  readonly spacingMs: number
  /** The pauses after failures grow from the first to the second, doubling. */
  readonly pauseMinMs: number
  readonly pauseMaxMs: number
  /** Failures after which a task is parked; Infinity for never. */
  readonly failuresMax: number
}

export type TaskState = 'waiting' | 'running' | 'parked'

/** A task as people see it. */
export interface TaskView {
  readonly kind: string
  readonly key: string
  readonly state: TaskState
  /** Unix milliseconds. */
  readonly createdAtMs: number
  /** Until the next attempt, if it waits for one. */
  readonly dueInMs: number | undefined
  readonly failures: number
  /** Why the last attempt failed, or why it is parked. */
  readonly reason: string | undefined
  readonly payload: unknown
}

/** A task as it is stored. Times are Unix milliseconds, since monotonic ones mean nothing to the next process. */
export interface TaskRecord {
  readonly kind: string
  readonly key: string
  readonly payload: unknown
  readonly createdAtMs: number
  readonly dueAtMs: number
  readonly failures: number
  readonly isParked: boolean
  readonly reason?: string | undefined
  readonly pin?: string | undefined
}

/** Reads a stored task. @throws AppError CORRUPT */
export function readTaskRecord (stored: unknown): TaskRecord {
  const [kind, key, createdAtMs, dueAtMs, failures] = ['kind', 'key', 'createdAtMs', 'dueAtMs', 'failures'].map(name => field(stored, name))
  if (!isRecord(stored) || typeof kind !== 'string' || typeof key !== 'string' || typeof createdAtMs !== 'number' ||
    typeof dueAtMs !== 'number' || typeof failures !== 'number') {
    throw new AppError('CORRUPT', `a stored task cannot be read: ${JSON.stringify(stored)?.slice(0, 200) ?? 'nothing'}`)
  }
  const reason = field(stored, 'reason')
  const pin = field(stored, 'pin')
  return {
    kind,
    key,
    payload: stored.payload,
    createdAtMs,
    dueAtMs,
    failures,
    isParked: stored.isParked === true,
    ...(typeof reason === 'string' ? { reason } : {}),
    ...(typeof pin === 'string' ? { pin } : {})
  }
}
