import t, { type Test } from 'tap'
import { type TagClient } from '../../../net/client/clients.js'
import { createHttp } from '../../../net/client/http.js'
import { createTagClient } from '../../../net/client/tag-client.js'
import { type Reply } from '../../../net/http/engine.js'
import { json, text } from '../../../net/http/reply.js'
import { digestOf } from '../../../runtime/core/digest.js'
import { isAppError } from '../../../runtime/core/errors.js'
import { seededPrng } from '../../../runtime/core/prng.js'
import { noLog } from '../../../runtime/observe/log.js'
import { neverSleep } from '../../support/manual-time.js'
import { type Asked, deadAddress, smallServer, type SmallServer } from '../../support/small-server.js'

const DIGEST = digestOf('manifest')

function clientOf (t: Test, addresses: string[], seed = 1): TagClient {
  const http = createHttp()
  const client = createTagClient({
    hosts: {
      hosts: { static: addresses, dns: undefined, ttlMs: 5000 },
      health: { failsMax: 3, passesMin: 1, timeoutMs: 300_000, intervalMs: 300_000 }
    },
    http,
    log: noLog,
    health: 'passive',
    prng: seededPrng(seed),
    patience: neverSleep
  })
  t.teardown(async () => {
    await client.close()
    await http.close()
  })
  return client
}

async function index (t: Test, answer: (asked: Asked) => Reply): Promise<{ client: TagClient, server: SmallServer }> {
  const server = await smallServer(t, answer)
  return { server, client: clientOf(t, [server.address]) }
}

async function failureOf (promise: Promise<unknown>): Promise<unknown> { return await promise.then(() => undefined, (error: unknown) => error) }

t.test('tags are escaped as one segment', async t => {
  const { client, server } = await index(t, asked => asked.method === 'GET' ? text(DIGEST) : { status: 200 })
  await client.put('library/foo:1.0', DIGEST)
  await client.put('library/foo:1.0', DIGEST, { replicate: true })
  t.equal(await client.get('library/foo:1.0'), DIGEST)
  t.equal(await client.has('library/foo:1.0'), true)
  t.same(server.journal, [
    `PUT /tags/library%2Ffoo:1.0/digest/${DIGEST}`,
    `PUT /tags/library%2Ffoo:1.0/digest/${DIGEST}?replicate=true`,
    'GET /tags/library%2Ffoo:1.0',
    'HEAD /tags/library%2Ffoo:1.0'
  ])
})

t.test('absent is not an error, and everything else is', async t => {
  let reply: Reply = { status: 404 }
  const { client } = await index(t, () => reply)
  t.equal(await client.get('a:1'), undefined)
  t.equal(await client.has('a:1'), false)
  t.ok(isAppError(await failureOf(client.put('a:1', DIGEST)), 'BLOB_UNKNOWN'))
  reply = text('storage: down', 500)
  t.ok(isAppError(await failureOf(client.get('a:1')), 'UNAVAILABLE'))
  t.ok(isAppError(await failureOf(client.has('a:1')), 'UNAVAILABLE'))
  reply = text(DIGEST + '\n')
  t.ok(isAppError(await failureOf(client.get('a:1')), 'DIGEST_INVALID'))
})

t.test('lists follow the continuation tokens', async t => {
  const { client, server } = await index(t, asked => {
    if (asked.target.includes('offset=a%2B')) return json({ Links: { next: '', self: '' }, size: 1, result: ['c:1'] }, { newline: true })
    return json({ Links: { next: '/list/x?limit=2&offset=a%2B', self: '' }, size: 2, result: ['a:1', 'b:1'] }, { newline: true })
  })
  t.same(await client.list('/library/foo bar/_manifests/tags'), ['a:1', 'b:1', 'c:1'])
  t.same(await client.listRepository('library/foo'), ['a:1', 'b:1', 'c:1'])
  t.same(server.journal, [
    'GET /list//library/foo%20bar/_manifests/tags',
    'GET /list//library/foo%20bar/_manifests/tags?offset=a%2B',
    'GET /repositories/library%252Ffoo/tags',
    'GET /repositories/library%252Ffoo/tags?offset=a%2B'
  ])
})

t.test('an empty list is null', async t => {
  const { client } = await index(t, () => json({ Links: { next: '', self: '/list/' }, size: 0, result: null }))
  t.same(await client.list(''), [])
})

t.test('a list that leads in a circle ends', async t => {
  const { client } = await index(t, () => json({ Links: { next: '?offset=x' }, result: ['a'] }))
  t.same(await client.list(''), ['a', 'a'])
})

t.test('another host is asked only if there is no HTTP answer, or if it cannot tell', async t => {
  const dead = await deadAddress(t)
  const alive = await smallServer(t, asked => asked.target === '/origin' ? text('origin:80') : text('storage: down', 500))
  for (const seed of [1, 2, 3, 4]) t.equal(await clientOf(t, [dead, alive.address], seed).origin(), 'origin:80')
  const other = await smallServer(t, () => text('storage: down', 500))
  const asked = alive.journal.length
  t.match(await failureOf(clientOf(t, [alive.address, other.address]).get('a:1')), { code: 'UNAVAILABLE', detail: { status: 500 } })
  t.equal(alive.journal.length + other.journal.length, asked + 1)
  const unsure = await smallServer(t, () => text('ask again in a moment', 503))
  for (const seed of [1, 2, 3, 4]) t.equal(await clientOf(t, [unsure.address, alive.address], seed).origin(), 'origin:80')
  t.match(await failureOf(clientOf(t, [unsure.address]).get('a:1')), { code: 'UNAVAILABLE', detail: { status: 503 } })
  t.ok(isAppError(await failureOf(clientOf(t, [dead]).get('a:1')), 'NETWORK'))
  t.ok(isAppError(await failureOf(clientOf(t, [dead, await deadAddress(t)]).get('a:1')), 'UNAVAILABLE'))
  t.ok(isAppError(await failureOf(clientOf(t, []).get('a:1')), 'UNAVAILABLE'))
})

t.test('puts that depend on what the tag points at all go to the same host', async t => {
  const servers = [await smallServer(t, () => ({ status: 200 })), await smallServer(t, () => ({ status: 200 }))]
  const addresses = servers.map(({ address }) => address)
  for (const seed of [1, 2, 3, 4]) await clientOf(t, addresses, seed).put('a:1', DIGEST, { replicate: true, onlyIf: seed === 1 ? 'none' : DIGEST })
  const path = `PUT /tags/a:1/digest/${DIGEST}?replicate=true&onlyif=`
  t.same(servers.map(({ journal }) => journal.length).toSorted(), [0, 4])
  t.same(servers.flatMap(({ journal }) => journal), [`${path}none`, ...Array<string>(3).fill(path + DIGEST)])
  const { client } = await index(t, () => text('tag a:1 points at none', 409))
  t.match(await failureOf(client.put('a:1', DIGEST, { onlyIf: DIGEST })), { code: 'TAG_EXISTS', message: 'tag a:1 points at none' })
})

t.test('readiness asks one host', async t => {
  const { client, server } = await index(t, () => text('OK\n'))
  await client.checkReadiness()
  t.same(server.journal, ['GET /readiness'])
  t.ok(isAppError(await failureOf(clientOf(t, []).checkReadiness()), 'UNAVAILABLE'))
})
