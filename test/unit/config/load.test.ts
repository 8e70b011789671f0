import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { type Decoded, decode, readConfig } from '../../../runtime/config/load.js'
import { bool, int, list, map, nested, section, unused } from '../../../runtime/config/schema.js'
import { intShape, textShape } from '../../../runtime/config/shapes.js'
import { isAppError } from '../../../runtime/core/errors.js'

interface Test { testdir (): string }

const schema = section({
  limits: nested('limits', section({
    max_open: int({ as: 'openMax', default: 10, min: 1, doc: 'Open.' }),
    max_idle: int({ as: 'idleMax', default: 5, min: 1, doc: 'Idle.' })
  }), 'Limits.'),
  hosts: list({ as: 'hosts', of: textShape(), doc: 'Hosts.' }),
  types: list({ as: 'types', of: section({ on: bool({ as: 'isOn', default: false, doc: 'On.' }) }), doc: 'Types.' }),
  table: map({ as: 'table', key: textShape(), value: intShape({}), doc: 'Table.' }),
  auth: unused('Credentials.')
})

function folderWith (t: Test, files: Readonly<Record<string, string>>): string {
  const folder = t.testdir()
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
  return folder
}

function load (t: Test, files: Readonly<Record<string, string>>, secrets = ''): Decoded<ReturnType<typeof schema.schema.parse>> {
  const folder = folderWith(t, files)
  return decode(schema, readConfig(join(folder, 'main.yaml'), secrets === '' ? '' : join(folder, secrets)))
}

function failure (t: Test, files: Readonly<Record<string, string>>): string {
  try {
    load(t, files)
  } catch (error) {
    if (isAppError(error, 'CONFIG_INVALID')) return error.message
    throw error
  }
  return 'no failure'
}

t.test('files are laid over each other, farthest ancestor first', async t => {
  const { value } = load(t, {
    'main.yaml': 'extends: base/one.yaml\nlimits: {max_open: 3}\n',
    'base/one.yaml': 'extends: ../two.yaml\nlimits: {max_open: 2, max_idle: 2}\nhosts: [c]\n',
    'two.yaml': 'limits: {max_open: 1}\nhosts: [a, b]\ntable: {x: 1, y: 1}\n'
  })
  t.same(value.limits, { openMax: 3, idleMax: 2 }, 'blocks merge key by key')
  t.same(value.hosts, ['c'], 'lists are replaced whole')
  t.same(value.table, [['x', 1], ['y', 1]])
})

t.test('maps merge by key, so a child cannot remove a key', async t => {
  const { value } = load(t, { 'main.yaml': 'extends: base.yaml\ntable: {y: 2, z: 3}\n', 'base.yaml': 'table: {x: 1, y: 1}\n' })
  t.same(value.table, [['x', 1], ['y', 2], ['z', 3]])
})

t.test('secrets come last, and may extend', async t => {
  const files = {
    'main.yaml': 'limits: {max_open: 1, max_idle: 1}\nauth: {s3: {key: a, id: b}, gcs: {key: c}}\n',
    'secret/s.yaml': 'extends: base.yaml\nlimits: {max_open: 9}\n',
    'secret/base.yaml': 'limits: {max_open: 8, max_idle: 8}\nauth: {s3: {key: x}}\n'
  }
  t.same(load(t, files, 'secret/s.yaml').value.limits, { openMax: 9, idleMax: 8 })
  const folder = folderWith(t, files)
  t.same(readConfig(join(folder, 'main.yaml'), join(folder, 'secret/s.yaml')).value['auth'], { s3: { key: 'x' }, gcs: { key: 'c' } },
    'auth merges at its top level only')
})

t.test('an absolute path may be extended', async t => {
  const folder = folderWith(t, { 'base.yaml': 'hosts: [a]\n' })
  writeFileSync(join(folder, 'main.yaml'), `extends: ${join(folder, 'base.yaml')}\n`)
  t.same(decode(schema, readConfig(join(folder, 'main.yaml'))).value.hosts, ['a'])
})

