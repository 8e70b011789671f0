import t from 'tap'
import fc from '../../support/fc.js'
import { TagIndex } from '../../../runtime/build-index/tag-index.js'

const NAMES = ['team/app:v1', 'team/app:v2', 'team/app-two:v1', 'team/app/sub:v1', 'team0/x:v1', 'team:solo', 'other:1', 'no-colon', 'host:5000/app:1']

t.test('names are sorted, whatever the order in which they came', async t => {
  const index = new TagIndex(NAMES)
  index.add('aaa:1')
  index.add('zzz:1')
  index.add('team/app:v1')
  t.same(index.page('').names, [...NAMES, 'aaa:1', 'zzz:1'].sort())
  index.delete('team/app:v1')
  index.delete('not there')
  t.equal(index.size, NAMES.length + 1)
  t.notOk(index.page('').names.includes('team/app:v1'))
})

t.test('prefixes', async t => {
  const index = new TagIndex(NAMES)
  for (const [prefix, names] of [
    ['team/app/_manifests/tags', ['team/app:v1', 'team/app:v2']],
    ['/team/app/_manifests/tags/', ['team/app:v1', 'team/app:v2']],
    ['team/app/_manifests', ['team/app:v1', 'team/app:v2']],
    ['team/app', ['team/app/sub:v1', 'team/app:v1', 'team/app:v2']],
    ['team', ['team/app-two:v1', 'team/app/sub:v1', 'team/app:v1', 'team/app:v2', 'team:solo']],
    ['tea', []],
    ['unknown/_manifests/tags', []],
    ['/', [...NAMES].sort()]
  ] as const) t.same(index.page(prefix).names, names, prefix)
})

t.test('pages follow each other over the gap between two ranges', async t => {
  const index = new TagIndex(NAMES)
  for (const limit of [1, 2, 3, 4, 5, 6]) {
    const seen: string[] = []
    let pages = 0
    for (let after: string | undefined; ;) {
      const page = index.page('team', { after, limit })
      seen.push(...page.names)
      pages++
      if (page.next === undefined) break
      after = page.next
    }
    t.same(seen, index.page('team').names, `limit ${limit}`)
    t.equal(pages, Math.ceil(5 / limit), `limit ${limit}`)
  }
})

t.test('a page can begin at a name that is gone', async t => {
  const index = new TagIndex(['a:1', 'a:3'])
  t.same(index.page('', { after: 'a:2' }).names, ['a:3'])
  t.same(index.page('', { after: 'zzz' }).names, [])
})

t.test('any tags are listed like a filter over all of them would', async () => {
  const part = fc.constantFrom('a', 'b', 'a-b', 'a0', 'ab')
  const name = fc.tuple(fc.array(part, { minLength: 1, maxLength: 3 }), part).map(([path, tag]) => `${path.join('/')}:${tag}`)
  const prefix = fc.array(part, { maxLength: 3 }).map(path => path.join('/'))
  fc.assert(fc.property(fc.array(name), prefix, fc.integer({ min: 1, max: 4 }), (names, prefix, limit) => {
    const index = new TagIndex([])
    for (const name of names) index.add(name)
    const wanted = [...new Set(names)].sort().filter(name => prefix === '' || name.startsWith(`${prefix}/`) || name.startsWith(`${prefix}:`))
    const seen: string[] = []
    for (let page = index.page(prefix, { limit }); ; page = index.page(prefix, { limit, after: page.next })) {
      seen.push(...page.names)
      if (page.next === undefined) break
    }
    return seen.join(' ') === wanted.join(' ')
  }))
})
