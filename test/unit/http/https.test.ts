import { type RequestOptions } from 'node:https'
import { networkInterfaces } from 'node:os'
import t, { type Test } from 'tap'
import { createHttp } from '../../../net/client/http.js'
import { type Handler, type HttpServer, type ListenOptions } from '../../../net/http/engine.js'
import { text } from '../../../net/http/reply.js'
import { listen } from '../../../net/http/uws.js'
import { messageOf } from '../../../runtime/core/errors.js'
import { Authority, type Certificate } from '../../support/certificates.js'
import { exchange } from '../../support/byte-client.js'
import { type Answer } from '../../support/http-call.js'
import { callSecurely, type SecureCallOptions } from '../../support/https-call.js'
import { pattern } from '../../support/pattern.js'

const MIB = 1024 * 1024
const authority = new Authority('shoal tests')
const server = authority.issue('server', ['cluster.example'])
const client = authority.issue('client')
const stranger = new Authority('somebody else').issue('stranger')
const tls = { ...server, authorities: [authority.cert] }

async function serve (t: Test, handler: Handler, options: Partial<ListenOptions> = {}): Promise<HttpServer> {
  const running = await listen(handler, { port: 0, bodyBytesMax: 16 * MIB, tls, ...options })
  t.teardown(async () => { await running.close(0) })
  return running
}

const ask = async (port: number, method: string, path: string, options: SecureCallOptions = {}): Promise<Answer> =>
  await callSecurely(port, method, path, { ca: authority.cert, servername: 'cluster.example', ...options })

/** Another address of this machine than the loopback one. */
function otherAddress (): string | undefined {
  return Object.values(networkInterfaces()).flat().find(found => found?.family === 'IPv4' && !found.internal)?.address
}

t.test('requests and replies are as without TLS', async t => {
  const { port } = await serve(t, async request => {
    const body = Buffer.from(await request.body.bytes(MIB)).toString()
    return { status: 418, headers: { 'X-One': 'a' }, body: [request.method, request.rawPath, request.rawQuery, request.header('x-in'), request.remoteAddress, body].join('|') }
  })
  const { status, headers, body } = await ask(port, 'PUT', '/a%2Fb//c?x=%20', { headers: { 'X-In': 'in' }, body: Buffer.from('body') })
  t.equal(status, 418)
  t.match(headers, { 'x-one': 'a', 'content-length': String(body.length) })
  t.equal(body.toString(), 'PUT|/a%2Fb//c|x=%20|in|127.0.0.1|body')
})

t.test('streamed bodies, HEAD and no body', async t => {
  const content = pattern(3 * MIB)
  let failing = false
  const source = {
    lengthBytes: content.length,
    chunks: async function * () {
      for (let at = 0; at < content.length; at += 100_000) {
        if (failing && at > MIB) throw new Error('the disk is gone')
        yield content.subarray(at, at + 100_000)
      }
    }
  }
  const { port } = await serve(t, request => request.rawPath === '/empty' ? { status: 204 } : { status: 200, body: source })
  const whole = await ask(port, 'GET', '/')
  t.ok(whole.body.equals(content))
  const head = await ask(port, 'HEAD', '/')
  t.same([head.headers['content-length'], head.body.length], [String(content.length), 0])
  t.same([(await ask(port, 'GET', '/empty')).headers['content-length']], [undefined])
  failing = true
  await t.rejects(ask(port, 'GET', '/'), 'a body that fails midway never ends like a right one')
})

t.test('who must show a certificate', async t => {
  const { port } = await serve(t, () => text('fine'))
  const status = async (method: string, options: RequestOptions & Partial<Certificate>): Promise<number> => (await ask(port, method, '/', options)).status
  t.equal(await status('GET', {}), 200)
  t.equal(await status('POST', {}), 200, 'from this very host')
  for (const method of ['GET', 'POST']) {
    t.equal(await status(method, client), 200)
    t.equal(await status(method, stranger), 400, 'not from our authority')
  }
  const host = otherAddress()
  if (host === undefined) return
  for (const method of ['GET', 'HEAD']) t.equal(await status(method, { host }), 200)
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
    t.equal(await status(method, { host }), 403, method)
    t.equal(await status(method, { host, ...client }), 200, method)
  }
})

t.test('plain HTTP is told where it is', async t => {
  const { port } = await serve(t, () => text('fine'))
  t.match(await exchange(port, 'GET', '/'), { status: 400, body: /HTTPS/, isComplete: true })
})

t.test('large bodies are refused, also on the last request of a connection', async t => {
  const { port } = await serve(t, () => text('fine'), { bodyBytesMax: MIB })
  for (const headers of [{}, { Connection: 'close' }]) {
    t.equal((await ask(port, 'PUT', '/', { headers, body: pattern(4 * MIB) })).status, 413)
  }
})

t.test('a certificate that is none', async t => {
  await t.rejects(listen(() => text(''), { port: 0, bodyBytesMax: 1, tls: { ...tls, key: stranger.key } }), { code: 'CONFIG_INVALID' })
})

t.test('our own client', async t => {
  const { port } = await serve(t, request => text(request.method))
  const address = `127.0.0.1:${port}`
  const call = async (options: Parameters<typeof createHttp>[0]): Promise<string> => {
    const http = createHttp(options)
    try {
      return (await http.call({ method: 'POST', address, path: '/' })).text
    } catch (error) {
      return messageOf(error)
    } finally {
      await http.close()
    }
  }
  t.equal(await call({ authorities: [authority.cert], serverName: 'cluster.example', ...client }), 'POST')
  t.match(await call({ authorities: [authority.cert], serverName: undefined, ...client }), /IP: 127\.0\.0\.1 is not in the cert/)
  t.match(await call({ authorities: [], serverName: 'cluster.example', ...client }), /unable to verify|self-signed/)
})

t.test('close waits for what is running, and for nothing else', async t => {
  let started = (): void => {}
  const isStarted = new Promise<void>(resolve => { started = resolve })
  let finish = (): void => {}
  const isFinished = new Promise<void>(resolve => { finish = resolve })
  const running = await listen(async () => {
    started()
    await isFinished
    return text('done')
  }, { port: 0, bodyBytesMax: 1, tls })
  const asked = ask(running.port, 'GET', '/')
  await isStarted
  const closed = running.close()
  finish()
  t.equal((await asked).body.toString(), 'done')
  await closed
  await t.rejects(ask(running.port, 'GET', '/'))
})
