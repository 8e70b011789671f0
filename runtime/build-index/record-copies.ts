import { buildIndexApi } from '../../net/api/build-index.js'
import { pathOf } from '../../net/api/route.js'
import { must200 } from '../../net/client/answers.js'
import { type Http } from '../../net/client/http.js'
import { AppError } from '../core/errors.js'
import { field } from '../core/json.js'
import { type DueTask, type RetryPolicy, type TaskKind } from '../retry/task.js'
import { type TaskQueue } from '../retry/task-queue.js'
import { type RecordStore } from './records.js'

const ANSWER_MS = 10_000
/** One that is back should not have to wait long for what it is owed. */
const PAUSE_MAX_MS = 15_000
const ADDRESS = /^[A-Za-z0-9._[\]:-]{1,255}:\d{1,5}$/

interface OwedRecord { readonly address: string, readonly key: string }

const OWED_RECORD: TaskKind<OwedRecord> = {
  name: 'record-copy',
  parse: stored => {
    const [address, key] = [field(stored, 'address'), field(stored, 'key')]
    if (typeof address !== 'string' || typeof key !== 'string') throw new AppError('CORRUPT', 'expected address and key')
    return { address, key }
  }
}

export interface RecordCopiesOptions {
  readonly records: Pick<RecordStore, 'get'>
  readonly queue: TaskQueue
  readonly policy: RetryPolicy
  readonly http: Http
  /** The other build-indexes; nobody else is told anything. */
  readonly addresses: () => Promise<readonly string[]>
}

/** Records that a build-index could not be given when they were written, and gets when it is back. */
export class RecordCopies {
  constructor (readonly options: RecordCopiesOptions) {}

  /** Begins to give what is owed, also by an earlier process. */
  start (): void {
    const { queue, policy, http } = this.options
    http.onReturn(returned => { queue.wake(OWED_RECORD, key => key.startsWith(`${returned} `)) })
    const soon = { ...policy, pauseMaxMs: Math.min(policy.pauseMaxMs, PAUSE_MAX_MS) }
    queue.handle(OWED_RECORD, soon, async (task, signal) => { await this.#give(task, signal) })
  }

  /** Puts on record that this build-index has to get the record. @throws AppError PARAMETER_INVALID, UNAVAILABLE, STORAGE */
  async owe (address: string, key: string): Promise<void> {
    if (!ADDRESS.test(address)) throw new AppError('PARAMETER_INVALID', `"${address.slice(0, 256)}" is no address: expected host:port`)
    if (!(await this.options.addresses()).includes(address)) return
    await this.options.queue.add(OWED_RECORD, { key: `${address} ${key}`, payload: { address, key } })
  }

  async #give ({ payload: { address, key } }: DueTask<OwedRecord>, signal: AbortSignal): Promise<void> {
    const record = this.options.records.get(key)
    if (record === undefined || !(await this.options.addresses()).includes(address)) return
    const path = pathOf(buildIndexApi.putDuplicateRecord, { key })
    const answer = await this.options.http.call({
      method: 'PUT', address, path, body: JSON.stringify(record), timeoutMs: ANSWER_MS, isReplaceable: true, signal
    })
    must200(`record ${key} at ${address}`, answer)
  }
}
