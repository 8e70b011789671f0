import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type RecordClient } from '../../../net/client/clients.js'
import { createHttp } from '../../../net/client/http.js'
import { createTagClient } from '../../../net/client/tag-client.js'
import { createRouter } from '../../../net/http/router.js'
import { addRecordRoutes } from '../../../runtime/build-index/record-routes.js'
import { RecordStore } from '../../../runtime/build-index/records.js'
import { digestOf } from '../../../runtime/core/digest.js'
import { isAppError } from '../../../runtime/core/errors.js'
import { seededPrng } from '../../../runtime/core/prng.js'
import { noLog } from '../../../runtime/observe/log.js'
import { listen } from '../../../net/http/uws.js'
import { must } from '../../support/must.js'
import { deadAddress, smallServer } from '../../support/small-server.js'
import { temporaryFolder } from '../../support/system.js'

const KEY = 'member:team/app@sha256:00'

interface Node {
  readonly records: RecordStore
  readonly address: string
  /** Whom it is to tell of which records. */
  readonly owed: string[]
  /** It does not answer any more. */
  stop (): Promise<void>
}

async function startNode (t: Test): Promise<Node> {
  const records = await RecordStore.open(join(temporaryFolder(t), 'records'), () => 1)
  const owed: string[] = []
  const copies = { owe: async (address: string, key: string) => { owed.push(`${address} ${key}`) } }
  const router = addRecordRoutes(createRouter({ component: 'test', misses: 'method-not-allowed', log: noLog }), records, copies)
  const server = await listen(router.handle, {
    host: '127.0.0.1', port: 0, bodyBytesMax: 65536
  })
  t.teardown(async () => {
    await server.close(0)
    await records.close()
  })
  return { records, owed, address: `127.0.0.1:${server.port}`, stop: async () => { await server.close(0) } }
}

function clientOf (t: Test, addresses: string[], seed = 1): RecordClient {
  const http = createHttp()
  const hosts = { static: addresses, dns: undefined, ttlMs: 5000 }
  const health = { failsMax: 3, passesMin: 1, timeoutMs: 300_000, intervalMs: 300_000 }
  const client = createTagClient({ hosts: { hosts, health }, http, log: noLog, health: 'passive', prng: seededPrng(seed) })
  t.teardown(async () => {
    await client.close()
    await http.close()
  })
  return client.records
}

async function codeOf (promise: Promise<unknown>): Promise<string> {
  return await promise.then(() => 'none', (error: unknown) => isAppError(error) ? error.code : 'other')
}

t.test('what is written is on every build-index', async t => {
  const nodes = [await startNode(t), await startNode(t), await startNode(t)]
  const client = clientOf(t, nodes.map(({ address }) => address))
  t.equal(await client.record(KEY), undefined)
  for (const value of ['present', 'deleted', 'present']) {
    await client.putRecord(KEY, value)
    t.same(new Set(nodes.map(({ records }) => records.get(KEY)?.value)), new Set([value]))
    t.equal(new Set(nodes.map(({ records }) => records.get(KEY)?.version)).size, 1, 'the same version')
    t.equal(await client.record(KEY), value)
  }
})

t.test('one that missed a write is outvoted, and set right', async t => {
  const nodes = [await startNode(t), await startNode(t)]
  const [behind, ahead] = [must(nodes[0]), must(nodes[1])]
  await behind.records.put(KEY, 'present')
  await ahead.records.put(KEY, 'present')
  await ahead.records.put(KEY, 'deleted')
  for (const seed of [1, 2, 3]) t.equal(await clientOf(t, nodes.map(({ address }) => address), seed).record(KEY), 'deleted')
  t.same(behind.records.get(KEY), ahead.records.get(KEY))
})

t.test('one that does not answer is no obstacle; that it lacks a record is told to one that has it', async t => {
  const nodes = [await startNode(t), await startNode(t)]
  const client = clientOf(t, nodes.map(({ address }) => address))
  await client.putRecord(KEY, 'present')
  await must(nodes[0]).stop()
  t.equal(await client.record(KEY), 'present')
  await client.putRecord(KEY, 'deleted')
  t.same(must(nodes[1]).owed, [`${must(nodes[0]).address} ${KEY}`])
  await must(nodes[1]).stop()
  t.equal(await codeOf(client.record(KEY)), 'NETWORK')
})

t.test('build-indexes of Kraken\'s keep no records', async t => {
  const server = await smallServer(t, ({ method }) => ({ status: method === 'DELETE' ? 405 : 404 }))
  const client = clientOf(t, [server.address])
  t.equal(await client.record(KEY), undefined)
  t.equal(await codeOf(client.putRecord(KEY, 'deleted')), 'UNSUPPORTED')
  t.equal(await codeOf(client.deleteTag('team/app:v1')), 'UNSUPPORTED')
})

t.test('a tag is deleted wherever it is', async t => {
  const answers = [404, 202]
  const servers = await Promise.all(answers.map(async status => await smallServer(t, () => ({ status }))))
  const client = clientOf(t, servers.map(({ address }) => address))
  t.equal(await client.deleteTag('team/app:v1'), true)
  t.equal(await client.deleteTag('team/app:v1', { digest: digestOf('x') }), true)
  for (const { journal } of servers) t.same(journal, ['DELETE /tags/team%2Fapp:v1', `DELETE /tags/team%2Fapp:v1?digest=${digestOf('x')}`])
  const absent = await smallServer(t, () => ({ status: 404 }))
  t.equal(await clientOf(t, [absent.address]).deleteTag('team/app:v1'), false)
  t.equal(await clientOf(t, [must(servers[1]).address, await deadAddress(t)]).deleteTag('team/app:v1'), true, 'one that is away is told later')
  t.equal(await codeOf(clientOf(t, [absent.address, await deadAddress(t)]).deleteTag('team/app:v1')), 'NETWORK', 'it may be there')
  const failing = await smallServer(t, () => ({ status: 500 }))
  t.equal(await codeOf(clientOf(t, [absent.address, failing.address]).deleteTag('team/app:v1')), 'UNAVAILABLE')
})
