import fc from '../support/fc.js'
import t from 'tap'
import { INLINE_BYTES_MAX, INLINE_HEADER, isWelcome, joinInlined, splitInlined } from '../../net/api/inline.js'
import { isAppError } from '../../runtime/core/errors.js'

const blob = fc.uint8Array({ maxLength: 2_000 })

t.test('what is joined is split into the same', async t => {
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), blob, (metaInfo, bytes) => {
    const { headers, body } = joinInlined(metaInfo, bytes)
    const parts = splitInlined('it', headers[INLINE_HEADER], Buffer.from(body))
    return parts.metaInfo === Buffer.from(metaInfo).toString() && Buffer.compare(Buffer.from(parts.blob ?? []), Buffer.from(bytes)) === 0
  }))
  t.same(splitInlined('it', undefined, Buffer.from('{}')), { metaInfo: '{}', blob: undefined }, 'no header, no blob')
})

t.test('a header that does not fit is an error of ours, whatever it is', async t => {
  const header = fc.oneof(fc.string(), fc.integer().map(String), fc.constantFrom('', '-1', '1e3', '999999999', '9999999999'))
  fc.assert(fc.property(header, blob, (said, bytes) => {
    try {
      const { metaInfo, blob: rest } = splitInlined('it', said, Buffer.from(bytes))
      return Buffer.byteLength(metaInfo) >= 0 && Number(said) + (rest?.length ?? 0) === bytes.length
    } catch (error) {
      return isAppError(error, 'CORRUPT')
    }
  }))
  t.throws(() => splitInlined('it', '0', Buffer.alloc(INLINE_BYTES_MAX + 1)), { code: 'CORRUPT' }, 'more than anybody may send')
})

t.test('a welcome is a bounded number', async t => {
  t.ok(isWelcome('0', 0))
  t.notOk(isWelcome('0', 1))
  t.ok(isWelcome('999999999', INLINE_BYTES_MAX))
  t.notOk(isWelcome('999999999', INLINE_BYTES_MAX + 1), 'whatever anybody says')
  for (const header of [undefined, '', '-1', '1.5', 'true', '1e4', '12345678901', ' 1']) t.notOk(isWelcome(header, 0), `${header} is none`)
})
