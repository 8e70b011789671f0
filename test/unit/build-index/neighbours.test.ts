import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startBuildIndex } from '../../../runtime/build-index/component.js'
import { type RunningComponent } from '../../../runtime/core/component.js'
import { digestOf } from '../../../runtime/core/digest.js'
import { noLog } from '../../../runtime/observe/log.js'
import { freePorts } from '../../../runtime/up/ports.js'
import { call } from '../../support/http-call.js'
import { until } from '../../support/manual-time.js'
import { SmallOrigin } from '../../support/small-origin.js'
import { loneIndexConfig } from '../../support/task-config.js'

const HEALTH = { failsMax: 3, passesMin: 2, timeoutMs: 3000, intervalMs: 10_000 }

/** Two build-indexes of one cluster, each of which can be stopped, started and robbed of its disk. */
async function pair (t: Test, { keepsMarks = false } = {}) {
  const origin = await SmallOrigin.start()
  if (keepsMarks) origin.marks = new Map()
  const ports = await freePorts(2)
  const root = await mkdtemp(join(tmpdir(), 'shoal-index-'))
  const running: Array<RunningComponent | undefined> = []
  const dirOf = (i: number): string => join(root, String(i))
  const start = async (i: number): Promise<void> => {
    running[i] = await startBuildIndex({
      port: ports[i] ?? 0,
      store: { uploadDir: join(dirOf(i), 'upload'), cacheDir: join(dirOf(i), 'cache') },
      tagTypes: [{ pattern: /.*/, type: 'default' }],
      origin: origin.upstream,
      ...loneIndexConfig(join(dirOf(i), 'cache')),
      cluster: { hosts: { static: ports.map(port => `127.0.0.1:${port}`), dns: undefined, ttlMs: 5000 }, health: HEALTH }
    }, noLog)
  }
  const stop = async (i: number): Promise<void> => { await running[i]?.stop() }
  const ask = async (i: number, method: string, path: string, headers = {}): Promise<string> => {
    const { status, body } = await call(ports[i] ?? 0, method, path, { headers, ...(method === 'PUT' ? { body: '{"delay":0}' } : {}) })
    return `${status} ${body.toString()}`
  }
  await start(0)
  await start(1)
  t.teardown(async () => {
    await stop(0)
    await stop(1)
    await origin.stop()
    await rm(root, { recursive: true, force: true })
  })
  const blobs = ['one', 'two', 'three'].map(text => origin.put(text))
  return { start, stop, ask, blobs, origin, wipe: async (i: number) => { await rm(dirOf(i), { recursive: true, force: true }) } }
}

t.test('what one deleted is gone from both, also if the other one was away', async t => {
  const { start, stop, ask, blobs: [one, two] } = await pair(t)
  t.equal(await ask(0, 'PUT', `/tags/a:1/digest/${one}`), '200 ')
  t.equal(await ask(1, 'DELETE', `/tags/a:1?digest=${two}`), '404 ', 'it points elsewhere')
  t.equal(await ask(1, 'DELETE', `/tags/a:1?digest=${one}`), '202 ')
  for (const i of [0, 1]) {
    t.equal(await ask(i, 'GET', '/tags/a:1'), '404 ')
    t.equal(await ask(i, 'DELETE', '/tags/a:1'), '404 ')
  }
  t.equal(await ask(0, 'PUT', `/tags/a:1/digest/${two}`), '200 ')
  t.equal(await ask(1, 'GET', '/tags/a:1'), `200 ${two}`, 'put again')
  await stop(1)
  t.equal(await ask(0, 'DELETE', '/tags/a:1'), '202 ')
  await start(1)
  t.equal(await ask(1, 'GET', '/tags/a:1'), '404 ', 'it was told, or asked')
  t.equal(await ask(0, 'GET', '/tags/a:1'), '404 ', 'and did not bring it back')
})

