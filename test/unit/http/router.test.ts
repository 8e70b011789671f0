import fc from '../../support/fc.js'
import t, { type Test } from 'tap'
import { agentApi } from '../../../net/api/agent.js'
import { buildIndexApi } from '../../../net/api/build-index.js'
import { originApi } from '../../../net/api/origin.js'
import { route } from '../../../net/api/route.js'
import { trackerApi } from '../../../net/api/tracker.js'
import { type Handler, type HttpServer } from '../../../net/http/engine.js'
import { text } from '../../../net/http/reply.js'
import { type Answered, createRouter, decodePath, type Router } from '../../../net/http/router.js'
import { listen } from '../../../net/http/uws.js'
import { AppError } from '../../../runtime/core/errors.js'
import { type Logger, noLog } from '../../../runtime/observe/log.js'
import { bytesOf, fakeRequest } from '../../support/registry/fake-request.js'
import { must } from '../../support/must.js'
import { exchange } from '../../support/byte-client.js'

async function serve (t: Test, handler: Handler): Promise<HttpServer> {
  const server = await listen(handler, { port: 0, host: '127.0.0.1', bodyBytesMax: 1024 })
  t.teardown(() => server.close(0))
  return server
}

function everyRoute (): Router {
  const router = createRouter({ component: 'test', misses: 'not-found', log: noLog })
  const show = (params: object): string => JSON.stringify(params)
  return router
    .on(agentApi.getTag, (_, params) => text(show(params)))
    .on(buildIndexApi.putTag, (_, params) => text(show(params)))
    .on(buildIndexApi.repositoryTags, (_, params) => text(show(params)))
    .on(buildIndexApi.list, (_, params) => text(show(params)))
    .on(originApi.download, (_, params) => text(show(params)))
    .on(originApi.startUpload, (_, params) => text(show(params)))
    .on(originApi.patchUpload, (_, params) => text(show(params)))
    .on(originApi.stat, () => text('size'))
    .on(trackerApi.metaInfo, (_, params) => text(show(params)))
}

t.test('paths are decoded in two stages', async t => {
  const server = await serve(t, everyRoute().handle)
  const digest = `sha256:${'a'.repeat(64)}`
  for (const [method, path, status, body] of [
    ['GET', '/tags/library%2Ffoo:1', 200, { tag: 'library/foo:1' }],
    ['GET', '/tags/library%252Ffoo%253A1', 200, { tag: 'library/foo:1' }],
    ['GET', '/repositories/library%2Ffoo/tags', 200, { repo: 'library/foo' }],
    ['GET', '/repositories/library%252Ffoo/tags', 200, { repo: 'library/foo' }],
    ['GET', '/tags/debian:latest', 200, { tag: 'debian:latest' }],
    ['GET', `/namespace/.*/blobs/${digest}`, 200, { namespace: '.*', digest }],
    ['GET', `/namespace/library%2Ffoo/blobs/${digest}`, 200, { namespace: 'library/foo', digest }],
    ['GET', `/namespace/library%2Ffoo/blobs/${digest}/metainfo`, 200, { namespace: 'library/foo', digest }],
    ['GET', '/tags/library/foo:1', 404, '404 page not found\n'],
    ['PUT', `/tags//digest/${digest}`, 400, 'param tag is required'],
    ['GET', '/tags/a%25b', 400, 'path unescape tag: invalid URL escape "%b"'],
    ['GET', '/tags/%2525', 200, { tag: '%' }],
    ['GET', '/tags/%25', 400, 'path unescape tag: invalid URL escape "%"'],
    ['GET', '/tags/%25ff', 400, 'path unescape tag: invalid UTF-8'],
    ['GET', '/tags/%C3%A9', 200, { tag: '\u00e9' }],
    ['PATCH', `/namespace/n/blobs/${digest}/uploads/`, 404, '404 page not found\n'],
    ['GET', '/tags/', 404, '404 page not found\n'],
    ['GET', '/tags/%zz', 400, '400 Bad Request'],
    ['GET', '/tags/%', 400, '400 Bad Request'],
    ['GET', '/t%61gs/x', 404, '404 page not found\n'],
    ['GET', '/list//library/foo/_manifests/tags', 200, { '*': '/library/foo/_manifests/tags' }],
    ['GET', '/list/library%2Ffoo', 200, { '*': 'library/foo' }],
    ['GET', '/list/a%252Fb', 200, { '*': 'a%2Fb' }],
    ['GET', '/list/', 200, { '*': '' }],
    ['GET', '/list', 404, '404 page not found\n'],
    ['GET', '//tags/x', 404, '404 page not found\n'],
    ['GET', '/tags/a/../x', 404, '404 page not found\n']
  ] as const) {
    const reply = await exchange(server.port, method, path)
    t.equal(reply.status, status, `${method} ${path}`)
    t.equal(reply.body, typeof body === 'string' ? body : Buffer.from(JSON.stringify(body)).toString('latin1'), `${method} ${path}`)
  }
})

t.test('what is routed is the decoded path only if it escapes back to the raw one', async t => {
  for (const [raw, routed] of [
    ['/a%2Fb', '/a%2Fb'], ['/a%252Fb', '/a%2Fb'], ['/a:b', '/a:b'], ['/a%3Ab', '/a%3Ab'], ['/a%20b', '/a b'], ['/a%7eb', '/a%7eb'],
    ['/a%C3%A9', '/a\u00c3\u00a9'], ['/a%c3%a9', '/a%c3%a9']
  ] as const) t.equal(decodePath(raw)?.routed, routed, raw)
  t.equal(decodePath('/a%2'), undefined)
  t.equal(decodePath('/a\u0001'), undefined)
})

