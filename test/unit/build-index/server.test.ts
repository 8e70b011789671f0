import t from 'tap'
import { type HttpRequest } from '../../../net/http/engine.js'
import { createBuildIndexHandler, type BuildIndexService } from '../../../runtime/build-index/server.js'
import { TagIndex } from '../../../runtime/build-index/tag-index.js'
import { type Digest, digestOf } from '../../../runtime/core/digest.js'
import { AppError } from '../../../runtime/core/errors.js'
import { noLog } from '../../../runtime/observe/log.js'
import { bytesOf, fakeRequest } from '../../support/registry/fake-request.js'

const DIGEST = digestOf('manifest')
const PLAIN = 'text/plain; charset=utf-8'
const EMPTY = { status: 200, type: undefined, body: '' }

interface Answer { readonly status: number, readonly type: string | undefined, readonly body: string }

/** The handler over a service in memory, parts of which a test may replace. */
function buildIndex (names: string[] = [], replaced: Partial<BuildIndexService> = {}): {
  ask: (request: HttpRequest) => Promise<Answer>
  get: (target: string) => Promise<Answer>
  puts: string[]
} {
  const puts: string[] = []
  const index = new TagIndex(names)
  const handle = createBuildIndexHandler({
    put: async (tag, digest) => { puts.push(`put ${tag} ${digest}`) },
    putDuplicate: async (tag, digest) => { puts.push(`duplicate ${tag} ${digest}`) },
    replicate: async tag => names.includes(tag),
    replicateDuplicate: async (tag, delayMs) => { puts.push(`replicate ${tag} ${delayMs}`) },
    get: async tag => names.includes(tag) ? digestOf(tag) : undefined,
    delete: async (tag, digest) => names.includes(tag) && (digest === undefined || digest === digestOf(tag)),
    page: (prefix, query) => index.page(prefix, query),
    originAddress: '127.0.0.1:15100',
    version: async () => undefined,
    checkReadiness: async () => {},
    ...replaced
  }, noLog)
  const ask = async (request: HttpRequest): Promise<Answer> => {
    const reply = await handle(request)
    return { status: reply.status, type: reply.headers?.['Content-Type'], body: (await bytesOf(reply)).toString() }
  }
  return { ask, puts, get: async target => ask(fakeRequest('GET', target)) }
}

t.test('health, readiness and the origins', async t => {
  const { get } = buildIndex()
  t.same(await get('/health'), { status: 200, type: PLAIN, body: 'OK\n' })
  t.same(await get('/readiness'), { status: 200, type: PLAIN, body: 'OK\n' })
  t.same(await get('/origin'), { status: 200, type: PLAIN, body: '127.0.0.1:15100' })
  const unready = buildIndex([], { checkReadiness: async () => { throw new Error('no origin answers') } })
  t.same(await unready.get('/readiness'), { status: 503, type: PLAIN, body: 'not ready to serve traffic: no origin answers' })
})

t.test('puts', async t => {
  const { ask, puts } = buildIndex()
  t.same(await ask(fakeRequest('PUT', `/tags/team%2Fapp:v1/digest/${DIGEST}`)), EMPTY)
  t.same(await ask(fakeRequest('PUT', `/tags/team%2Fapp:v1/digest/${DIGEST}?replicate=true`)), EMPTY)
  t.same(await ask(fakeRequest('PUT', `/internal/duplicate/tags/team%2Fapp:v1/digest/${DIGEST}`, { body: '{"Delay":0}' })), EMPTY)
  t.same(puts, [`put team/app:v1 ${DIGEST}`, `put team/app:v1 ${DIGEST}`, `duplicate team/app:v1 ${DIGEST}`])
})

t.test('puts that are refused', async t => {
  const { ask, puts } = buildIndex()
  const duplicate = `/internal/duplicate/tags/team%2Fapp:v1/digest/${DIGEST}`
  for (const [target, status, message, body] of [
    ['/tags/team%2Fapp:v1/digest/nope', 400, "parse digest: invalid digest: expected '<algo>:<hex>'"],
    [`/tags/..%2F..%2Fetc/digest/${DIGEST}`, 400, /^invalid tag/],
    [`/tags/a%00b/digest/${DIGEST}`, 400, /^invalid tag/],
    [`/tags//digest/${DIGEST}`, 400, 'param tag is required'],
    [`/tags/team%2Fapp:v1/digest/${DIGEST}?replicate=maybe`, 500, /^parse query arg `replicate`: .*"maybe"/],
    [duplicate, 500, 'decode body: EOF', ''],
    [duplicate, 500, 'decode body: unexpected EOF', '{'],
    [duplicate, 500, /^decode body: /, '[]'],
    [duplicate.replace('team', '..'), 400, /^invalid tag/, '{}'],
    [duplicate.replace('sha256', 'sha1'), 400, 'parse digest: invalid digest algo: expected sha256', '{}']
  ] as const) t.match(await ask(fakeRequest('PUT', target, { body: body ?? '' })), { status, type: PLAIN, body: message }, target)
  t.same(puts, [])
})