t.test('of puts that depend on what the tag points at one succeeds', async t => {
  const { ask, blobs: [one, two, three] } = await pair(t)
  const put = async (digest: string | undefined, onlyIf: string | undefined, i = 0): Promise<string> =>
    await ask(i, 'PUT', `/tags/a:1/digest/${digest}?replicate=true&onlyif=${onlyIf}`)
  t.match(await put(one, two), /^409 tag a:1 points at none/)
  const first = await Promise.all(Array.from({ length: 10 }, async (_, i) => await put(i % 2 === 0 ? one : two, 'none')))
  t.equal(first.filter(answer => answer === '200 ').length, 1)
  t.equal(first.filter(answer => answer.startsWith('409 ')).length, 9)
  const now = (await ask(1, 'GET', '/tags/a:1')).slice('200 '.length)
  t.match(await put(three, 'none', 1), /^409 /)
  t.equal(await put(three, now, 1), '200 ')
  t.equal(await ask(0, 'GET', '/tags/a:1'), `200 ${three}`)
  t.match(await put(one, 'nonsense'), /^(400|500) /)
})

t.test('a delete of one value does not undo a later put, wherever both came in', async t => {
  const { ask, blobs: [one, two] } = await pair(t)
  t.equal(await ask(0, 'PUT', `/tags/a:1/digest/${one}`), '200 ')
  const [, deleted] = await Promise.all([
    ask(1, 'PUT', `/tags/a:1/digest/${two}`), ask(0, 'DELETE', `/tags/a:1?digest=${one}`)
  ])
  t.match(deleted, /^(202|404) /)
  for (const i of [0, 1]) t.equal(await ask(i, 'GET', '/tags/a:1'), `200 ${two}`)
})

t.test('what one acknowledged the other one knows', async t => {
  const { ask, blobs: [one, two] } = await pair(t)
  t.equal(await ask(0, 'PUT', `/tags/a:1/digest/${one}`), '200 ')
  t.equal(await ask(1, 'GET', '/tags/a:1'), `200 ${one}`)
  t.equal(await ask(1, 'PUT', `/tags/a:1/digest/${two}`), '200 ')
  t.equal(await ask(0, 'GET', '/tags/a:1'), `200 ${two}`)
  t.match(await ask(0, 'GET', '/internal/tags/a:1/version'), new RegExp(`^200 \\d+\\.\\d+ ${two}$`))
  await until(async () => await ask(0, 'GET', '/internal/tags/b:1/version') === '404 ')
})

t.test('one that was away when a tag moved does not give the old value, and is told', async t => {
  const { ask, start, stop, blobs: [one, two, three] } = await pair(t)
  await ask(0, 'PUT', `/tags/a:1/digest/${one}`)
  await stop(1)
  t.equal(await ask(0, 'PUT', `/tags/a:1/digest/${two}`), '200 ')
  t.equal(await ask(0, 'PUT', `/tags/b:1/digest/${three}`), '200 ')
  await start(1)
  t.equal(await ask(1, 'GET', '/tags/a:1'), `200 ${two}`)
  await until(async () => (await ask(1, 'GET', '/internal/tags/b:1/version')).startsWith('200'))
  await stop(0)
  t.equal(await ask(1, 'GET', '/tags/b:1'), `200 ${three}`, 'it can do without the other one')
})

t.test('what is owed to one survives a restart', async t => {
  const { ask, start, stop, blobs: [one, two] } = await pair(t)
  await ask(0, 'PUT', `/tags/a:1/digest/${one}`)
  await stop(1)
  t.equal(await ask(0, 'PUT', `/tags/a:1/digest/${two}`), '200 ')
  await stop(0)
  await start(1)
  t.equal(await ask(1, 'GET', '/tags/a:1'), `200 ${one}`, 'nobody is there who knows better')
  await start(0)
  await until(async () => (await ask(1, 'GET', '/internal/tags/a:1/version')).endsWith(String(two)))
})

t.test('an old write that comes late changes nothing', async t => {
  const { ask, blobs: [one, two] } = await pair(t)
  await ask(0, 'PUT', `/tags/a:1/digest/${two}`)
  t.equal(await ask(0, 'PUT', `/internal/duplicate/tags/a:1/digest/${one}`, { 'shoal-tag-version': `1000.0 ${one}` }), '200 ')
  t.equal(await ask(0, 'GET', '/tags/a:1'), `200 ${two}`)
  t.equal(await ask(0, 'PUT', `/internal/duplicate/tags/a:1/digest/${one}`), '200 ', 'without a time it is a write like any other')
  t.equal(await ask(1, 'GET', '/tags/a:1'), `200 ${one}`)
})

