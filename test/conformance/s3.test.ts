import t, { type Test } from 'tap'
import { S3Client } from '../../runtime/backend/s3/client.js'
import { s3 } from '../../runtime/config/sections/backends/s3.js'
import { auth } from '../../runtime/config/sections/auth.js'
import { backendSuite, contentOf, download, guarded } from '../support/backend-suite.js'
import { must } from '../support/must.js'
import { randomBlob } from '../support/random-blob.js'
import { S3_KEYS, StrictS3 } from '../support/strict-s3.js'

const CREDENTIALS = auth.schema.parse({
  s3: { tester: { s3: { aws_access_key_id: S3_KEYS.accessKeyId, aws_secret_access_key: S3_KEYS.secretAccessKey } } }
})
const PART_BYTES = 5 * 2 ** 20

async function start (t: Test): Promise<StrictS3> {
  const server = await StrictS3.start('images')
  t.teardown(async () => { await server.stop() })
  return server
}

function client (t: Test, server: StrictS3, root: string, namePath: string): S3Client {
  const config = s3.schema.parse({
    username: 'tester',
    region: 'us-east-1',
    bucket: 'images',
    endpoint: server.endpoint,
    force_path_style: true,
    root_directory: root,
    name_path: namePath,
    upload_part_size: PART_BYTES,
    upload_concurrency: 3,
    list_max_keys: 2
  })
  const made = new S3Client(config, CREDENTIALS)
  t.teardown(async () => { await made.close() })
  return made
}

t.test('s3', async t => {
  const server = await start(t)
  await backendSuite(t, {
    blobs: client(t, server, '/blobs', 'sharded_docker_blob'),
    tags: client(t, server, '/tags', 'docker_tag'),
    largeBytes: 3 * PART_BYTES + 12_345
  })
  t.equal(server.uploads.size, 0, 'no parts are left behind')
  t.ok([...server.objects.keys()].every(key => !key.startsWith('/')), 'keys have no slash in front')
  t.ok(server.objects.has('tags/docker/registry/v2/repositories/library/app/_manifests/tags/1.0/current/link'))
})

t.test('a part that fails is sent again, and only that one', async t => {
  const server = await start(t)
  const blobs = client(t, server, '/', 'identity')
  const { bytes } = randomBlob(2 * PART_BYTES + 1, 'parts')
  let failures = 0
  server.interfere = request => request.includes('partNumber=2') && failures++ < 2 ? { status: 500 } : undefined
  await blobs.upload('', 'big', contentOf(bytes))
  t.ok(must(server.objects.get('big')).equals(bytes))
  t.equal(server.requests.filter(request => request.includes('partNumber=1')).length, 1)
})

t.test('an upload that fails for good leaves no parts behind', async t => {
  const server = await start(t)
  const blobs = guarded(client(t, server, '/', 'identity'))
  server.interfere = request => request.includes('partNumber=3') ? { status: 500 } : undefined
  await t.rejects(blobs.upload('', 'big', contentOf(randomBlob(4 * PART_BYTES, 'fails').bytes)), { code: 'UNAVAILABLE' })
  t.equal(server.uploads.size, 0)
  t.equal(server.objects.size, 0)
})

t.test('a download that breaks off is continued, and one that never gets on fails', async t => {
  const server = await start(t)
  const blobs = guarded(client(t, server, '/', 'identity'))
  const { bytes } = randomBlob(1_000_000, 'cut')
  await blobs.upload('', 'cut', contentOf(bytes))
  let cuts = 0
  server.interfere = request => request.startsWith('GET') && cuts++ < 5 ? { cutAt: 100_000 } : undefined
  t.ok(must(await download(blobs, 'cut')).equals(bytes))
  server.interfere = request => request.startsWith('GET') ? { cutAt: 0 } : undefined
  await t.rejects(download(blobs, 'cut'), { code: 'UNAVAILABLE' })
})

t.test('wrong credentials, no bucket and overload are failures, never absence', async t => {
  const server = await start(t)
  const blobs = guarded(client(t, server, '/', 'identity'))
  server.interfere = () => ({ status: 503 })
  await t.rejects(blobs.stat('', 'x'), { code: 'UNAVAILABLE' })
  await t.rejects(blobs.download('', 'x'), { code: 'UNAVAILABLE' })
  await t.rejects(blobs.list(''), { code: 'UNAVAILABLE' })
  await t.rejects(blobs.checkReadiness(), { code: 'UNAVAILABLE' })
  server.interfere = () => undefined
  const config = { ...s3.schema.parse({ region: 'us-east-1', bucket: 'other', endpoint: server.endpoint, root_directory: '/', name_path: 'identity' }), isPathStyle: true }
  const elsewhere = guarded(new S3Client({ ...config, username: 'tester' }, CREDENTIALS))
  await t.rejects(elsewhere.download('', 'x'), { code: 'UNAVAILABLE' })
  await elsewhere.close()
  t.throws(() => new S3Client({ ...config, username: 'stranger' }, CREDENTIALS), { code: 'CONFIG_INVALID', message: /auth\.s3\.stranger/ })
})
