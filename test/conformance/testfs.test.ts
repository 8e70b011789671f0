import t from 'tap'
import { testfsApi } from '../../net/api/testfs.js'
import { TestfsClient } from '../../runtime/backend/testfs/client.js'
import { startTestfs } from '../../runtime/backend/testfs/server.js'
import { backendSuite } from '../support/backend-suite.js'
import { call } from '../support/http-call.js'

t.test('testfs', async t => {
  const server = await startTestfs({ port: 0, root: t.testdir(), host: '127.0.0.1' })
  t.teardown(async () => { await server.close() })
  t.equal((await call(server.port, 'GET', testfsApi.health.path)).body.toString(), 'OK')
  const address = `127.0.0.1:${server.port}`
  await backendSuite(t, {
    blobs: new TestfsClient({ address, root: 'blobs', namePath: 'identity' }),
    tags: new TestfsClient({ address, root: '/tags', namePath: 'docker_tag' }),
    largeBytes: 5_000_000
  })
})