t.test('misses', async t => {
  const wrongMethod = async (misses: 'not-found' | 'method-not-allowed'): Promise<unknown> => {
    const router = createRouter({ component: 'test', misses, log: noLog }).on(trackerApi.health, () => text('OK\n'))
    return await router.handle(fakeRequest('POST', '/health'))
  }
  t.match(await wrongMethod('not-found'), {
    status: 404,
    headers: { 'Content-Type': 'text/plain; charset=utf-8', 'X-Content-Type-Options': 'nosniff' },
    body: '404 page not found\n'
  })
  t.same(await wrongMethod('method-not-allowed'), { status: 405 })
  const router = createRouter({ component: 'test', misses: 'method-not-allowed', log: noLog }).on(trackerApi.health, () => text('OK\n'))
  t.match(await router.handle(fakeRequest('GET', '/health/')), { status: 404 })
  t.match(await router.handle(fakeRequest('HEAD', '/health')), { status: 405 }, 'HEAD is served only where it is listed')
})

t.test('a fallback takes what no route matches, and its failures are replies too', async t => {
  const router = createRouter({
    component: 'test',
    misses: 'not-found',
    log: noLog,
    fallback: async request => {
      if (request.rawPath === '/fail') throw new AppError('UNAVAILABLE', 'nobody home')
      return text('fallback')
    }
  }).on(trackerApi.health, () => text('OK\n'))
  t.match(await router.handle(fakeRequest('GET', '/v2/')), { body: 'fallback' })
  t.match(await router.handle(fakeRequest('POST', '/health')), { body: 'fallback' })
  t.match(await router.handle(fakeRequest('GET', '/health')), { body: 'OK\n' })
  t.match(await router.handle(fakeRequest('GET', '/fail')), { status: 503, body: 'nobody home' })
})

t.test('what handlers throw becomes a reply, and a crash a log line', async t => {
  const lines: string[] = []
  const log: Logger = { ...noLog, error: (fields, event) => { lines.push(`${event} ${JSON.stringify(fields)}`) } }
  const router = createRouter({ component: 'test', misses: 'not-found', log })
    .on(route('GET', '/known'), () => { throw new AppError('BLOB_UNKNOWN', 'no such blob') })
    .on(route('GET', '/empty'), async () => { throw new AppError('TAG_UNKNOWN', '') })
    .on(route('GET', '/crash'), async () => { throw new TypeError('x is not a function') })
  t.match(await router.handle(fakeRequest('GET', '/known')), { status: 404, body: 'no such blob', headers: { 'Content-Type': 'text/plain; charset=utf-8' } })
  t.same(await router.handle(fakeRequest('GET', '/empty')), { status: 404 })
  t.equal(lines.length, 0)
  const crash = await router.handle(fakeRequest('GET', '/crash'))
  t.equal(crash.status, 500)
  t.equal((await bytesOf(crash)).toString(), 'x is not a function')
  t.equal(lines.length, 1)
  t.match(must(lines[0]), /^request crashed .*"component":"test".*"path":"\/crash"/)
})

t.test('static segments win over parameters whatever the order of registration', async t => {
  const router = createRouter({ component: 'test', misses: 'not-found', log: noLog })
    .on(route('GET', '/*'), (_, params) => text(`rest ${params['*']}`))
    .on(route('GET', '/x/{name}'), (_, { name }) => text(`param ${name}`))
    .on(route('GET', '/x/fixed'), () => text('fixed'))
  for (const [path, body] of [['/x/fixed', 'fixed'], ['/x/other', 'param other'], ['/y', 'rest y']] as const) {
    t.match(await router.handle(fakeRequest('GET', path)), { body }, path)
  }
  t.throws(() => router.on(route('GET', '/{a}/*'), () => text('')), /parameters before/)
})

t.test('the query is decoded, and each answer is observed', async t => {
  const seen: Answered[] = []
  const router = createRouter({ component: 'test', misses: 'not-found', log: noLog, observe: answered => { seen.push(answered) } })
    .on(originApi.startUpload, (_request, _params, query) => text(`${query.get('size')} ${query.get('q')}`))
  const target = `/namespace/n/blobs/sha256:${'a'.repeat(64)}/uploads?size=10&q=a%2Fb+c`
  t.match(await router.handle(fakeRequest('POST', target)), { body: '10 a/b c' })
  await router.handle(fakeRequest('GET', '/nowhere'))
  t.match(seen, [{ endpoint: 'namespace.blobs.uploads', method: 'POST', status: 200 }, { endpoint: '', method: 'GET', status: 404 }])
})

t.test('no path makes the router throw or answer 5xx', async t => {
  const router = everyRoute()
  const piece = fc.oneof(
    fc.constantFrom('/', '%', '%2F', '%25', '%252F', '%zz', '%C3', '..', '//', '/tags/', '/list/', '/namespace/', '/blobs/', '/digest/', '/uploads/', 'a'),
    fc.string({ unit: 'binary', maxLength: 8 })
  )
  await fc.assert(fc.asyncProperty(fc.constantFrom('GET', 'HEAD', 'PUT', 'PATCH', 'get', 'BREW'), fc.array(piece, { maxLength: 12 }),
    async (method, pieces) => {
      const reply = await router.handle({ ...fakeRequest(method, '/'), rawPath: `/${pieces.join('')}` })
      return reply.status < 500
    }), { numRuns: 500 })
  t.pass()
})
