import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { type Digest, digestOf, sha512Of } from '../../../runtime/core/digest.js'
import { AppError } from '../../../runtime/core/errors.js'
import { noLog } from '../../../runtime/observe/log.js'
import { ByteCache } from '../../../runtime/proxy/byte-cache.js'
import { ProxyTransfer } from '../../../runtime/proxy/transfer.js'
import { type BlobReader } from '../../../runtime/registry/transfer.js'
import { MemoryOrigins, MemoryTags } from '../../support/registry/memory-clients.js'
import { must } from '../../support/must.js'
import { pattern } from '../../support/pattern.js'

const BLOB = pattern(5000)
const DIGEST = digestOf(BLOB)

/** The staging folder: uploads in memory, what is committed in a real file. */
function staging (dir: string) {
  const uploads = new Map<string, Buffer>()
  const files = new Map<Digest, { path: string, sizeBytes: number, modifiedMs: number }>()
  const start = async (): Promise<string> => {
    const upload = randomUUID()
    uploads.set(upload, Buffer.alloc(0))
    return upload
  }
  const commit = async (upload: string, digest: Digest): Promise<void> => {
    const bytes = must(uploads.get(upload))
    uploads.delete(upload)
    if (digestOf(bytes) !== digest) throw new AppError('DIGEST_MISMATCH', 'other bytes')
    if (files.has(digest)) throw new AppError('BLOB_EXISTS', 'it is there already')
    const path = join(dir, upload)
    await writeFile(path, bytes)
    files.set(digest, { path, sizeBytes: bytes.length, modifiedMs: 0 })
  }
  return {
    files,
    uploaded: async (bytes: Uint8Array): Promise<string> => {
      const upload = await start()
      uploads.set(upload, Buffer.from(bytes))
      return upload
    },
    staging: {
      start,
      commit,
      status: async (upload: string) => ({ sizeBytes: must(uploads.get(upload)).length }),
      writer: () => { throw new Error('not used here') },
      truncate: async () => {},
      cancel: async (upload: string) => uploads.delete(upload),
      digests: async (upload: string) => ({ sha256: digestOf(must(uploads.get(upload))), sha512: sha512Of(must(uploads.get(upload))) })
    },
    staged: {
      stat: async (digest: Digest) => files.get(digest),
      delete: async (digest: Digest) => files.delete(digest),
      list: async () => [...files.keys()]
    }
  }
}

function setUp (dir: string) {
  const origins = new MemoryOrigins()
  const tags = new MemoryTags()
  const stage = staging(dir)
  const transfer = new ProxyTransfer({ origins, tags, staging: stage.staging, staged: stage.staged, log: noLog })
  return { origins, tags, stage, transfer }
}

async function collect (reader: BlobReader | undefined): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const chunk of must(reader).chunks()) parts.push(Buffer.from(chunk))
  return Buffer.concat(parts)
}

t.test('an upload is acknowledged when the origins have it, and leaves nothing here', async t => {
  const { origins, stage, transfer } = setUp(t.testdir())
  let release = (): void => {}
  origins.held = new Promise(resolve => { release = resolve })
  let isDone = false
  const finished = transfer.finishUpload('team/app', await stage.uploaded(BLOB), DIGEST).then(() => { isDone = true })
  t.equal(await transfer.statBlob('team/app', DIGEST), undefined, 'it is not there before')
  t.notOk(isDone)
  release()
  await finished
  t.ok(must(origins.blobs.get(DIGEST)).every((byte, i) => byte === BLOB[i]))
  t.ok(origins.asked.includes(`upload team/app ${DIGEST}`), 'the repository is the namespace')
  t.equal(stage.files.size, 0)
})

t.test('a failed upload leaves nothing that a retry would mistake for the blob', async t => {
  const { origins, stage, transfer } = setUp(t.testdir())
  origins.outage = new AppError('UNAVAILABLE', 'no origin answers')
  await t.rejects(transfer.finishUpload('team/app', await stage.uploaded(BLOB), DIGEST), { code: 'UNAVAILABLE' })
  t.equal(stage.files.size, 0)
  origins.outage = undefined
  t.equal(await transfer.statBlob('team/app', DIGEST), undefined)
  await transfer.finishUpload('team/app', await stage.uploaded(BLOB), DIGEST)
  t.same(await transfer.statBlob('team/app', DIGEST), { sizeBytes: BLOB.length })
})

