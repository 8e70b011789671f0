import { inspect } from 'node:util'
import t from 'tap'
import {
  type Infer, bool, choice, duration, int, list, map, nested, optionalText, regex, secret, section, size, text, unused
} from '../../../runtime/config/schema.js'
import { addressShape, intShape, sizeShape } from '../../../runtime/config/shapes.js'

const sample = section({
  max_conn: int({ as: 'connsMax', default: 10, min: 1, max: 99, doc: 'Connections.' }),
  max_mutual: int({ as: 'mutualMax', sameAs: 'max_conn', min: 1, doc: 'Mutual ones.' }),
  limit: int({ as: 'limit', default: 7, min: 0, doc: 'May be zero.' }),
  wait: duration({ as: 'waitMs', default: '30s', min: 1, doc: 'A wait.' }),
  piece: size({ as: 'pieceBytes', default: '4MB', min: 1, doc: 'A size.' }),
  on: bool({ as: 'isOn', default: true, doc: 'A switch.' }),
  kind: choice({ as: 'kind', of: ['a', 'b'], default: 'a', doc: 'A choice.' }),
  note: optionalText({ as: 'note', doc: 'A text.' }),
  old: unused('Nothing.')
})
type Sample = Infer<typeof sample>

function read (raw: unknown): Sample { return sample.schema.parse(raw) }

function problems (schema: typeof sample.schema, raw: unknown): string[] {
  const result = schema.safeParse(raw)
  return result.success ? [] : result.error.issues.map(issue => `${issue.path.join('.')}: ${issue.message}`)
}

const DEFAULTS = { connsMax: 10, mutualMax: 10, limit: 7, waitMs: 30_000, pieceBytes: 4_194_304, isOn: true, kind: 'a', note: undefined }

t.test('absent means default, for keys and for whole blocks', async t => {
  for (const raw of [undefined, null, {}, { max_conn: null, wait: null }]) t.same(read(raw), DEFAULTS)
})

t.test('keys are renamed, unused ones and those nobody knows are left out', async t => {
  t.same(read({ max_conn: 3, old: { any: 'thing' }, other: 1 }), { ...DEFAULTS, connsMax: 3, mutualMax: 3 })
})

t.test('a default may be the value of a sibling', async t => {
  t.equal(read({ max_conn: 5 }).mutualMax, 5)
  t.equal(read({ max_conn: 5, max_mutual: 2 }).mutualMax, 2)
})

t.test('zero is zero within the bounds, and the default outside of them', async t => {
  t.same(read({ max_conn: 0, max_mutual: 0, wait: 0, piece: '', limit: 0, kind: '' }), { ...DEFAULTS, limit: 0 })
})

for (const [raw, message] of [
  [{ max_conn: 'ten' }, 'max_conn: expected an integer from 1 to 99, got "ten"'],
  [{ max_conn: 100 }, 'max_conn: expected an integer from 1 to 99, got 100'],
  [{ max_conn: 1.5 }, 'max_conn: expected an integer from 1 to 99, got 1.5'],
  [{ max_conn: -1 }, 'max_conn: expected an integer from 1 to 99, got -1'],
  [{ wait: '5 minutes' }, 'wait: expected a duration such as 300ms, 30s or 1h30m of at least 1ms, got "5 minutes"'],
  [{ wait: '-1s' }, 'wait: expected a duration such as 300ms, 30s or 1h30m of at least 1ms, got "-1s"'],
  [{ piece: '4 apples' }, 'piece: expected a size such as 512KB, 4MB or 10GB of at least 1, got "4 apples"'],
  [{ on: 'maybe' }, 'on: expected true or false, got "maybe"'],
  [{ kind: 'c' }, 'kind: expected a or b, got "c"'],
  [{ note: ['x'] }, 'note: expected a text of 1 to 4096 characters, got ["x"]'],
  ['text', ': expected a block of keys'],
  [[], ': expected a block of keys']
] as const) {
  t.test(`${JSON.stringify(raw)} is refused`, async t => { t.same(problems(sample.schema, raw), [message]) })
}

