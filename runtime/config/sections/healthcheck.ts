import { type Infer, bool, duration, int, nested, section } from '../schema.js'

/** When a host counts as healthy; who checks how is in cluster specification 3. */
export interface HealthConfig {
  /** Failures until a host is unhealthy; more than anybody counts to if checks are disabled. */
  readonly failsMax: number
  /** Passes in a row until it is healthy again. */
  readonly passesMin: number
  /** Active: deadline of one round of checks. Passive: the time within which failures add up, and for which a host is out. */
  readonly timeoutMs: number
  readonly intervalMs: number
}

const fails = int({ as: 'failsMax', default: 3, min: 1, max: 1_000_000, doc: 'Failures until a host is left out.' })
const filterFields = {
  fails,
  passes: int({ as: 'passesMin', default: 2, min: 1, max: 1_000_000, doc: 'Passes in a row until it is back.' }),
  timeout: duration({ as: 'timeoutMs', default: '3s', min: 1, max: 600_000, doc: 'Deadline of one round of checks.' })
}

/** The checks of an origin, whose period is that of its hash ring. */
export const healthFilter = section(filterFields)

/** `GET /health` in a loop of its own. */
export const activeHealth = section({
  filter: nested('filter', healthFilter, 'When a host counts as healthy.'),
  monitor: nested('monitor', section({
    interval: duration({ as: 'intervalMs', default: '10s', min: 1, max: 86_400_000, doc: 'Period of the checks.' })
  }), 'The loop that checks.'),
  disabled: bool({ as: 'isDisabled', default: false, doc: 'Take every host for healthy.' })
}, ({ filter, monitor, isDisabled }): HealthConfig => ({
  ...filter, ...monitor, ...(isDisabled ? { failsMax: Number.MAX_SAFE_INTEGER } : {})
}))

/** No checks: what callers experience is counted. */
export const passiveHealth = section({
  fails,
  fail_timeout: duration({ as: 'failTimeoutMs', default: '5m', min: 1, doc: 'Failures add up within this time, and a host stays out for as long.' })
}, ({ failsMax, failTimeoutMs }): HealthConfig => ({ failsMax, passesMin: 1, timeoutMs: failTimeoutMs, intervalMs: failTimeoutMs }))

export type FilterConfig = Infer<typeof healthFilter>
