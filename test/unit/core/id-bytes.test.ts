import t from 'tap'
import { idFromJson, idToJson } from '../../../runtime/core/id-bytes.js'

const HEX = '30703a79af2301ca07e4c47d4572849f571abb98'
const JSON_FORM = [48, 112, 58, 121, 175, 35, 1, 202, 7, 228, 196, 125, 69, 114, 132, 159, 87, 26, 187, 152]

t.test('40 hex characters are 20 numbers', async t => {
  t.same(idToJson(HEX), JSON_FORM)
  t.equal(idFromJson(JSON_FORM, 'peer_id'), HEX)
})

for (const [value, hex] of [
  [undefined, '00'.repeat(20)],
  [null, '00'.repeat(20)],
  [[], '00'.repeat(20)],
  [[1, 255], '01ff' + '00'.repeat(18)],
  [[1, null, 2], '010002' + '00'.repeat(17)],
  [[...JSON_FORM, 1, 2], HEX],
  [[...JSON_FORM, 'what follows', 999], HEX]
] as const) {
  t.test(`reads ${JSON.stringify(value)} leniently`, async t => {
    t.equal(idFromJson(value, 'peer_id'), hex)
  })
}

for (const value of [HEX, 5, true, {}, [256], [-1], [1.5], ['1'], [[1]], [NaN]]) {
  t.test(`refuses ${JSON.stringify(value)}`, async t => {
    t.throws(() => idFromJson(value, 'peer_id'), { code: 'BODY_INVALID', message: /peer_id/ })
  })
}