t.test('a put that fails is a 500 with its text, whatever its code', async t => {
  const { ask } = buildIndex([], { put: async () => { throw new AppError('MANIFEST_BLOB_UNKNOWN', 'cannot upload tag, missing dependency x') } })
  t.same(await ask(fakeRequest('PUT', `/tags/a:1/digest/${DIGEST}`)), { status: 500, type: PLAIN, body: 'cannot upload tag, missing dependency x' })
})

t.test('reads', async t => {
  const { ask, get } = buildIndex(['team/app:v1'])
  const found = await get('/tags/team%2Fapp:v1')
  t.same(found, { status: 200, type: PLAIN, body: digestOf('team/app:v1') })
  t.equal(found.body.length, 71)
  t.equal((await ask(fakeRequest('HEAD', '/tags/team%2Fapp:v1'))).body, found.body, 'the engine leaves the body out')
  t.same(await get('/tags/team%2Fapp:none'), { status: 404, type: undefined, body: '' })
  t.same(await get('/tags/team%2Fapp'), { status: 404, type: undefined, body: '' })
  t.equal((await get('/tags/..%2Fx')).status, 400)
  const broken = buildIndex([], { get: async () => { throw new AppError('CORRUPT', 'no digest in it') } })
  t.same(await broken.get('/tags/a:1'), { status: 500, type: PLAIN, body: 'storage: no digest in it' })
})

t.test('tags in paths are decoded in two stages', async t => {
  const { get } = buildIndex(['library/foo:1', 'debian:latest'])
  for (const [path, status] of [
    ['/tags/library%2Ffoo:1', 200], ['/tags/library%252Ffoo%253A1', 200], ['/tags/debian:latest', 200],
    ['/tags/library/foo:1', 404], ['/tags/a%25b', 400], ['/tags/', 404]
  ] as const) t.equal((await get(path)).status, status, path)
  for (const path of ['/repositories/library%2Ffoo/tags', '/repositories/library%252Ffoo/tags']) t.match((await get(path)).body, '"result":["1"]', path)
})

t.test('replication', async t => {
  const { ask } = buildIndex(['team/app:v1'])
  const post = async (target: string, body = ''): Promise<Answer> => await ask(fakeRequest('POST', target, { body }))
  t.same(await post('/remotes/tags/team%2Fapp:v1'), EMPTY)
  t.same(await post('/remotes/tags/team%2Fapp:none'), { ...EMPTY, status: 404 })
  const failing = buildIndex([], { replicate: async () => { throw new AppError('BLOB_UNKNOWN', 'no manifest') } })
  t.same(await failing.ask(fakeRequest('POST', '/remotes/tags/a:1')), { status: 500, type: PLAIN, body: 'no manifest' })

  const duplicate = `/internal/duplicate/remotes/tags/team%2Fapp:v1/digest/${DIGEST}`
  for (const body of [`{"dependencies":["${DIGEST}"],"delay":5}`, `{"Dependencies":["${DIGEST}"],"Delay":0}`, '{"dependencies":null}', '{}']) {
    t.same(await post(duplicate, body), EMPTY, body)
  }
  t.same(await post(duplicate), { status: 500, type: PLAIN, body: 'decode body: EOF' })
  for (const body of ['[]', '{"dependencies":{}}', '{"dependencies":["x"]}', '{"dependencies":[null]}']) t.equal((await post(duplicate, body)).status, 500, body)
  t.match(await post(duplicate.replace(DIGEST, 'nope'), '{}'), { status: 500, body: /^parse digest: / })
  t.equal((await post(duplicate.replace('team%2Fapp:v1', '..%2Fa'), '{}')).status, 400)
})