t.test('all problems are found at once', async t => {
  t.equal(problems(sample.schema, { max_conn: 'x', wait: 'x', kind: 'x' }).length, 3)
})

t.test('the words of YAML 1.1 are booleans', async t => {
  for (const word of ['yes', 'on', 'Y', 'ON']) t.equal(read({ on: word }).isOn, true, word)
  for (const word of ['no', 'off', 'N', 'Off']) t.equal(read({ on: word }).isOn, false, word)
})

t.test('required fields, blocks, lists and maps', async t => {
  const outer = section({
    dir: text({ as: 'dir', doc: 'A folder.' }),
    inner: nested('inner', sample, 'A block.'),
    hosts: list({ as: 'hosts', of: addressShape(), doc: 'Addresses.' }),
    types: list({ as: 'types', of: section({ pattern: regex({ as: 'pattern', doc: 'Which.' }) }), min: 1, doc: 'Types.' }),
    sizes: map({ as: 'sizes', key: sizeShape({}), value: intShape({ min: 1 }), min: 1, doc: 'Sizes.' })
  })
  const good = { dir: '/data', hosts: ['a:1', '10.0.0.1:65535', '[::1]:80'], types: [{ pattern: '^lib/' }], sizes: { 0: 1, '2GB': 4 } }
  const value = outer.schema.parse(good)
  t.same(value.inner, DEFAULTS)
  t.same(value.sizes, [[0, 1], [2 ** 31, 4]])
  t.ok(value.types[0]?.pattern.test('lib/x'))
  const found = (raw: unknown): string[] => outer.schema.safeParse(raw).error?.issues.map(issue => issue.path.join('.')) ?? []
  t.same(found({}), ['dir', 'types', 'sizes'])
  t.same(found({ ...good, types: [] }), ['types'], 'an empty list counts as absent')
  t.same(found({ ...good, sizes: {} }), ['sizes'])
  t.same(found({ ...good, hosts: ['a:1', 'b', 'c:0', 'd:65536'] }), ['hosts.1', 'hosts.2', 'hosts.3'])
  t.same(found({ ...good, types: [{ pattern: '(' }] }), ['types.0.pattern'])
  t.same(found({ ...good, inner: { max_conn: 'x' } }), ['inner.max_conn'])
  t.same(found({ ...good, sizes: { zero: 1, 5: 0 } }), ['sizes.5', 'sizes.zero'])
  t.same(found({ ...good, sizes: [1] }), ['sizes'])
})

t.test('a section may combine its values, and find them in contradiction', async t => {
  const range = section({
    from: int({ as: 'from', default: 0, min: 0, doc: 'First.' }),
    to: int({ as: 'to', default: 9, min: 0, doc: 'Last.' })
  }, ({ from, to }, complain) => {
    if (from > to) complain('expected at least `from`', 'to')
    return to - from
  })
  t.equal(range.schema.parse({ from: 2 }), 7)
  t.same(range.schema.safeParse({ from: 10 }).error?.issues.map(issue => [issue.path, issue.message]), [[['to'], 'expected at least `from`']])
})

t.test('regular expressions in Go\'s syntax', async t => {
  const { schema } = section({ p: regex({ as: 'p', doc: 'Pattern.' }) })
  t.ok(schema.parse({ p: '(?i)LIBRARY/.*' }).p.test('library/x'))
  t.ok(schema.parse({ p: '(?P<repo>a+)' }).p.test('aa'))
  t.ok(schema.parse({ p: '\\Ax\\z' }).p.test('x'))
  t.notOk(schema.parse({ p: '\\Ax\\z' }).p.test('xx'))
})

t.test('a secret is printed by nobody', async t => {
  const { schema } = section({ password: secret({ as: 'password', doc: 'A password.' }) })
  const { password } = schema.parse({ password: 'hunter2' })
  t.equal(password?.reveal(), 'hunter2')
  for (const printed of [String(password), JSON.stringify({ password }), inspect({ password })]) {
    t.match(printed, '***')
    t.notMatch(printed, 'hunter2')
  }
  t.equal(schema.parse({}).password, undefined)
})