t.test('empty files, anchors, merge keys and repeated keys are fine', async t => {
  t.same(load(t, { 'main.yaml': '' }).value.limits, { openMax: 10, idleMax: 5 })
  t.same(load(t, { 'main.yaml': '# nothing\n---\n' }).value.hosts, [])
  t.same(load(t, { 'main.yaml': 'table: &a {x: 1}\nlimits: {<<: {max_open: 4}, max_idle: 6}\n' }).value.limits, { openMax: 4, idleMax: 6 })
  t.same(load(t, { 'main.yaml': 'hosts: [a]\nhosts: [b]\n' }).value.hosts, ['b'])
})

t.test('unknown keys are named with their place and never fatal', async t => {
  const { value, warnings, unused } = load(t, {
    'main.yaml': 'extends: base.yaml\nlimits:\n  maxOpen: 3\n',
    'base.yaml': 'colour: red\ntypes:\n  - on: true\n    of: 1\nauth: {s3: {any: thing}}\n__proto__: {x: 1}\n'
  })
  t.same(value.limits, { openMax: 10, idleMax: 5 })
  t.same(value.types, [{ isOn: true }])
  t.equal(warnings.length, 4)
  t.match(warnings.find(warning => warning.includes('colour')), /base\.yaml:1: colour is no key/)
  t.match(warnings.find(warning => warning.includes('maxOpen')), /main\.yaml:3: limits\.maxOpen is no key .* Did you mean max_open\?/)
  t.match(warnings.find(warning => warning.includes('types.0')), /base\.yaml:2: types\.0\.of is no key .* Known here: on/)
  t.same(unused, ['auth'])
})

t.test('a wrong value names file, line, path and what is accepted', async t => {
  t.match(failure(t, { 'main.yaml': 'hosts: [a]\nlimits:\n  max_open: ten\n' }), /main\.yaml:3: limits\.max_open: expected an integer of at least 1, got "ten"$/)
  const inherited = failure(t, { 'main.yaml': 'extends: base.yaml\n', 'base.yaml': '\nlimits: {max_open: ten}\n' })
  t.match(inherited, /base\.yaml:2: limits\.max_open:/, 'the file that set it, not the one that was named')
  t.match(failure(t, { 'main.yaml': 'types:\n  - on: 3\n' }), /main\.yaml:1: types\.0\.on: expected true or false, got 3/)
})

t.test('many wrong values are cut short', async t => {
  const message = failure(t, { 'main.yaml': `hosts: [${'[],'.repeat(50)}]\n` })
  t.match(message, /\(and 30 more\)$/)
})

for (const [what, files, message] of [
  ['a cycle', { 'main.yaml': 'extends: a.yaml\n', 'a.yaml': 'extends: b.yaml\n', 'b.yaml': 'extends: a.yaml\n' }, /a\.yaml extends itself: .*a\.yaml -> .*b\.yaml -> .*a\.yaml/],
  ['a file that extends itself', { 'main.yaml': 'extends: main.yaml\n' }, /extends itself/],
  ['a missing ancestor', { 'main.yaml': 'extends: gone.yaml\n' }, /cannot read the configuration: .*gone\.yaml/],
  ['extends that is no path', { 'main.yaml': 'extends: [a]\n' }, /extends must be the path of a file/],
  ['broken YAML', { 'main.yaml': 'a: [1\nb: 2\n' }, /main\.yaml: /],
  ['a list', { 'main.yaml': '- 1\n' }, /expected a YAML map of keys, got a list/],
  ['a bare text', { 'main.yaml': 'hello\n' }, /expected a YAML map of keys, got a string/],
  ['a bomb of aliases', { 'main.yaml': bomb() }, /main\.yaml: .*alias/i]
] as const) {
  t.test(`${what} is refused`, async t => { t.match(failure(t, files), message) })
}

t.test('a chain that is too long is refused', async t => {
  const files = Object.fromEntries([...Array(40).keys()].map(i => [i === 0 ? 'main.yaml' : `${i}.yaml`, `extends: ${i + 1}.yaml\n`]))
  t.match(failure(t, files), /extends more than 32 files/)
})

t.test('a file beyond any sense is not read', async t => {
  t.match(failure(t, { 'main.yaml': `# ${'x'.repeat(4 * 1024 * 1024)}\n` }), /a configuration has at most/)
})

function bomb (): string {
  const levels = [...Array(12).keys()].map(i => `l${i}: &l${i} [${Array(10).fill(i === 0 ? 'x' : `*l${i - 1}`).join(',')}]`)
  return `${levels.join('\n')}\n`
}
