import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { bytesContent, connect, digestOf, fileContent, parseInfoHash, parsePeerId } from '../../net/client/index.js'
import { startLocalCluster } from '../support/local-cluster.js'
import { randomBlob } from '../support/random-blob.js'
import { temporaryFolder } from '../support/system.js'

/* What programs outside this package use, against a whole cluster. */

const DIST = fileURLToPath(new URL('../../', import.meta.url))
const PAGE = new URL('../../../docs/client.md', import.meta.url)

t.setTimeout(120_000)

t.test('the example of docs/client.md, as it is printed', async t => {
  const cluster = await startLocalCluster(t, { pieceBytes: 65_536 })
  const [, example = ''] = /```js\n([\s\S]*?)```/.exec(readFileSync(PAGE, 'utf8')) ?? []
  // Inside of this package, `shoal/client` means the package itself.
  const folder = mkdtempSync(join(DIST, 'example-'))
  t.teardown(() => { rmSync(folder, { recursive: true }) })
  const file = join(folder, 'example.mjs')
  writeFileSync(file, example)
  const args = [cluster.origin, cluster.buildIndex, cluster.agentServer].map(port => `127.0.0.1:${port}`)
  const { stdout } = await promisify(execFile)(process.execPath, [file, ...args])
  t.equal(stdout, 'what an application wants on every host\nand nobody has the other one\n')
})

t.test('every client', async t => {
  const cluster = await startLocalCluster(t, { pieceBytes: 65_536 })
  const at = (port: number): string => `127.0.0.1:${port}`
  const shoal = connect()
  t.teardown(async () => {
    await shoal.close()
    await shoal.close()
  })
  const { bytes, digest } = randomBlob(300_000, 'client')
  const file = join(temporaryFolder(t), 'blob')
  writeFileSync(file, bytes)
  const blobs = shoal.blobs(at(cluster.origin))
  await blobs.upload('team/app', digest, await fileContent(file))
  t.same(await blobs.stat('team/app', digest), { sizeBytes: 300_000 })
  t.same(await blobs.locations(digest), [at(cluster.origin)])
  const origin = shoal.origin(at(cluster.origin))
  t.same(await origin.statLocal('team/app', digest), { sizeBytes: 300_000 })

  const agent = shoal.agent(at(cluster.agentServer))
  await agent.checkReadiness()
  const parts: Buffer[] = []
  for await (const chunk of (await agent.download('team/app', digest, { offset: 100_000, lengthBytes: 50_000 })).chunks()) parts.push(Buffer.from(chunk))
  t.ok(Buffer.concat(parts).equals(bytes.subarray(100_000, 150_000)), 'a part of a blob, from the agent')
  await agent.deleteBlob(digest)
  await t.rejects(agent.download('team/app', digestOf('absent')), { code: 'BLOB_UNKNOWN' })
  t.equal(await agent.getTag('team/app:none'), undefined)

  const tracker = shoal.tracker([at(cluster.tracker)])
  const answer = await tracker.metaInfo('team/app', digest)
  t.match(answer, { status: 'found', metaInfo: { lengths: { pieceBytes: 65_536 } } })
  const self = { id: parsePeerId('12'.repeat(20)), ip: '10.0.0.1', port: 16001, isOrigin: false, isComplete: false }
  const { peers } = await tracker.announce(digest, parseInfoHash('ab'.repeat(20)), self)
  t.same(peers.map(({ isOrigin }) => isOrigin), [true])

  const manifest = Buffer.from(JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: 300_000 },
    layers: []
  }))
  await blobs.upload('team/app:v1', digestOf(manifest), bytesContent(manifest))
  const tags = shoal.tags([at(cluster.buildIndex)])
  await tags.put('team/app:v1', digestOf(manifest))
  t.equal(await tags.get('team/app:v1'), digestOf(manifest))
  t.same([await tags.has('team/app:v2'), await tags.list(''), await tags.listRepository('team/app')], [false, ['team/app:v1'], ['v1']])
  t.same([await tags.replicate('team/app:v1'), await tags.replicate('team/app:v2')], [true, false])
  t.equal(await tags.origin(), at(cluster.origin))

  const cancelled = blobs.download('team/app', digest, { signal: AbortSignal.abort() })
  await t.rejects(cancelled, { code: 'CANCELLED' })
  await t.rejects(fileContent('/no/such/file'), { code: 'STORAGE' })
  for (const wrong of ['', 'host', 'a b:1', 'host:0', 'host:99999']) t.throws(() => shoal.blobs(wrong), { code: 'PARAMETER_INVALID' })
  t.throws(() => shoal.blobs([]), { code: 'PARAMETER_INVALID' })
})
