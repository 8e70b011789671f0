import { tasksApi } from '../../net/api/tasks.js'
import { json } from '../../net/http/reply.js'
import { type Router } from '../../net/http/router.js'
import { AppError } from '../core/errors.js'
import { type TaskQueue } from './task-queue.js'

/** Adds the routes with which people see and steer the tasks of a component. */
export function withTasks (router: Router, queue: Pick<TaskQueue, 'list' | 'stats' | 'retry' | 'drop'>): Router {
  router.on(tasksApi.list, (_, __, query) => {
    const limit = query.get('limit')
    const tasks = queue.list({
      kind: query.get('kind') ?? undefined,
      state: query.get('state') ?? undefined,
      limit: limit === null ? undefined : readLimit(limit)
    })
    return json({ stats: queue.stats(), tasks }, { newline: true })
  })
  router.on(tasksApi.retry, async (_, __, query) => {
    const { kind, key } = targetOf(query)
    return { status: await queue.retry(kind, key) ? 200 : 404 }
  })
  router.on(tasksApi.drop, async (_, __, query) => {
    const { kind, key } = targetOf(query)
    return { status: await queue.drop(kind, key) ? 202 : 404 }
  })
  return router
}

function targetOf (query: URLSearchParams): { kind: string, key: string } {
  const kind = query.get('kind')
  const key = query.get('key')
  if (kind === null || key === null) throw new AppError('PARAMETER_INVALID', 'both kind and key of the task are required, as GET /x/tasks lists them')
  return { kind, key }
}

function readLimit (text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new AppError('PARAMETER_INVALID', `invalid limit "${text.slice(0, 32)}": expected an integer above 0`)
  return Number(text)
}