t.test('lists, to the byte', async t => {
  const { get } = buildIndex(['team/app:v3', 'team/app:v1', 'team/app:v2', 'other:1', 'team/app:bad:tag'])
  for (const [path, body] of [
    ['/repositories/team%2Fapp/tags', '{"Links":{"next":"","self":"/repositories/team%2Fapp/tags"},"size":3,"result":["v1","v2","v3"]}\n'],
    ['/repositories/no%2Fsuch/tags', '{"Links":{"next":"","self":"/repositories/no%2Fsuch/tags"},"size":0,"result":null}\n'],
    ['/list/other/_manifests/tags', '{"Links":{"next":"","self":"/list/other/_manifests/tags"},"size":1,"result":["other:1"]}\n'],
    ['/list//other/_manifests/tags', '{"Links":{"next":"","self":"/list//other/_manifests/tags"},"size":1,"result":["other:1"]}\n'],
    ['/list/none', '{"Links":{"next":"","self":"/list/none"},"size":0,"result":null}\n'],
    ['/list/?limit=-1', '{"Links":{"next":"","self":"/list/?limit=-1"},"size":5,"result":["other:1","team/app:bad:tag","team/app:v1","team/app:v2","team/app:v3"]}\n']
  ] as const) t.same(await get(path), { status: 200, type: PLAIN, body }, path)
  t.equal((await buildIndex().get('/list/')).body, '{"Links":{"next":"","self":"/list/"},"size":0,"result":null}\n')
  t.equal((await get('/list')).status, 404)
})

t.test('queries that are refused', async t => {
  const { get } = buildIndex()
  for (const [query, body] of [['limit=0', 'invalid limit 0'], ['foo=1', 'invalid query foo'], ['limit=1&limit=2', 'invalid query limit']] as const) {
    for (const path of ['/list/', '/repositories/a/tags']) t.same(await get(`${path}?${query}`), { status: 400, type: PLAIN, body })
  }
  t.equal((await get('/list/?limit=x')).status, 400)
})

t.test('following the links sees every tag once', async t => {
  const names = Array.from({ length: 23 }, (_, i) => `team/app:v${String(i).padStart(2, '0')}`)
  const { get } = buildIndex([...names, 'team/b:1', 'other:1'])
  for (const start of ['/repositories/team%2Fapp/tags?limit=5', '/repositories/team%2Fapp/tags?limit=23', '/list/team/app/_manifests/tags?limit=4']) {
    const seen: string[] = []
    for (let target = start; target !== '';) {
      const page = JSON.parse((await get(target)).body) as { Links: { next: string, self: string }, size: number, result: string[] }
      t.equal(page.Links.self, target)
      t.equal(page.size, page.result.length)
      seen.push(...page.result)
      target = page.Links.next
    }
    t.same(seen.map(name => name.replace('team/app:', '')), names.map(name => name.replace('team/app:', '')), start)
  }
})

t.test('misses', async t => {
  const { ask, get } = buildIndex()
  t.same(await get('/nope'), { status: 404, type: PLAIN, body: '404 page not found\n' })
  t.equal((await ask(fakeRequest('POST', '/tags/a:1'))).status, 405)
  t.equal((await ask(fakeRequest('PUT', '/tags/a/b/digest/x'))).status, 404)
})

t.test('the digest that was put is handed on as it was given', async t => {
  const seen: Digest[] = []
  const upper = `sha256:${'AB'.repeat(32)}`
  const { ask } = buildIndex([], { put: async (_, digest) => { seen.push(digest) } })
  await ask(fakeRequest('PUT', `/tags/a:1/digest/${upper}`))
  t.same(seen, [upper])
})

t.test('a tag is deleted, if it points where the caller believes', async t => {
  const { ask } = buildIndex(['team/app:v1'])
  const statusOf = async (target: string): Promise<number> => (await ask(fakeRequest('DELETE', target))).status
  t.equal(await statusOf('/tags/team%2Fapp:v1'), 202)
  t.equal(await statusOf(`/tags/team%2Fapp:v1?digest=${digestOf('team/app:v1')}`), 202)
  t.equal(await statusOf(`/tags/team%2Fapp:v1?digest=${digestOf('other')}`), 404)
  t.equal(await statusOf('/tags/team%2Fapp:none'), 404)
  t.equal(await statusOf('/tags/team%2Fapp:v1?digest=x'), 400)
  t.equal(await statusOf('/tags/..%2Fapp:v1'), 400)
})
