import t from 'tap'
import { type BackendClient, type ObjectStream, readObject } from '../../../runtime/backend/backend.js'
import { GuardedClient } from '../../../runtime/backend/guarded-client.js'
import { BackendManager } from '../../../runtime/backend/manager.js'
import { noopClient } from '../../../runtime/backend/noop.js'
import { ShadowClient } from '../../../runtime/backend/shadow/client.js'
import { Throttle } from '../../../runtime/backend/throttle.js'
import { AppError } from '../../../runtime/core/errors.js'
import { noLog } from '../../../runtime/observe/log.js'
import { backendsConfig } from '../../support/backend-items.js'
import { contentOf } from '../../support/backend-suite.js'
import { ManualTime, settle } from '../../support/manual-time.js'
import { must } from '../../support/must.js'

const testfs = (addr: string): object => ({ testfs: { addr, name_path: 'identity' } })

t.test('the first pattern that is found counts, anywhere in the namespace', async t => {
  const manager = new BackendManager(backendsConfig([
    { namespace: '^exact/.*', backend: testfs('a:1') },
    { namespace: 'library/.*', backend: { http: { download_url: 'http://b:2/%s' } } },
    { namespace: 'local/.*', cache_only: true }
  ]))
  t.equal(manager.clientFor('exact/library/x').kind, 'testfs')
  t.equal(manager.clientFor('team/mylibrary/x').kind, 'http')
  t.equal(manager.clientFor('__noop__').kind, 'noop')
  t.throws(() => manager.clientFor('other'), { code: 'CONFIG_INVALID', message: 'no matches for namespace "other" in backends' })
  const namespaces = ['exact/x', 'library/x', 'local/x', '__noop__', 'other']
  t.same(namespaces.map(namespace => manager.storability(namespace)), ['yes', 'no', 'local', 'local', 'no'])
  await manager.close()
  const none = new BackendManager(backendsConfig([]))
  t.same([none.isConfigured, none.storability('x')], [false, 'local'])
  await none.checkReadiness()
})

t.test('what a configuration must say', async t => {
  for (const [item, message] of [
    [{ namespace: '.*' }, /exactly one backend/],
    [{ namespace: '.*', backend: { ...testfs('a:1'), http: { download_url: 'http://b/%s' } } }, /exactly one backend/],
    [{ namespace: '.*', backend: testfs('a:1'), cache_only: true }, /cache_only/],
    [{ namespace: '(', backend: testfs('a:1') }, /a regular expression/],
    [{ namespace: '.*', backend: { sql: { dialect: 'mysql' } } }, /the sql backend is not available: keep tags in another backend/],
    [{ namespace: '.*', backend: { http: { download_url: 'http://b/' } } }, /one %s/],
    [{ namespace: '.*', backend: { s3: { region: 'r', bucket: 'b', root_directory: 'no-slash', name_path: 'identity' } } }, /begins with a slash/],
    [{ namespace: '.*', backend: { shadow: { active_backend: testfs('a:1') } } }, /exactly one backend/],
    [{ namespace: '.*', backend: testfs('a:1'), bandwidth: { enable: true } }, /are required for testfs/],
    [{ namespace: '.*', backend: { registry_blob: { address: 'http://host' } } }, /expected a host/]
  ] as const) t.throws(() => backendsConfig([item]), { message }, String(message))
  const s3 = { username: 'kraken', region: 'r', bucket: 'b', root_directory: '/', name_path: 'identity' }
  t.throws(() => new BackendManager(backendsConfig([{ namespace: '.*', backend: { s3 } }])), { code: 'CONFIG_INVALID', message: /auth\.s3\.kraken\.s3 is missing/ })
  const keys = { s3: { kraken: { s3: { aws_access_key_id: 'id', aws_secret_access_key: 'key' } } } }
  await new BackendManager(backendsConfig([{ namespace: '.*', backend: { s3 }, bandwidth: { enable: true } }], keys)).close()
})

t.test('readiness asks those that must be ready', async t => {
  const items = (mustReady: boolean): object[] => [{ namespace: '.*', backend: { fs: { root_directory: '/no/such/folder', name_path: 'identity' } }, must_ready: mustReady }]
  await t.rejects(new BackendManager(backendsConfig(items(true))).checkReadiness(), { code: 'UNAVAILABLE', message: /fs backend.*\/no\/such\/folder/ })
  await new BackendManager(backendsConfig(items(false))).checkReadiness()
})

