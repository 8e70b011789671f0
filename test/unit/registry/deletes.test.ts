import t from 'tap'
import { type Reply } from '../../../net/http/engine.js'
import { digestOf } from '../../../runtime/core/digest.js'
import { AppError } from '../../../runtime/core/errors.js'
import { noLog } from '../../../runtime/observe/log.js'
import { OCI_MANIFEST } from '../../../runtime/registry/manifest.js'
import { createRegistry, type RegistryOptions } from '../../../runtime/registry/server.js'
import { bytesOf, type FakeRequest, fakeRequest } from '../../support/registry/fake-request.js'
import { MemoryCluster } from '../../support/registry/memory-cluster.js'
import { pattern } from '../../support/pattern.js'

const CONFIG = digestOf('{}')
const MANIFEST = JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config: { mediaType: 'application/json', digest: CONFIG, size: 2 }, layers: [] })
const DIGEST = digestOf(MANIFEST)
const PUT: FakeRequest = { body: MANIFEST, headers: { 'Content-Type': OCI_MANIFEST } }

async function site (options: Partial<RegistryOptions> = {}) {
  const cluster = new MemoryCluster()
  const handle = createRegistry({ reads: cluster.reads, writes: cluster.writes }, { log: noLog, records: cluster.records, ...options })
  const call = async (method: string, target: string, options: FakeRequest = {}): Promise<Reply> => await handle(fakeRequest(method, target, options))
  cluster.add('{}')
  for (const tag of ['v1', 'v2']) await call('PUT', `/v2/team/app/manifests/${tag}`, PUT)
  return { cluster, call, statusOf: async (method: string, target: string): Promise<number> => (await call(method, `/v2/team/app/${target}`)).status }
}

async function errorOf (reply: Reply): Promise<{ code: string, message: string }> {
  const { errors }: { errors: Array<{ code: string, message: string }> } = JSON.parse((await bytesOf(reply)).toString())
  return errors[0] ?? { code: '', message: '' }
}

t.test('a delete that broke off is finished by asking again', async t => {
  const { cluster, statusOf } = await site()
  const { deleteTag } = cluster.writes
  let left = 1
  Object.assign(cluster.writes, {
    deleteTag: async (...args: Parameters<typeof deleteTag>): Promise<boolean> => {
      if (left-- === 0) throw new AppError('UNAVAILABLE', 'gone for a moment')
      return await deleteTag(...args)
    }
  })
  t.equal(await statusOf('DELETE', `manifests/${DIGEST}`), 503)
  t.equal(await statusOf('GET', `manifests/${DIGEST}`), 200, 'it is not deleted while a tag may be on it')
  left = 10
  t.equal(await statusOf('DELETE', `manifests/${DIGEST}`), 202)
  t.equal(await statusOf('GET', `manifests/${DIGEST}`), 404)
  t.equal(cluster.tags.size, 0)
})

t.test('a tag that moves on while its old manifest is deleted stays', async t => {
  const { cluster, statusOf } = await site()
  const other = digestOf('other')
  const { deleteTag } = cluster.writes
  Object.assign(cluster.writes, {
    deleteTag: async (...args: Parameters<typeof deleteTag>): Promise<boolean> => {
      cluster.tags.set('team/app:v2', other)
      return await deleteTag(...args)
    }
  })
  t.equal(await statusOf('DELETE', `manifests/${DIGEST}`), 202)
  t.same([...cluster.tags], [['team/app:v2', other]])
})

t.test('what is no manifest is not deleted as one', async t => {
  const { cluster, statusOf } = await site()
  const blob = cluster.add(pattern(100))
  t.equal(await statusOf('DELETE', `manifests/${blob}`), 404)
  t.equal(await statusOf('GET', `blobs/${blob}`), 200)
})

t.test('a manifest is not accepted on a blob that was deleted', async t => {
  const { call, statusOf } = await site()
  t.equal(await statusOf('DELETE', `blobs/${CONFIG}`), 202)
  const refused = await call('PUT', '/v2/team/app/manifests/v3', PUT)
  t.equal(refused.status, 400)
  t.equal((await errorOf(refused)).code, 'MANIFEST_BLOB_UNKNOWN')
  t.equal((await call('PUT', '/v2/team/other/manifests/v3', PUT)).status, 201, 'elsewhere it is')
})

t.test('a registry that does not delete says why', async t => {
  const switchedOff = await site({ canDelete: false })
  const kraken = await site()
  kraken.cluster.records.isKraken = true
  for (const { call, statusOf } of [switchedOff, kraken]) {
    for (const target of [`manifests/${DIGEST}`, `blobs/${CONFIG}`]) {
      const refused = await call('DELETE', `/v2/team/app/${target}`)
      t.equal(refused.status, 405)
      const { code, message } = await errorOf(refused)
      t.equal(code, 'UNSUPPORTED')
      t.not(message, 'The operation is unsupported.')
      t.equal(await statusOf('GET', target), 200)
    }
  }
})
