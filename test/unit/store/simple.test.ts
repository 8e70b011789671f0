import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { digestOf } from '../../../runtime/core/digest.js'
import { SimpleStore } from '../../../runtime/store/simple.js'
import { compareVersions, formatVersion, parseVersion, stampAfter, type TagVersion } from '../../../runtime/store/tag-version.js'

const ONE = digestOf('1')
const TWO = digestOf('2')

t.test('tags are set, moved, listed and deleted', async t => {
  const dir = t.testdir({})
  const store = new SimpleStore({ cacheDir: dir })
  t.equal(await store.get('library/alpine:3.5'), undefined)
  await store.set('library/alpine:3.5', ONE)
  t.equal(readFileSync(join(dir, 'library', 'alpine:3.5', 'data'), 'utf8'), ONE, 'the file is that of Kraken')
  await store.set('library/alpine:3.5', TWO)
  t.equal(await store.get('library/alpine:3.5'), TWO, 'the last write wins')
  await store.set('library/alpine:3.6', ONE)
  await store.set('top:1', ONE)
  t.same(await store.list(), ['library/alpine:3.5', 'library/alpine:3.6', 'top:1'])
  t.same(await store.list('library/'), ['library/alpine:3.5', 'library/alpine:3.6'])
  t.equal(await store.delete('library/alpine:3.5'), true)
  t.equal(await store.delete('library/alpine:3.5'), false)
  t.same(await store.list(), ['library/alpine:3.6', 'top:1'])
  t.same(readdirSync(join(dir, 'library')), ['alpine:3.6'])
})

t.test('many writers at once leave one of their values', async t => {
  const store = new SimpleStore({ cacheDir: t.testdir({}) })
  const digests = Array.from({ length: 20 }, (_, i) => digestOf(String(i)))
  await Promise.all(digests.map(async digest => await store.set('a:1', digest)))
  t.equal(await store.get('a:1'), digests.at(-1))
})

t.test('a name below another one survives its deletion', async t => {
  const store = new SimpleStore({ cacheDir: t.testdir({}) })
  await store.set('a:1', ONE)
  await store.set('a:1/b:2', TWO)
  t.equal(await store.delete('a:1'), true)
  t.same(await store.list(), ['a:1/b:2'])
})

t.test('bad names never reach the disk', async t => {
  const store = new SimpleStore({ cacheDir: join(t.testdir({}), 'cache') })
  for (const name of ['../a', '..', '', '/etc/passwd', 'a/../../b', 'a\0']) {
    await t.rejects(store.get(name), { code: 'NAME_INVALID' })
    await t.rejects(store.set(name, ONE), { code: 'NAME_INVALID' })
    await t.rejects(store.delete(name), { code: 'NAME_INVALID' })
  }
})

t.test('a damaged tag is told from a missing one, and a put repairs it', async t => {
  const dir = t.testdir({})
  const store = new SimpleStore({ cacheDir: dir })
  mkdirSync(join(dir, 'a:1'))
  for (const content of ['', 'nonsense', 'sha256:abc']) {
    writeFileSync(join(dir, 'a:1', 'data'), content)
    await t.rejects(store.get('a:1'), { code: 'CORRUPT' })
  }
  await store.set('a:1', ONE)
  t.equal(await store.get('a:1'), ONE)
})

t.test('a persisted tag is not deleted', async t => {
  const store = new SimpleStore({ cacheDir: t.testdir({}) })
  await t.rejects(store.setPersisted('a:1', true), { code: 'TAG_UNKNOWN' })
  await store.set('a:1', ONE)
  await store.setPersisted('a:1', true)
  t.equal(await store.isPersisted('a:1'), true)
  await t.rejects(store.delete('a:1'), { code: 'DENIED' })
  await store.setPersisted('a:1', false)
  t.equal(await store.delete('a:1'), true)
})

t.test('a tag only ever moves on, in whatever order the writes come', async t => {
  const store = new SimpleStore({ cacheDir: t.testdir({}) })
  const early: TagVersion = { digest: ONE, stamp: { ms: 1000, count: 0 } }
  const late: TagVersion = { digest: TWO, stamp: { ms: 1000, count: 1 } }
  t.same(await store.advance('a:1', late), late)
  t.same(await store.advance('a:1', early), late)
  t.same(await store.find('a:1'), late)
})

t.test('whoever reads while a tag moves sees one of its values with the time of that value', async t => {
  const store = new SimpleStore({ cacheDir: t.testdir({}) })
  const versions = Array.from({ length: 60 }, (_, i): TagVersion => ({ digest: i % 2 === 0 ? ONE : TWO, stamp: { ms: 1000 + i, count: 0 } }))
  const over = new AbortController()
  const written = (async () => {
    for (const version of versions) await store.advance('a:1', version)
    over.abort()
  })()
  const seen = new Set<string>()
  const readers = Array.from({ length: 4 }, async () => {
    while (!over.signal.aborted) {
      const found = await store.find('a:1')
      if (found !== undefined) seen.add(formatVersion(found))
    }
  })
  await Promise.all([written, ...readers])
  const known = new Set(versions.map(formatVersion))
  t.same([...seen].filter(found => !known.has(found)), [])
})

t.test('of two files that differ the younger is right', async t => {
  const dir = t.testdir({})
  const store = new SimpleStore({ cacheDir: dir })
  await store.advance('a:1', { digest: ONE, stamp: { ms: 1000, count: 0 } })
  writeFileSync(join(dir, 'a:1', 'data'), TWO)
  utimesSync(join(dir, 'a:1', '_tag_version'), 5000, 5000)
  utimesSync(join(dir, 'a:1', 'data'), 4000, 4000)
  t.match(await store.find('a:1'), { digest: ONE }, 'a crash came between the two')
  utimesSync(join(dir, 'a:1', 'data'), 6000, 6000)
  t.match(await store.find('a:1'), { digest: TWO, stamp: { ms: 6_000_000, count: 0 } }, 'another program has moved the tag')
  utimesSync(join(dir, 'a:1', '_tag_version'), 7000, 7000)
  writeFileSync(join(dir, 'a:1', '_tag_version'), '12.x')
  t.match(await store.find('a:1'), { digest: TWO }, 'a damaged one says nothing')
})

t.test('stamps grow, whatever the clocks say', async t => {
  t.same(stampAfter(2000, []), { ms: 2000, count: 0 })
  t.same(stampAfter(2000, [{ ms: 2000, count: 4 }, undefined]), { ms: 2000, count: 5 })
  t.same(stampAfter(1000, [{ ms: 2000, count: 4 }, { ms: 2000, count: 1 }]), { ms: 2000, count: 5 }, 'a clock that was set back')
  t.ok(compareVersions({ digest: TWO, stamp: { ms: 1, count: 9 } }, { digest: ONE, stamp: { ms: 2, count: 0 } }) < 0)
  t.same(parseVersion(`12.3 ${ONE}\n`), { digest: ONE, stamp: { ms: 12, count: 3 } })
  for (const text of ['', '12', '12.3', `-1.0 ${ONE}`, `1.2 ${ONE.slice(1)}`, `1.0000000000 ${ONE}`]) t.equal(parseVersion(text), undefined)
})
