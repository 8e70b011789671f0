import { type Brand } from './brand.js'

/** A point in time in milliseconds, from whatever clock was handed in. */
export type Millis = Brand<number, 'Millis'>

/** Time as an argument: pure code is handed a `Clock` or a `now`, and never reads one by itself. */
export interface Clock {
  /** Monotonic milliseconds: for deadlines and durations. */
  now (): Millis
  /** Unix milliseconds: for what is written down. */
  wall (): number
}

export const systemClock: Clock = {
  now: () => performance.now() as Millis,
  wall: () => Date.now()
}

export function after (now: Millis, ms: number): Millis { return now + ms as Millis }
