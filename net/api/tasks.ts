import { route } from './route.js'

/** Pending work of an origin or a build-index; ours. A key may hold anything, so it is a parameter of the query. */
export const tasksApi = {
  /** `kind`, `state` (waiting, running, parked) and `limit` narrow the list. */
  list: route('GET', '/x/tasks'),
  /** `kind` and `key`. */
  retry: route('POST', '/x/tasks/retry'),
  /** `kind` and `key`. */
  drop: route('DELETE', '/x/tasks')
} as const
