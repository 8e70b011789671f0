import { buildIndexApi } from '../../net/api/build-index.js'
import { type HttpRequest } from '../../net/http/engine.js'
import { json, ok } from '../../net/http/reply.js'
import { type Router } from '../../net/http/router.js'
import { AppError } from '../core/errors.js'
import { isRecord, type JsonRecord, parseFirstJson } from '../core/json.js'
import { type RecordCopies } from './record-copies.js'
import { type RecordStore } from './records.js'

const BODY_BYTES_MAX = 4096

/**
 * Adds the routes of the records, which only this program has.
 *
 *   GET /records/{key}                     200 {"value":"...","version":n}, or 404
 *   PUT /records/{key}                     {"value":"..."} -> 200 {"version":n}
 *   PUT /internal/duplicate/records/{key}  {"value":"...","version":n} -> 200; an older version changes nothing
 *       ?owed_to=HOST:PORT                  that build-index could not be told: it is on record by then that we will
 */
export function addRecordRoutes (router: Router, records: RecordStore, copies?: Pick<RecordCopies, 'owe'>): Router {
  return router
    .on(buildIndexApi.getRecord, (_, { key }) => {
      const record = records.get(key)
      return record === undefined ? { status: 404 } : json(record, { newline: true })
    })
    .on(buildIndexApi.putRecord, async (request, { key }) => {
      const version = await records.put(key, valueOf(await bodyOf(request)))
      return json({ version }, { newline: true })
    })
    .on(buildIndexApi.putDuplicateRecord, async (request, { key }, query) => {
      const body = await bodyOf(request)
      await records.putVersion(key, { value: valueOf(body), version: Number(body['version']) })
      for (const address of query.getAll('owed_to')) await copies?.owe(address, key)
      return ok()
    })
}

async function bodyOf ({ body }: HttpRequest): Promise<JsonRecord> {
  const document = parseFirstJson(Buffer.from(await body.bytes(BODY_BYTES_MAX)).toString(), 'decode body')
  if (isRecord(document)) return document
  throw new AppError('BODY_INVALID', 'decode body: expected an object such as {"value":"present"}')
}

function valueOf (body: JsonRecord): string {
  if (typeof body['value'] === 'string') return body['value']
  throw new AppError('BODY_INVALID', 'decode body: "value" must be a text')
}
