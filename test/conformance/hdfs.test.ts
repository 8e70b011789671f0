import t, { type Test } from 'tap'
import { HdfsClient } from '../../runtime/backend/hdfs/client.js'
import { hdfs } from '../../runtime/config/sections/backends/files.js'
import { backendSuite, contentOf, download, guarded } from '../support/backend-suite.js'
import { StrictWebHdfs } from '../support/strict-webhdfs.js'

async function start (t: Test): Promise<StrictWebHdfs> {
  const server = await StrictWebHdfs.start()
  t.teardown(async () => { await server.stop() })
  return server
}

function client (t: Test, nameNodes: readonly string[], root: string, namePath: string): HdfsClient {
  const made = new HdfsClient(hdfs.schema.parse({ namenodes: nameNodes, username: 'kraken', root_directory: root, name_path: namePath, list_concurrency: 3 }))
  t.teardown(async () => { await made.close() })
  return made
}

t.test('hdfs', async t => {
  const server = await start(t)
  await backendSuite(t, {
    blobs: client(t, [server.address], '/blobs', 'identity'),
    tags: client(t, [server.address], '/tags/', 'docker_tag'),
    largeBytes: 5_000_000
  })
  t.notOk([...server.entries].some(([path, content]) => path.includes('_uploads/') && content !== undefined), 'nothing is left where uploads are put together')
})

t.test('one name node on standby, one gone, one that works', async t => {
  const [standby, gone, active] = [await start(t), await StrictWebHdfs.start(), await start(t)]
  standby.isOnStandby = true
  const goneAddress = gone.address
  await gone.stop()
  const blobs = guarded(client(t, [standby.address, goneAddress, active.address], '/', 'identity'))
  await blobs.upload('', 'x', contentOf(Buffer.from('bytes')))
  t.equal(String(await download(blobs, 'x')), 'bytes')
  t.equal(standby.operations.length, 1, 'it is remembered who works')
  active.isOnStandby = true
  await t.rejects(blobs.stat('', 'x'), { code: 'UNAVAILABLE' })
  await t.rejects(blobs.checkReadiness(), { code: 'UNAVAILABLE' })
})
