import { route } from './route.js'

/** Pending work of an origin or a build-index; ours. A key may hold anything, so it is a parameter of the query. */
export const tasksApi = {
  /** `kind`, `state` (waiting, running, parked) and `limit` narrow the list. */
  list: route('GET', '/x/tasks', 'Pending work; `?kind=`, `?state=` and `?limit=` narrow it.'),
  /** `kind` and `key`. */
  retry: route('POST', '/x/tasks/retry', 'Has the task of `?kind=` and `?key=` done at once.'),
  /** `kind` and `key`. */
  drop: route('DELETE', '/x/tasks', 'Gives up the task of `?kind=` and `?key=`.')
} as const
