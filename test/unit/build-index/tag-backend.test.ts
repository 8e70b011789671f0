import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startTestfs } from '../../../runtime/backend/testfs/server.js'
import { startBuildIndex } from '../../../runtime/build-index/component.js'
import { type BuildIndexConfig } from '../../../runtime/config/types.js'
import { type Digest } from '../../../runtime/core/digest.js'
import { noLog } from '../../../runtime/observe/log.js'
import { backendsConfig } from '../../support/backend-items.js'
import { type Answer, call } from '../../support/http-call.js'
import { until } from '../../support/manual-time.js'
import { must } from '../../support/must.js'
import { SmallOrigin } from '../../support/small-origin.js'
import { temporaryFolder } from '../../support/system.js'
import { loneIndexConfig } from '../../support/task-config.js'

interface Site {
  readonly digests: readonly Digest[]
  readonly files: string
  ask (method: string, target: string): Promise<Answer>
  /** What the backend has for a tag of `library/app`. */
  stored (tag: string): Promise<string | undefined>
  stopBackend (): Promise<void>
}

async function start (t: Test, overrides: Partial<BuildIndexConfig> = {}): Promise<Site> {
  const root = temporaryFolder(t)
  const files = join(root, 'files')
  const origin = await SmallOrigin.start()
  const backend = await startTestfs({ port: 0, root: files, host: '127.0.0.1' })
  const running = await startBuildIndex({
    port: 0,
    store: { uploadDir: join(root, 'upload'), cacheDir: join(root, 'cache') },
    tagTypes: [{ pattern: /.*/, type: 'default' }],
    origin: origin.upstream,
    ...loneIndexConfig(join(root, 'cache')),
    backends: backendsConfig([{ namespace: '^(library|$)', backend: { testfs: { addr: `127.0.0.1:${backend.port}`, root: 'tags', name_path: 'docker_tag' } } }]),
    ...overrides
  }, noLog, { sleep: async () => {} })
  t.teardown(async () => {
    await running.stop()
    await origin.stop()
    await backend.close()
  })
  return {
    digests: [origin.put('first'), origin.put('second')],
    files,
    ask: async (method, target) => await call(must(running.ports.port), method, target),
    stored: async tag => await readFile(join(files, `tags/docker/registry/v2/repositories/library/app/_manifests/tags/${tag}/current/link`), 'utf8')
      .catch(() => undefined),
    stopBackend: async () => { await backend.close(0) }
  }
}

async function names (site: Site, target: string): Promise<string[]> { return JSON.parse((await site.ask('GET', target)).body.toString()).result }

t.test('tags get to the backend, move there, and come from there', async t => {
  const site = await start(t)
  const [first, second] = site.digests
  t.equal((await site.ask('PUT', `/tags/library%2Fapp:1/digest/${first}`)).status, 200)
  await until(async () => await site.stored('1') === first)
  t.equal((await site.ask('PUT', `/tags/library%2Fapp:1/digest/${second}`)).status, 200)
  await until(async () => await site.stored('1') === second)
})

t.test('a tag that only the backend has is found and listed; so is one that only we have', async t => {
  const site = await start(t)
  const [first, second] = site.digests
  await site.ask('PUT', `/tags/library%2Fapp:ours/digest/${first}`)
  await until(async () => await site.stored('ours') === first)
  const other = await start(t, {
    backends: backendsConfig([{ namespace: '.*', backend: { fs: { root_directory: join(site.files, 'tags'), name_path: 'docker_tag' } } }]),
    writeBack: { ...loneIndexConfig('').writeBack, workers: 1, spacingMs: 3_600_000 }
  })
  t.equal((await other.ask('GET', '/tags/library%2Fapp:ours')).body.toString(), first)
  t.equal((await other.ask('HEAD', '/tags/library%2Fapp:ours')).status, 200)
  t.equal((await other.ask('GET', '/tags/library%2Fapp:none')).status, 404)
  t.equal((await other.ask('PUT', `/tags/library%2Fapp:theirs/digest/${second}`)).status, 200)
  t.same(await names(other, '/repositories/library%2Fapp/tags'), ['ours', 'theirs'])
  t.same(await names(other, '/list/'), ['library/app:ours', 'library/app:theirs'])
  const page = JSON.parse((await other.ask('GET', '/list/?limit=1')).body.toString())
  t.same(page.result, ['library/app:ours'])
  t.same(await names(other, page.Links.next), ['library/app:theirs'])
})