t.test('traffic keeps its rate, whatever the size of its chunks', async t => {
  const time = new ManualTime()
  const throttle = new Throttle(1_000_000, time.clock, time.sleep)
  let passed = 0
  const { signal } = new AbortController()
  const work = (async () => { for (let i = 0; i < 40; i++) await throttle.take(100_000, signal).then(() => { passed++ }) })()
  await time.advance(2_000)
  await settle()
  t.ok(passed >= 20 && passed <= 22, `${passed} of 100 kB in two seconds at 1 MB/s`)
  throttle.bytesPerSecond = 2_000_000
  await time.advance(1_200)
  await work
  t.equal(passed, 40)
  const gone = new AbortController()
  const waiting = throttle.take(10_000_000, gone.signal)
  gone.abort()
  await t.rejects(waiting, { code: 'CANCELLED' })
})

/** A backend with one object that is answered as a test wants. */
function only (download: (offset: number) => ObjectStream | undefined, canResume = true): GuardedClient {
  const inner: BackendClient = { ...noopClient, canResume, download: async (_, __, { offset = 0 } = {}) => download(offset) }
  return new GuardedClient(inner, { bandwidth: undefined, clock: new ManualTime().clock, sleep: async () => {}, log: noLog })
}

async function * chunks (...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) {
    if (text === 'BREAK') throw new AppError('NETWORK', 'cut')
    yield Buffer.from(text)
  }
}

t.test('a download is as long as it was said to be, or fails', async t => {
  const read = async (client: GuardedClient): Promise<string> => (await readObject(must(await client.download('', 'x')), 100)).toString()
  t.equal(await read(only(() => ({ sizeBytes: 6, chunks: () => chunks('abc', 'def') }))), 'abcdef')
  t.equal(await read(only(() => ({ sizeBytes: undefined, chunks: () => chunks('abc') }))), 'abc')
  t.equal(await read(only(offset => ({ sizeBytes: 6 - offset, chunks: () => chunks(...[...'abcdef'].slice(offset, offset + 2), 'BREAK') }))), 'abcdef')
  await t.rejects(read(only(() => ({ sizeBytes: 6, chunks: () => chunks('abc') }), false)), { code: 'UNAVAILABLE', message: /ends after 3 of 6 bytes/ })
  await t.rejects(read(only(() => ({ sizeBytes: 2, chunks: () => chunks('abc') }))), { code: 'CORRUPT' })
  await t.rejects(read(only(offset => ({ sizeBytes: offset === 0 ? 6 : 9, chunks: () => chunks('a', 'BREAK') }))), { code: 'CORRUPT', message: /has changed/ })
  await t.rejects(read(only(offset => offset === 0 ? { sizeBytes: 6, chunks: () => chunks('a', 'BREAK') } : undefined)), { code: 'CORRUPT' })
  await t.rejects(read(only(() => ({ sizeBytes: undefined, chunks: () => chunks('a', 'BREAK') }))), { code: 'UNAVAILABLE' })
})

t.test('two backends, both written to', async t => {
  const had = [new Map<string, string>(), new Map<string, string>()] as const
  const memory = (held: Map<string, string>): BackendClient => ({
    ...noopClient,
    stat: async (_, name) => held.has(name) ? { sizeBytes: 1 } : undefined,
    upload: async (_, name, { sizeBytes, read }) => {
      held.set(name, String(await readObject({ sizeBytes, chunks: () => read(0, sizeBytes) }, 100)))
    }
  })
  const both = new ShadowClient(memory(had[0]), memory(had[1]))
  await both.upload('', 'x', contentOf(Buffer.from('1')))
  t.same(had.map(held => held.get('x')), ['1', '1'])
  t.ok(await both.stat('', 'x'))
  had[1].delete('x')
  t.equal(await both.stat('', 'x'), undefined, 'it is there when both have it')
  const failing: BackendClient = { ...noopClient, upload: async () => { throw new AppError('NETWORK', 'gone') } }
  await t.rejects(new ShadowClient(memory(had[0]), failing).upload('', 'y', contentOf(Buffer.from('1'))), { code: 'NETWORK' })
})
