import { createServer, type RequestListener } from 'node:http'
import { once } from 'node:events'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { dockerPull } from '../../../net/client/docker.js'
import { deadAddress } from '../../support/small-server.js'
import { temporaryFolder } from '../../support/system.js'

/** A daemon on a unix socket, which answers every request with `answer`. */
async function daemon (t: Test, answer: RequestListener): Promise<{ host: string, asked: string[] }> {
  const socket = join(temporaryFolder(t), 'docker.sock')
  const asked: string[] = []
  const server = createServer((request, response) => {
    const { 'x-registry-auth': auth, 'content-length': length } = request.headers
    asked.push(`${request.method} ${request.url} auth=${JSON.stringify(auth)} length=${length}`)
    answer(request, response)
  })
  server.listen(socket)
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { host: `unix://${socket}`, asked }
}

const pull = async (host: string, signal?: AbortSignal): Promise<void> => { await dockerPull({ host, version: '1.24' }, '127.0.0.1:16000/team/app', 'v1', { signal }) }

t.test('a pull is over when the last report has come', async t => {
  const { host, asked } = await daemon(t, (_, response) => {
    response.write('{"status":"Pulling"}\r\n{"status":"Down')
    response.end('loading","progressDetail":{"current":1}}\r\n\r\n{"status":"Done"}')
  })
  await pull(host)
  t.same(asked, ['POST /v1.24/images/create?fromImage=127.0.0.1%3A16000%2Fteam%2Fapp&tag=v1 auth="" length=0'])
})

t.test('a report of a failure, at the end of a pull that began well', async t => {
  const { host } = await daemon(t, (_, response) => { response.end('{"status":"Pulling"}\n{"errorDetail":{"message":"x"},"error":"manifest unknown"}\n') })
  await t.rejects(pull(host), { code: 'UNAVAILABLE', message: 'manifest unknown' })
})

t.test('an answer that is no success', async t => {
  const { host } = await daemon(t, (_, response) => { response.writeHead(404).end('{"message":"no such image"}') })
  await t.rejects(pull(host), { code: 'UNAVAILABLE', message: 'docker answered 404: no such image' })
  const plain = await daemon(t, (_, response) => { response.writeHead(500).end('broken\n') })
  await t.rejects(pull(plain.host), { message: 'docker answered 500: broken' })
})

t.test('a report without an end', async t => {
  const { host } = await daemon(t, (_, response) => { response.end('x'.repeat(2_000_000)) })
  await t.rejects(pull(host), { code: 'UNAVAILABLE', message: /report of more than 1048576 bytes/ })
})

t.test('a connection that breaks off', async t => {
  const { host } = await daemon(t, (_, response) => {
    response.write('{"status":"Pulling"}\n')
    response.destroy()
  })
  await t.rejects(pull(host), { code: 'NETWORK' })
})

t.test('nobody there', async t => {
  const socket = join(temporaryFolder(t), 'none.sock')
  const path = '/v1.24/images/create?fromImage=127.0.0.1%3A16000%2Fteam%2Fapp&tag=v1'
  await t.rejects(pull(`unix://${socket}`), {
    code: 'NETWORK', message: `send post request: Post "http://${encodeURIComponent(socket)}${path}": dial unix ${socket}: connect: no such file or directory`
  })
  const address = await deadAddress(t)
  await t.rejects(pull(`tcp://${address}`), { code: 'NETWORK', message: /: dial tcp 127\.0\.0\.1:\d+: connect: connection refused$/ })
})

t.test('whoever asked goes away', async t => {
  const gone = new AbortController()
  const { host } = await daemon(t, () => { gone.abort() })
  await t.rejects(pull(host, gone.signal), { code: 'CANCELLED' })
})
