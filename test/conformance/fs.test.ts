import { rm } from 'node:fs/promises'
import t from 'tap'
import { FsClient } from '../../runtime/backend/fs/client.js'
import { backendSuite, contentOf } from '../support/backend-suite.js'

t.test('fs', async t => {
  await backendSuite(t, {
    blobs: new FsClient({ root: t.testdir(), namePath: 'identity' }),
    tags: new FsClient({ root: t.testdir(), namePath: 'docker_tag' }),
    largeBytes: 5_000_000
  })
})

t.test('a folder that is not mounted is not an empty one', async t => {
  const root = t.testdir()
  const client = new FsClient({ root, namePath: 'identity' })
  await rm(root, { recursive: true })
  await t.rejects(client.stat('', 'x'), { code: 'UNAVAILABLE' })
  await t.rejects(client.upload('', 'x', contentOf(Buffer.from('x'))), { code: 'UNAVAILABLE' })
  await t.rejects(client.list(''), { code: 'UNAVAILABLE' })
  await t.rejects(client.checkReadiness(), { code: 'UNAVAILABLE' })
})
