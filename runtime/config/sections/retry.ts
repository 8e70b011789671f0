import { type Infer, bool, duration, int, nested, optionalText, section, unused } from '../schema.js'

/** The first pause after a failure is this part of `retry_interval`, so that what is over in a moment costs a moment. */
const FIRST_PART = 1 / 32
const FIRST_PAUSE_MIN_MS = 100
const SPACED_BY_WORKERS = 'Room in a queue in memory; here all tasks are on the disk.'

/** Repetitions while somebody waits for the outcome. */
const syncRetry = section({
  enabled: bool({ as: 'isEnabled', default: true, doc: 'Repeat at all.' }),
  initial_interval: duration({ as: 'pauseMinMs', default: '500ms', min: 1, max: 86_400_000, doc: 'Pause after the first failure; later ones double.' }),
  max_interval: duration({ as: 'pauseMaxMs', default: '30s', min: 1, max: 86_400_000, doc: 'Longest pause.' }),
  max_retries: int({ as: 'retriesMax', default: 2, min: 0, max: 1000, doc: 'Repetitions after the first attempt.' }),
  multiplier: unused('Growth of the pauses; here they double.'),
  randomization_factor: unused('Random part of the pauses.')
}, ({ isEnabled, ...rest }) => isEnabled ? rest : { ...rest, retriesMax: 0 })
export type SyncRetryConfig = Infer<typeof syncRetry>

/** How tasks of one kind are worked off and repeated (cluster specification 4.3). */
export const retry = section({
  num_incoming_workers: int({ as: 'firstWorkers', default: 4, min: 1, max: 1024, doc: 'Tasks that are worked on at the same time: this many ...' }),
  num_retry_workers: int({ as: 'laterWorkers', default: 2, min: 0, max: 1024, doc: '... and this many.' }),
  max_task_throughput: duration({ as: 'spacingMs', default: '10ms', min: 0, max: 60_000, doc: 'Least time between the beginnings of two attempts.' }),
  retry_interval: duration({ as: 'pauseMs', default: '30s', min: 1, max: 86_400_000, doc: 'Pause between two attempts once several have failed. The first pauses are shorter, from 1/32 of it; they double.' }),
  retry_interval_max: duration({ as: 'pauseMaxMs', default: '10m', min: 1, max: 86_400_000, doc: 'Longest pause, after many failures. Ours.' }),
  failures_max: int({ as: 'failuresMax', default: 0, min: 0, max: 1_000_000, doc: 'Failures after which a task is parked until somebody retries or drops it; 0: never. Ours.' }),
  sync_retry_backoff: nested('sync', syncRetry, 'Repetitions while somebody waits for the outcome.'),
  incoming_buffer: unused(SPACED_BY_WORKERS),
  retry_buffer: unused(SPACED_BY_WORKERS),
  poll_retries_interval: unused('How often failed tasks are looked for; here each one has its time.'),
  workqueue_metrics_emit_interval: unused('Period of the metrics.')
}, ({ firstWorkers, laterWorkers, spacingMs, pauseMs, pauseMaxMs, failuresMax, sync }) => ({
  workers: firstWorkers + laterWorkers,
  spacingMs,
  pauseMinMs: Math.max(Math.min(FIRST_PAUSE_MIN_MS, pauseMs), pauseMs * FIRST_PART),
  pauseMaxMs: Math.max(pauseMs, pauseMaxMs),
  failuresMax: failuresMax === 0 ? Infinity : failuresMax,
  sync
}))
/** Fits `RetryPolicy`. */
export type RetryConfig = Infer<typeof retry>

/** Kraken's database of tasks; ours is a folder beside it. */
export const localDb = section({
  source: optionalText({ as: 'source', doc: 'Pending work is kept in the folder of this name with `.tasks` added. Default: `cache_dir` with `.tasks` added.' })
})

/** The folder of a component's tasks. */
export function taskDirOf ({ source }: { readonly source: string | undefined }, cacheDir: string): string {
  return `${(source ?? cacheDir).replace(/\/+$/, '')}.tasks`
}
