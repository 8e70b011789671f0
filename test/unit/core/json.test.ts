import t from 'tap'
import { field, goJson, isRecord, parseFirstJson, parseJson } from '../../../runtime/core/json.js'

t.test('members are found in any case, exact ones first', async t => {
  t.equal(field({ Name: 1 }, 'name'), 1)
  t.equal(field({ NAME: 1, name: 2 }, 'name'), 2)
  t.equal(field({ name: null }, 'Name'), null)
  t.equal(field({}, 'name'), undefined)
  t.equal(field({}, 'constructor'), undefined, 'what every object inherits is no member')
  for (const value of [null, undefined, 5, 'name', ['name']]) t.equal(field(value, 'name'), undefined)
})

t.test('only objects are records', async t => {
  t.ok(isRecord({}))
  for (const value of [null, undefined, [], 'x', 1]) t.notOk(isRecord(value))
})

for (const text of ['', '  \n']) {
  t.test(`a text of ${text.length} blanks ends too early`, async t => {
    t.throws(() => parseJson(text, 'body'), { code: 'BODY_INVALID', message: 'body: EOF' })
  })
}

for (const text of ['{', '{"a"', '{"a":', '{"a":1', '[1,', '"ab', '{"a":"b']) {
  t.test(`${text} is cut off`, async t => {
    t.throws(() => parseJson(text, 'body'), { code: 'BODY_INVALID', message: 'body: unexpected EOF' })
    t.throws(() => parseFirstJson(text, 'body'), { code: 'BODY_INVALID', message: 'body: unexpected EOF' })
  })
}

for (const text of ['{a:1}', '[1,,2]', '{"a":1 "b"}', 'plain', '{} {}', '<html>']) {
  t.test(`${text} is no JSON`, async t => {
    t.throws(() => parseJson(text, 'body'), { code: 'BODY_INVALID', message: /^body: / })
  })
}

for (const [text, value] of [['{"a":1} trailing', { a: 1 }], ['[1]\n[2]', [1]], ['{"a":"}"}}', { a: '}' }], ['7 8', 7]] as const) {
  t.test(`the first value of ${JSON.stringify(text)} is taken`, async t => {
    t.same(parseFirstJson(text, 'body'), value)
  })
}

t.test('a text nested too deeply for a call stack is an answer too', async t => {
  const depth = 200_000
  const outcome = (() => {
    try {
      return Array.isArray(parseJson('['.repeat(depth) + ']'.repeat(depth), 'body'))
    } catch (error) {
      return error instanceof Error
    }
  })()
  t.ok(outcome)
})

t.test('written JSON escapes what Go escapes', async t => {
  t.equal(goJson({ a: '<b> & "c"' }), '{"a":"\\u003cb\\u003e \\u0026 \\"c\\""}')
  t.equal(goJson('\u2028\u2029'), '"\\u2028\\u2029"')
  t.same(JSON.parse(goJson('<&>')), '<&>')
})
