import t from 'tap'
import { readGoBool, readGoInt } from '../../../runtime/origin/go-text.js'

for (const [text, value] of [['0', 0], ['-0', -0], ['256', 256], ['+7', 7], ['-3', -3], ['000', 0], ['-9223372036854775808', -(2 ** 63)]] as const) {
  t.test(`"${text}" is the number ${value}`, async t => { t.same(readGoInt(text), { value }) })
}

for (const [text, why] of [
  ['', 'invalid syntax'], ['x', 'invalid syntax'], ['1.5', 'invalid syntax'], ['0x10', 'invalid syntax'], [' 1', 'invalid syntax'], ['-', 'invalid syntax'],
  ['9223372036854775808', 'value out of range'], ['-9223372036854775809', 'value out of range'], ['9'.repeat(5000), 'value out of range']
] as const) {
  t.test(`"${text.slice(0, 24)}" is no number`, async t => {
    t.same(readGoInt(text), { fault: `strconv.ParseInt: parsing "${text}": ${why}` })
  })
}

t.test('truth values are those that Go knows', async t => {
  for (const text of ['1', 't', 'T', 'TRUE', 'true', 'True']) t.same(readGoBool(text), { value: true }, text)
  for (const text of ['0', 'f', 'F', 'FALSE', 'false', 'False']) t.same(readGoBool(text), { value: false }, text)
  for (const text of ['', 'yes', 'tRUE', '2']) t.same(readGoBool(text), { fault: `strconv.ParseBool: parsing "${text}": invalid syntax` }, text)
})
