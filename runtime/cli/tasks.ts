import { tasksApi } from '../../net/api/tasks.js'
import { refusal } from '../../net/client/answers.js'
import { createHttp, type Http, type HttpAnswer } from '../../net/client/http.js'
import { type Route } from '../../net/api/route.js'
import { boolFlag, intFlag, parseFlags, stringFlag, UsageError } from '../config/flags.js'
import { AppError } from '../core/errors.js'
import { field, isRecord, parseJson } from '../core/json.js'

const USAGE = `Usage:
  shoal tasks list HOST:PORT [--kind K] [--state waiting|running|parked] [--limit N] [--json]
  shoal tasks retry HOST:PORT KIND KEY
  shoal tasks retry HOST:PORT --parked [--kind K]
  shoal tasks drop HOST:PORT KIND KEY

HOST:PORT is an origin or a build-index; KIND and KEY are as they are listed.`

const LIST_FLAGS = {
  kind: stringFlag('Only tasks of this kind.'),
  state: stringFlag('Only tasks in this state: waiting, running or parked.'),
  limit: intFlag('At most so many.', 1000),
  json: boolFlag('Print what the server answers.')
}
const RETRY_FLAGS = { parked: boolFlag('All that are parked.'), kind: stringFlag('Only tasks of this kind.') }
const TIMEOUT_MS = 30_000
const LIST_BYTES_MAX = 64 * 1024 * 1024

/**
 * `shoal tasks`: what an origin or a build-index still has to do, seen and steered through its API. Returns the exit code; 1
 * if there is no such task.
 * @throws UsageError, AppError if the server cannot be asked
 */
export async function runTasks ([action = '', address = '', ...rest]: readonly string[], write: (line: string) => void): Promise<number> {
  if (!['list', 'retry', 'drop'].includes(action) || address === '' || address.startsWith('-')) {
    throw new UsageError(USAGE, action === '--help' || action === 'help' ? 0 : 2)
  }
  const http = createHttp()
  try {
    const server = new TaskServer(http, address)
    switch (action) {
      case 'list': return await list(server, rest, write)
      case 'retry': return await retry(server, rest, write)
      default: return await one(server, tasksApi.drop, 'dropped', rest, write)
    }
  } finally {
    await http.close()
  }
}

class TaskServer {
  constructor (readonly http: Http, readonly address: string) {}

  async ask ({ method, path }: Route, query: Readonly<Record<string, string>>): Promise<HttpAnswer> {
    const given = Object.entries(query).filter(([, value]) => value !== '')
    const text = new URLSearchParams(given).toString()
    return await this.http.call({
      method, address: this.address, path: text === '' ? path : `${path}?${text}`, timeoutMs: TIMEOUT_MS, answerBytesMax: LIST_BYTES_MAX
    })
  }

  async list (query: Readonly<Record<string, string>>): Promise<{ text: string, stats: unknown, tasks: unknown[] }> {
    const answer = await this.ask(tasksApi.list, query)
    if (answer.status !== 200) throw this.#refused('list of tasks', answer)
    const document = parseJson(answer.text, `tasks of ${this.address}`)
    const tasks = field(document, 'tasks')
    return { text: answer.text, stats: field(document, 'stats'), tasks: Array.isArray(tasks) ? tasks : [] }
  }

  /** False if there is no such task. */
  async change (route: Route, kind: string, key: string): Promise<boolean> {
    const answer = await this.ask(route, { kind, key })
    if (answer.status === 404 && answer.text === '') return false
    if (answer.status !== 200 && answer.status !== 202) throw this.#refused(`task ${kind} ${key}`, answer)
    return true
  }

  #refused (what: string, answer: HttpAnswer): AppError {
    if (answer.status === 404) return new AppError('PARAMETER_INVALID', `${this.address} has no tasks: ask the API port of an origin or a build-index`)
    return refusal(`${what} at ${this.address}`, answer)
  }
}

async function list (server: TaskServer, args: readonly string[], write: (line: string) => void): Promise<number> {
  const { kind, state, limit, json } = parseFlags('shoal tasks list HOST:PORT', LIST_FLAGS, {}, args)
  const { text, stats, tasks } = await server.list({ kind, state, limit: String(limit) })
  if (json) {
    write(text.trimEnd())
    return 0
  }
  for (const [name, counts] of Object.entries(isRecord(stats) ? stats : {})) write(summary(name, counts))
  for (const task of tasks) write(line(task))
  return 0
}

async function retry (server: TaskServer, args: readonly string[], write: (line: string) => void): Promise<number> {
  if (args[0]?.startsWith('-') === false) return await one(server, tasksApi.retry, 'begun anew', args, write)
  const { parked, kind } = parseFlags('shoal tasks retry HOST:PORT', RETRY_FLAGS, {}, args)
  if (!parked) throw new UsageError(USAGE, 2)
  let count = 0
  for (const task of (await server.list({ kind, state: 'parked' })).tasks) {
    if (await server.change(tasksApi.retry, textOf(task, 'kind'), textOf(task, 'key'))) count++
  }
  write(`${count} begun anew`)
  return 0
}

async function one (
  server: TaskServer, route: Route, done: string, [kind, key, ...more]: readonly string[], write: (line: string) => void
): Promise<number> {
  if (kind === undefined || key === undefined || more.length > 0) throw new UsageError(USAGE, 2)
  const isThere = await server.change(route, kind, key)
  write(isThere ? `${kind} ${key}: ${done}` : `${kind} ${key}: there is no such task`)
  return isThere ? 0 : 1
}

function summary (name: string, counts: unknown): string {
  const [waiting, running, parked, oldestMs] = ['waiting', 'running', 'parked', 'oldestMs'].map(key => Number(field(counts, key) ?? 0))
  return `${name}: ${waiting} waiting, ${running} running, ${parked} parked, the oldest for ${Math.round((oldestMs ?? 0) / 1000)} s`
}

/** What others put into keys and reasons must not move the cursor. */
function line (task: unknown): string {
  const dueInMs = field(task, 'dueInMs')
  const state = textOf(task, 'state') + (typeof dueInMs === 'number' ? ` for ${Math.round(dueInMs / 1000)} s` : '')
  const failures = Number(field(task, 'failures') ?? 0)
  const parts = [textOf(task, 'kind'), textOf(task, 'key'), state, ...(failures > 0 ? [`${failures} failures`] : []), textOf(task, 'reason')]
  return parts.filter(part => part !== '').map(part => part.replace(/\p{Cc}/gu, ' ')).join('\t')
}

function textOf (task: unknown, key: string): string {
  const value = field(task, key)
  return typeof value === 'string' ? value : ''
}
