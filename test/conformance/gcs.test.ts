import t, { type Test } from 'tap'
import { GcsClient } from '../../runtime/backend/gcs/client.js'
import { auth } from '../../runtime/config/sections/auth.js'
import { gcs } from '../../runtime/config/sections/backends/gcs.js'
import { backendSuite, contentOf, guarded } from '../support/backend-suite.js'
import { StrictGcs } from '../support/strict-gcs.js'

const NOBODY = auth.schema.parse({})

async function start (t: Test): Promise<StrictGcs> {
  const server = await StrictGcs.start('images')
  t.teardown(async () => { await server.stop() })
  return server
}

function client (server: StrictGcs, root: string, namePath: string): GcsClient {
  const config = gcs.schema.parse({
    bucket: 'images', endpoint: server.endpoint, root_directory: root, name_path: namePath, upload_part_size: 1_048_576, list_max_keys: 2
  })
  return new GcsClient(config, NOBODY)
}

t.test('gcs', async t => {
  const server = await start(t)
  await backendSuite(t, {
    blobs: client(server, '/blobs', 'sharded_docker_blob'),
    tags: client(server, '/tags', 'docker_tag'),
    largeBytes: 3 * 2 ** 20 + 12_345
  })
  t.ok([...server.objects.keys()].every(name => name.startsWith('/')), 'names keep the slash in front')
})

t.test('what the server stored otherwise is found out', async t => {
  const server = await start(t)
  const blobs = guarded(client(server, '/', 'identity'))
  server.damage = bytes => bytes.subarray(0, bytes.length - 1)
  await t.rejects(blobs.upload('', 'short', contentOf(Buffer.from('some bytes'))), { code: 'UNAVAILABLE' })
})

t.test('failure is not absence', async t => {
  const server = await start(t)
  const blobs = guarded(client(server, '/', 'identity'))
  server.interfere = () => 403
  await t.rejects(blobs.stat('', 'x'), { code: 'UNAVAILABLE' })
  await t.rejects(blobs.download('', 'x'), { code: 'UNAVAILABLE' })
  await t.rejects(blobs.list(''), { code: 'UNAVAILABLE' })
  const named = { ...gcs.schema.parse({ bucket: 'images', root_directory: '/', name_path: 'identity' }), username: 'stranger' }
  t.throws(() => new GcsClient(named, NOBODY), { code: 'CONFIG_INVALID', message: /auth\.gcs\.stranger/ })
  const garbage = auth.schema.parse({ gcs: { stranger: { gcs: { access_blob: 'secret words' } } } })
  t.throws(() => new GcsClient(named, garbage), { code: 'CONFIG_INVALID' })
})