t.test('one with a clock far ahead does not keep a tag from moving', async t => {
  const { ask, blobs: [one, two] } = await pair(t)
  const hour = Date.now() + 3_600_000
  await ask(0, 'PUT', `/internal/duplicate/tags/a:1/digest/${one}`, { 'shoal-tag-version': `${hour}.0 ${one}` })
  t.equal(await ask(1, 'PUT', `/tags/a:1/digest/${two}`), '200 ')
  t.equal(await ask(0, 'GET', '/tags/a:1'), `200 ${two}`)
  t.match(await ask(0, 'GET', '/internal/tags/a:1/version'), new RegExp(`^200 ${hour}\\.1 `))
  await ask(0, 'PUT', `/internal/duplicate/tags/a:1/digest/${one}`, { 'shoal-tag-version': `${hour * 2}.0 ${one}` })
  t.match(await ask(0, 'GET', '/internal/tags/a:1/version'), new RegExp(`^200 ${hour}\\.2 `), 'what cannot be true is not believed')
})

t.test('one that lost its disk learns its tags again', async t => {
  const { ask, start, stop, wipe, blobs: [one] } = await pair(t)
  await ask(0, 'PUT', `/tags/team%2Fa:1/digest/${one}`)
  await stop(1)
  await wipe(1)
  await start(1)
  await until(async () => (await ask(1, 'GET', '/list/')).includes('team/a:1'))
  t.equal(digestOf('one'), one)
})

t.test('what one acknowledged while the other was away is known although it went away itself', async t => {
  const { ask, start, stop, origin, blobs: [one, two] } = await pair(t, { keepsMarks: true })
  await until(async () => await ask(0, 'GET', '/internal/tags/b:1/version') === '404 ' && await ask(1, 'GET', '/internal/tags/b:1/version') === '404 ')
  t.equal(await ask(0, 'PUT', `/tags/a:1/digest/${one}`), '200 ')
  t.equal(origin.marks?.size, 0, 'nothing is left to witnesses while all are there')
  await stop(1)
  t.equal(await ask(0, 'PUT', `/tags/a:1/digest/${two}`), '200 ')
  t.equal(await ask(0, 'DELETE', '/tags/b:1'), '404 ')
  t.match(origin.marks?.get('a:1'), new RegExp(`${two}$`))
  await stop(0)
  await start(1)
  t.equal(await ask(1, 'GET', '/tags/a:1'), `200 ${two}`, 'the origin has seen it')
  t.equal(await ask(1, 'PUT', `/tags/a:1/digest/${one}`), '200 ', 'it moves on')
  t.equal(await ask(1, 'GET', '/tags/a:1'), `200 ${one}`)
  await start(0)
  t.equal(await ask(0, 'GET', '/tags/a:1'), `200 ${one}`)
  await until(() => origin.marks?.size === 0)
})

t.test('with too few to be sure nothing old is given', async t => {
  const { ask, stop, start, origin, wipe, blobs: [one] } = await pair(t, { keepsMarks: true })
  t.equal(await ask(0, 'PUT', `/tags/a:1/digest/${one}`), '200 ')
  await stop(0)
  t.equal(await ask(1, 'GET', '/tags/a:1'), `200 ${one}`)
  t.equal(await ask(1, 'GET', '/tags/none:1'), '404 ')
  origin.failing = 500
  t.match(await ask(1, 'GET', '/tags/a:1'), /^503 too few build-indexes and origins answer/)
  t.match(await ask(1, 'DELETE', '/tags/a:1'), /^500 .*too few/)
  origin.failing = undefined
  await stop(1)
  await wipe(1)
  await start(1)
  t.match(await ask(1, 'GET', '/tags/a:1'), /^503 too few/, 'one with an empty disk does not say that there is no such tag')
  t.match(await ask(1, 'GET', '/internal/tags/a:1/version'), /^503 /)
  await start(0)
  t.equal(await ask(1, 'GET', '/tags/a:1'), `200 ${one}`)
})
