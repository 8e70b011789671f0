import { Bench } from 'tinybench'
import { type Row } from './table.js'

/** Work to measure: returns a value that all subjects of one comparison must agree on. */
export type Work = () => number | string

export interface Comparison {
  readonly baseline: readonly [name: string, work: Work]
  readonly subjects: Readonly<Record<string, Work>>
  /** Processed by one call; for the column of MB/s. */
  readonly bytes?: number
}

/** How long each subject runs; the smoke test of all benches runs each once instead. */
const SECONDS_EACH = 0.5

/**
 * How many times the baseline? Warms up, checks that all subjects compute the same, measures them in turn and uses what
 * they return, so that no work is optimised away.
 */
export async function compare (name: string, comparison: Comparison, isSmoke: boolean): Promise<Row[]> {
  const works: Array<readonly [string, Work]> = [comparison.baseline, ...Object.entries(comparison.subjects)]
  const expected = comparison.baseline[1]()
  for (const [subject, work] of works) {
    const got = work()
    if (got !== expected) throw new Error(`${name}: ${subject} computes ${got}, ${comparison.baseline[0]} ${expected}`)
  }
  if (isSmoke) return []
  const bench = new Bench({ time: SECONDS_EACH * 1000, warmup: true })
  let used = 0
  for (const [subject, work] of works) bench.add(subject, () => { used += String(work()).length })
  await bench.run()
  const medians = bench.tasks.map(task => task.result !== undefined && 'latency' in task.result ? task.result.latency.p50 : Number.NaN)
  const baseMs = medians[0] ?? Number.NaN
  if (used === 0) throw new Error(`${name}: nothing was computed`)
  return works.map(([subject], i) => {
    const ms = medians[i] ?? Number.NaN
    return {
      case: name,
      subject,
      MBps: comparison.bytes === undefined ? undefined : comparison.bytes / 1e6 / (ms / 1000),
      perSecond: comparison.bytes === undefined ? 1000 / ms : undefined,
      ratio: baseMs / ms
    }
  })
}
