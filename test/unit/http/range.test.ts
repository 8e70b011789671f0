import fc from '../../support/fc.js'
import t from 'tap'
import { formatChunkRange, parseChunkRange, parseInclusiveRange, parseRange, rangeReply } from '../../../net/http/range.js'
import { isAppError, messageOf } from '../../../runtime/core/errors.js'
import { fakeRequest } from '../../support/registry/fake-request.js'

function errorOf (run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    return error
  }
}

t.test('Range headers', async t => {
  for (const [header, sizeBytes, expected] of [
    [undefined, 10, 'whole'], ['bytes=0-3', 10, [0, 4]], ['bytes=0-0', 1, [0, 1]], ['bytes=9-9', 10, [9, 1]], ['bytes=4-', 10, [4, 6]],
    ['bytes=-3', 10, [7, 3]], ['bytes=-30', 10, [0, 10]], ['bytes=5-99', 10, [5, 5]], ['bytes=0-99999999999999999999', 10, [0, 10]],
    ['bytes=10-', 10, 'unsatisfiable'], ['bytes=5-4', 10, 'unsatisfiable'], ['bytes=-0', 10, 'unsatisfiable'], ['bytes=a-b', 10, 'unsatisfiable'],
    ['bytes=-', 10, 'unsatisfiable'], ['bytes=1', 10, 'unsatisfiable'], ['bytes=0-1,4-5', 10, 'whole'], ['items=0-1', 10, 'whole'],
    ['bytes=0-5', 0, 'whole'], ['bytes=-5', 0, 'whole']
  ] as const) {
    const parsed = parseRange(header, sizeBytes)
    const found = parsed.kind === 'part' ? [parsed.range.offset, parsed.range.lengthBytes] : parsed.kind
    t.same(found, expected, `${header} of ${sizeBytes}`)
  }
})

t.test('a part never leaves the body', async () => {
  fc.assert(fc.property(fc.nat(), fc.nat(), fc.nat(), fc.constantFrom(0, 1, 2), (a, b, sizeBytes, form) => {
    const header = [`bytes=${a}-${b}`, `bytes=${a}-`, `bytes=-${b}`][form]
    const parsed = parseRange(header, sizeBytes)
    return parsed.kind !== 'part' || (parsed.range.lengthBytes > 0 && parsed.range.offset + parsed.range.lengthBytes <= sizeBytes)
  }))
})

t.test('replies to ranges', async t => {
  const reply = (method: string, headers: Record<string, string>): ReturnType<typeof rangeReply> => rangeReply({
    request: fakeRequest(method, '/', { headers }),
    sizeBytes: 10,
    headers: { 'Content-Type': 'application/octet-stream', ETag: '"x"' },
    body: ({ offset, lengthBytes }) => '0123456789'.slice(offset, offset + lengthBytes)
  })
  t.match(reply('GET', {}), { status: 200, headers: { ETag: '"x"', 'Accept-Ranges': 'bytes' }, body: '0123456789' })
  t.match(reply('GET', { range: 'bytes=2-4' }), { status: 206, headers: { 'Content-Range': 'bytes 2-4/10' }, body: '234' })
  t.match(reply('GET', { range: 'bytes=10-' }), { status: 416, headers: { 'Content-Range': 'bytes */10' } })
  t.match(reply('HEAD', { range: 'bytes=2-4' }), { status: 200, headLengthBytes: 10 })
  t.match(reply('GET', { range: 'bytes=2-4', 'if-range': '"x"' }), { status: 206 })
  t.match(reply('GET', { range: 'bytes=2-4', 'if-range': '"y"' }), { status: 200 }, 'a part of other content is of no use')
})

t.test('chunk ranges have an exclusive end', async t => {
  t.same(parseChunkRange('0-5'), { offset: 0, lengthBytes: 5 })
  t.same(parseChunkRange('0-0'), { offset: 0, lengthBytes: 0 })
  t.same(parseChunkRange('7-3'), { offset: 7, lengthBytes: 0 })
  t.equal(formatChunkRange({ offset: 3, lengthBytes: 4 }), '3-7')
  for (const [header, message] of [
    [undefined, 'no Content-Range header'],
    ['', 'no Content-Range header'],
    ['bytes 0-4/5', 'cannot parse start of range in Content-Range header "bytes 0-4/5": strconv.ParseInt: parsing "bytes 0": invalid syntax'],
    ['0-4/5', 'cannot parse end of range in Content-Range header "0-4/5": strconv.ParseInt: parsing "4/5": invalid syntax'],
    ['128,256', 'cannot parse Content-Range header "128,256": expected format "start-end"'],
    ['-1-5', 'cannot parse Content-Range header "-1-5": expected format "start-end"'],
    ['-5', 'cannot parse start of range in Content-Range header "-5": strconv.ParseInt: parsing "": invalid syntax'],
    ['0-99999999999999999999', 'cannot parse end of range in Content-Range header "0-99999999999999999999": ' +
      'strconv.ParseInt: parsing "99999999999999999999": value out of range']
  ] as const) {
    const error = errorOf(() => parseChunkRange(header))
    t.ok(isAppError(error, 'RANGE_INVALID'), String(header))
    t.equal(messageOf(error), message)
  }
})

t.test('registry ranges have an inclusive end', async t => {
  for (const header of ['2-5', 'bytes 2-5/10', 'bytes 2-5/*', ' bytes=2-5 ']) t.same(parseInclusiveRange(header), { offset: 2, lengthBytes: 4 }, header)
  for (const header of ['', '5-2', '-5', '5-', 'a-b', '1-2-3', 'bytes 1-2/', '0-99999999999999999999', '1.5-2']) {
    t.ok(isAppError(errorOf(() => parseInclusiveRange(header)), 'RANGE_INVALID'), header)
  }
})