t.test('the same blob from two clients at once arrives for both', async t => {
  const { stage, transfer } = setUp(t.testdir())
  const uploads = [await stage.uploaded(BLOB), await stage.uploaded(BLOB), await stage.uploaded(BLOB)]
  await Promise.all(uploads.map(async upload => await transfer.finishUpload('team/app', upload, DIGEST)))
  t.equal(stage.files.size, 0)
})

t.test('wrong bytes never get to the origins', async t => {
  const { origins, stage, transfer } = setUp(t.testdir())
  await t.rejects(transfer.finishUpload('team/app', await stage.uploaded(BLOB.subarray(1)), DIGEST), { code: 'DIGEST_MISMATCH' })
  t.same(origins.asked, [])
})

t.test('what a crash left in the staging folder is removed', async t => {
  const { stage, transfer } = setUp(t.testdir())
  await stage.staging.commit(await stage.uploaded(BLOB), DIGEST)
  await transfer.clearStaged()
  t.equal(stage.files.size, 0)
})

t.test('blobs come straight from the origins, whole or in part', async t => {
  const { origins, transfer } = setUp(t.testdir())
  origins.add(BLOB)
  t.ok((await collect(await transfer.openBlob('team/app', DIGEST))).equals(BLOB))
  const range = { offset: 1000, lengthBytes: 2000 }
  t.ok((await collect(await transfer.openBlob('team/app', DIGEST, { range }))).equals(BLOB.subarray(1000, 3000)))
  t.equal(await transfer.openBlob('team/app', digestOf('absent')), undefined)
  must(await transfer.openBlob('team/app', DIGEST)).close()
  t.equal(origins.openDownloads, 0)
})

for (const [what, bytes] of [['other bytes', BLOB.map(byte => byte ^ 1)], ['one bit in the last byte', BLOB.map((byte, i) => i === 4999 ? byte ^ 1 : byte)]] as const) {
  t.test(`a reader gets no complete blob with ${what}`, async t => {
    const { origins, transfer } = setUp(t.testdir())
    origins.blobs.set(DIGEST, bytes)
    let received = 0
    const read = async (): Promise<void> => {
      for await (const chunk of must(await transfer.openBlob('team/app', DIGEST)).chunks()) received += chunk.length
    }
    await t.rejects(read(), { code: 'CORRUPT' })
    t.ok(received < BLOB.length)
  })
}

t.test('manifests are kept in memory, wrong and large ones are not', async t => {
  const { origins, transfer } = setUp(t.testdir())
  origins.add(BLOB)
  for (let i = 0; i < 3; i++) t.ok(Buffer.from(must(await transfer.readBlob('team/app', DIGEST, 5000))).equals(BLOB))
  t.same(origins.asked, [`download team/app ${DIGEST}`])
  t.equal(await transfer.readBlob('team/app', DIGEST, 4999), undefined)
  const large = origins.add(pattern(6000))
  t.equal(await transfer.readBlob('team/app', large, 5000), undefined)
  origins.blobs.set(digestOf('wrong'), BLOB)
  await t.rejects(transfer.readBlob('team/app', digestOf('wrong'), 5000), { code: 'CORRUPT' })
  t.equal(await transfer.readBlob('team/app', digestOf('absent'), 5000), undefined)
  t.equal(origins.openDownloads, 0)
})

t.test('tags and repositories', async t => {
  const { tags, transfer } = setUp(t.testdir())
  await transfer.putTag('team/app', 'v1', DIGEST)
  await transfer.putTag('host:5000/app', 'v2', DIGEST)
  t.same([...tags.tags.keys()], ['team/app:v1', 'host:5000/app:v2'])
  t.equal(await transfer.getTag('team/app', 'v1'), DIGEST)
  t.same(await transfer.listTags('team/app'), ['v1'])
  t.same(await transfer.listRepositories(), ['team/app', 'host:5000/app'])
})

t.test('the cache of manifests stays within its bytes and forgets what was used last', async t => {
  const cache = new ByteCache<string>(10)
  cache.set('a', new Uint8Array(4))
  cache.set('b', new Uint8Array(4))
  t.ok(cache.get('a'))
  cache.set('c', new Uint8Array(4))
  t.equal(cache.get('b'), undefined)
  t.ok(cache.get('a'))
  t.equal(cache.sizeBytes, 8)
  cache.set('d', new Uint8Array(11))
  t.equal(cache.get('d'), undefined)
  cache.set('a', new Uint8Array(1))
  t.equal(cache.sizeBytes, 5)
})