t.test('a backend that is down stops neither reads nor puts, unless puts have to be written through', async t => {
  const site = await start(t)
  const [first] = site.digests
  await site.stopBackend()
  t.equal((await site.ask('GET', '/tags/library%2Fapp:1')).status, 404)
  t.equal((await site.ask('PUT', `/tags/library%2Fapp:1/digest/${first}`)).status, 200)
  t.equal((await site.ask('GET', '/tags/library%2Fapp:1')).body.toString(), first)
  const list = await site.ask('GET', '/list/')
  t.equal(list.status, 500, 'a list without the tags of the backend would be wrong')
  t.match(list.body.toString(), /error listing from backend/)

  const through = await start(t, { isWriteThrough: true })
  t.equal((await through.ask('PUT', `/tags/library%2Fapp:1/digest/${through.digests[0]}`)).status, 200)
  t.equal(await through.stored('1'), through.digests[0], 'at once')
  await through.stopBackend()
  t.equal((await through.ask('PUT', `/tags/library%2Fapp:1/digest/${through.digests[1]}`)).status, 500)
})

t.test('a tag that could not be kept is refused', async t => {
  const site = await start(t)
  const answer = await site.ask('PUT', `/tags/nobody%2Fapp:1/digest/${site.digests[0]}`)
  t.equal(answer.status, 500)
  t.match(answer.body.toString(), /no backend that stores/)
  t.equal((await site.ask('GET', '/tags/nobody%2Fapp:1')).status, 500, 'no matches for namespace')
})

t.test('a deleted tag does not come back from the backend', async t => {
  for (const isWriteThrough of [true, false]) {
    const site = await start(t, { isWriteThrough })
    const [first, second] = site.digests
    const gone = `sha256:${'0'.repeat(64)}`
    t.equal((await site.ask('PUT', `/tags/library%2Fapp:1/digest/${first}`)).status, 200)
    t.equal((await site.ask('PUT', `/tags/library%2Fapp:2/digest/${second}`)).status, 200)
    await until(async () => await site.stored('1') === first && await site.stored('2') === second)
    t.equal((await site.ask('DELETE', `/tags/library%2Fapp:1?digest=${second}`)).status, 404, 'it points elsewhere')
    t.equal((await site.ask('DELETE', `/tags/library%2Fapp:1?digest=${first}`)).status, 202)
    t.equal((await site.ask('GET', '/tags/library%2Fapp:1')).status, 404)
    t.same(await names(site, '/list/'), ['library/app:2'])
    await until(async () => await site.stored('1') === gone)

    // Without any memory of it, only with the backend's objects.
    const other = await start(t, {
      isWriteThrough,
      backends: backendsConfig([{ namespace: '.*', backend: { fs: { root_directory: join(site.files, 'tags'), name_path: 'docker_tag' } } }])
    })
    t.equal((await other.ask('GET', '/tags/library%2Fapp:1')).status, 404)
    t.equal((await other.ask('DELETE', '/tags/library%2Fapp:1')).status, 404)
    t.equal((await other.ask('DELETE', `/tags/library%2Fapp:2?digest=${first}`)).status, 404)
    t.equal((await other.ask('DELETE', `/tags/library%2Fapp:2?digest=${second}`)).status, 202, 'a tag that only the backend has')
    t.equal((await other.ask('GET', '/tags/library%2Fapp:2')).status, 404)
    await until(async () => await site.stored('2') === gone)
    t.equal((await other.ask('PUT', `/tags/library%2Fapp:1/digest/${other.digests[0]}`)).status, 200, 'and can be put again')
    await until(async () => await site.stored('1') === other.digests[0])
    t.same(await names(other, '/list/'), ['library/app:1'])
  }
})
