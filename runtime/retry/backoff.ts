import { type Prng } from '../core/prng.js'
import { type RetryPolicy } from './task.js'

/**
 * The pause after so many failures in a row, 1 or more: doubling from the least to the largest, and of that a random part
 * between half and all, so that what failed together does not come back together.
 */
export function pauseAfter (failures: number, { pauseMinMs, pauseMaxMs }: Pick<RetryPolicy, 'pauseMinMs' | 'pauseMaxMs'>, prng: Prng): number {
  const wholeMs = Math.min(pauseMaxMs, pauseMinMs * 2 ** Math.min(failures - 1, 52))
  return wholeMs * (0.5 + 0.5 * prng.next())
}
