import t from 'tap'
import { registryError, statusOf, textError } from '../../../net/http/errors.js'
import { json, sniffType, text } from '../../../net/http/reply.js'
import { AppError } from '../../../runtime/core/errors.js'

t.test('text errors carry the message alone', async t => {
  t.same(textError(new AppError('BLOB_UNKNOWN', 'gone')), { status: 404, headers: { 'Content-Type': 'text/plain; charset=utf-8' }, body: 'gone' })
  t.same(textError(new AppError('BLOB_EXISTS', '')), { status: 409 })
  t.match(textError(new Error('boom')), { status: 500, body: 'boom' })
  t.match(textError('thrown text'), { status: 500, body: 'thrown text' })
})

t.test('statuses', async t => {
  for (const [code, status] of [
    ['DIGEST_MISMATCH', 400], ['BLOB_EXISTS', 409], ['RANGE_CONFLICT', 416], ['RANGE_INVALID', 400], ['BODY_TOO_LARGE', 413], ['UNAVAILABLE', 503],
    ['STORAGE_FULL', 503], ['TOO_MANY_REQUESTS', 429]
  ] as const) t.equal(statusOf(new AppError(code, 'x')), status, code)
})

t.test('registry errors are an envelope', async t => {
  const digest = `sha256:${'a'.repeat(64)}`
  t.same(registryError(new AppError('BLOB_UNKNOWN', 'no blob', { detail: digest })), {
    status: 404,
    headers: { 'Content-Type': 'application/json' },
    body: `{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry","detail":"${digest}"}]}\n`
  })
  t.same(registryError(new AppError('UNSUPPORTED', 'whatever')).body, '{"errors":[{"code":"UNSUPPORTED","message":"The operation is unsupported."}]}\n')
  t.same(registryError(new AppError('UNSUPPORTED', ''), { message: 'this registry is read-only', headers: { Allow: 'GET' } }), {
    status: 405,
    headers: { 'Content-Type': 'application/json', Allow: 'GET' },
    body: '{"errors":[{"code":"UNSUPPORTED","message":"this registry is read-only"}]}\n'
  })
  t.same(registryError(new TypeError('secret')), {
    status: 500,
    headers: { 'Content-Type': 'application/json' },
    body: '{"errors":[{"code":"UNKNOWN","message":"unknown error","detail":{}}]}\n'
  })
  t.match(registryError(new AppError('NETWORK', 'no origin answered')), { status: 503, body: /"UNAVAILABLE".*"no origin answered"/ })
  t.match(registryError(new AppError('UPLOAD_INVALID', 'x')), { status: 404, body: /"BLOB_UPLOAD_INVALID"/ })
})

t.test('the first of several registry errors decides the status', async t => {
  const reply = registryError([new AppError('MANIFEST_BLOB_UNKNOWN', '', { detail: 'a<b' }), new AppError('BLOB_UNKNOWN', '')])
  t.equal(reply.status, 400)
  t.equal(reply.body, '{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry","detail":"a\\u003cb"},' +
    '{"code":"BLOB_UNKNOWN","message":"blob unknown to registry"}]}\n')
})

t.test('helpers', async t => {
  t.same(text(''), { status: 200 })
  t.equal(json({ a: '<' }, { newline: true }).body, '{"a":"\\u003c"}\n')
  t.equal(json(null).body, 'null')
  t.equal(sniffType(Buffer.from('{"a":1}\n')), 'text/plain; charset=utf-8')
  t.equal(sniffType(Buffer.from([0x1f, 0x8b, 8, 0])), 'application/octet-stream')
  t.equal(sniffType(new Uint8Array(0)), 'text/plain; charset=utf-8')
})
