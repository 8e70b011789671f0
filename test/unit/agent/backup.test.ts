import t, { type Test } from 'tap'
import { createHttp } from '../../../net/client/http.js'
import { type Handler, type Reply } from '../../../net/http/engine.js'
import { withBackup } from '../../../runtime/agent/backup.js'
import { noLog } from '../../../runtime/observe/log.js'
import { pattern } from '../../support/pattern.js'
import { bytesOf, fakeRequest } from '../../support/registry/fake-request.js'
import { deadAddress, type SmallServer, smallServer } from '../../support/small-server.js'

function backed (t: Test, own: Reply, address: string): Handler {
  const http = createHttp()
  t.teardown(async () => { await http.close() })
  return withBackup(() => own, { address, http, log: noLog })
}

async function central (t: Test, reply: Reply): Promise<SmallServer> { return await smallServer(t, () => reply) }

t.test('what is not here is asked there', async t => {
  const content = pattern(300_000)
  const headers = { 'Content-Type': 'application/octet-stream', 'Docker-Content-Digest': 'sha256:00', 'X-Other': 'theirs' }
  const there = await central(t, { status: 200, headers, body: content })
  for (const status of [404, 500, 503]) {
    const reply = await backed(t, { status }, there.address)(fakeRequest('GET', '/v2/app/blobs/sha256:00?ns=x'))
    t.equal(reply.status, 200)
    t.same(reply.headers, { 'Content-Type': 'application/octet-stream', 'Docker-Content-Digest': 'sha256:00' })
    t.ok((await bytesOf(reply)).equals(content))
  }
  t.same(there.journal, Array(3).fill('GET /v2/app/blobs/sha256:00?ns=x'))
  const head = await backed(t, { status: 404 }, there.address)(fakeRequest('HEAD', '/v2/app/blobs/sha256:00'))
  t.same([head.status, head.headLengthBytes, head.body], [200, 300_000, undefined])
})

t.test('what is here, and what cannot be repeated, is not', async t => {
  const there = await central(t, { status: 200, body: 'theirs' })
  for (const status of [200, 304, 400, 401, 416]) t.equal((await backed(t, { status }, there.address)(fakeRequest('GET', '/v2/'))).status, status)
  t.equal((await backed(t, { status: 404 }, there.address)(fakeRequest('PUT', '/v2/app/manifests/v1'))).status, 404)
  t.same(there.journal, [])
})

t.test('our own answer stands if nobody knows better', async t => {
  const own = { status: 404, body: 'ours' }
  for (const status of [404, 401, 500]) t.equal((await backed(t, own, (await central(t, { status })).address)(fakeRequest('GET', '/v2/'))).body, 'ours')
  t.equal((await backed(t, own, await deadAddress(t))(fakeRequest('GET', '/v2/'))).body, 'ours')
})
