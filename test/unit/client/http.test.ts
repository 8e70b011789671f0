import net from 'node:net'
import t, { type Test } from 'tap'
import { createHttp, type Http } from '../../../net/client/http.js'
import { text } from '../../../net/http/reply.js'
import { AppError, isAppError } from '../../../runtime/core/errors.js'
import { pattern } from '../../support/pattern.js'
import { deadAddress, smallServer } from '../../support/small-server.js'

function client (t: Test): Http {
  const http = createHttp()
  t.teardown(() => http.close())
  return http
}

async function codeOf (promise: Promise<unknown>): Promise<string> {
  return await promise.then(() => 'no error', (error: unknown) => isAppError(error) ? error.code : String(error))
}

/** A server that answers every connection with these bytes and then does what it is told. */
async function byteServer (t: Test, bytes: string, after: (socket: net.Socket) => void): Promise<string> {
  const sockets = new Set<net.Socket>()
  const server = net.createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('data', () => socket.write(bytes, () => after(socket)))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  return `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
}

t.test('paths go out as they are, and a GET may have a body', async t => {
  const server = await smallServer(t, asked => text(`${asked.body.toString()} ${asked.header('x-a')}`))
  const answer = await client(t).call({
    method: 'GET', address: server.address, path: '/list//a%252F/../b?x=%20', headers: { 'X-A': '1' }, body: '{"a":1}'
  })
  t.match({ ...answer }, { status: 200, text: '{"a":1} 1' })
  t.equal(answer.header('content-length'), '9')
  t.same(server.journal, ['GET /list//a%252F/../b?x=%20'])
})

t.test('streamed bodies arrive as they were when they were yielded', async t => {
  const content = pattern(3_000_000)
  const server = await smallServer(t, asked => text(String(asked.body.equals(content))))
  const chunks = async function * (): AsyncGenerator<Uint8Array> {
    const view = new Uint8Array(10_000)
    for (let at = 0; at < content.length; at += view.length) {
      view.set(content.subarray(at, at + view.length))
      yield view
      view.fill(0)
    }
  }
  const body = { lengthBytes: content.length, chunks: chunks() }
  t.match(await client(t).call({ method: 'PUT', address: server.address, path: '/', body }), { status: 200, text: 'true' })
})

t.test('a body that fails while it is sent fails the call with its error', async t => {
  const server = await smallServer(t, () => text(''))
  const body = { lengthBytes: 100, async * chunks () { throw new AppError('STORAGE', 'unreadable') } }
  t.equal(await codeOf(client(t).call({ method: 'PUT', address: server.address, path: '/', body: { ...body, chunks: body.chunks() } })), 'STORAGE')
})

t.test('answers are streamed, and an early end is an error', async t => {
  const content = pattern(1_000_000)
  const server = await smallServer(t, () => ({ status: 200, body: content }))
  const stream = await client(t).open({ method: 'GET', address: server.address, path: '/' })
  t.equal(stream.lengthBytes, content.length)
  const parts: Uint8Array[] = []
  for await (const part of stream.chunks()) parts.push(part)
  t.ok(Buffer.concat(parts).equals(content))
  const cut = await byteServer(t, 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc', socket => socket.end())
  t.equal(await codeOf(client(t).call({ method: 'GET', address: cut, path: '/' })), 'NETWORK')
})

t.test('errors have codes', async t => {
  const http = client(t)
  const silent = await byteServer(t, '', () => {})
  const stuck = await byteServer(t, 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc', () => {})
  const garbage = await byteServer(t, 'SSH-2.0-x\r\n', () => {})
  t.equal(await codeOf(http.call({ method: 'GET', address: await deadAddress(t), path: '/' })), 'NETWORK')
  t.equal(await codeOf(http.call({ method: 'GET', address: garbage, path: '/' })), 'NETWORK')
  t.equal(await codeOf(http.call({ method: 'GET', address: 'evil/@x:1', path: '/' })), 'NETWORK')
  t.equal(await codeOf(http.call({ method: 'GET', address: silent, path: '/', timeoutMs: 1 })), 'TIMED_OUT')
  t.equal(await codeOf(http.call({ method: 'GET', address: stuck, path: '/', timeoutMs: 200 })), 'TIMED_OUT', 'the limit covers the body')
  t.equal(await codeOf(http.call({ method: 'GET', address: silent, path: '/', signal: AbortSignal.abort() })), 'CANCELLED')
  t.equal(await codeOf(http.call({ method: 'GET', address: silent, path: '/', timeoutMs: 60_000, signal: AbortSignal.abort() })), 'CANCELLED')
  const large = await smallServer(t, () => text('x'.repeat(1001)))
  t.equal(await codeOf(http.call({ method: 'GET', address: large.address, path: '/', answerBytesMax: 1000 })), 'UNAVAILABLE')
})

t.test('a signal ends a running call', async t => {
  const controller = new AbortController()
  const silent = await byteServer(t, '', () => controller.abort())
  t.equal(await codeOf(client(t).call({ method: 'GET', address: silent, path: '/', timeoutMs: 60_000, signal: controller.signal })), 'CANCELLED')
})

t.test('health is 200 and nothing else', async t => {
  const http = client(t)
  for (const status of [200, 204, 404, 503]) {
    const server = await smallServer(t, () => ({ status }))
    t.equal(await http.isHealthy(server.address), status === 200, String(status))
    t.same(server.journal, ['GET /health'])
  }
  t.equal(await http.isHealthy(await deadAddress(t)), false)
})

t.test('after close nothing goes out', async t => {
  const server = await smallServer(t, () => text(''))
  const http = createHttp()
  await http.close()
  await http.close()
  t.equal(await codeOf(http.call({ method: 'GET', address: server.address, path: '/' })), 'NETWORK')
  t.same(server.journal, [])
})

t.test('a host that is gone is given up if somebody else can be asked, and asked last from then on', async t => {
  const gone = await byteServer(t, '', () => {})
  const http = client(t)
  t.same(http.wellFirst([gone, 'b:1']), [gone, 'b:1'])
  t.equal(await codeOf(http.call({ method: 'GET', address: gone, path: '/x', isReplaceable: true })), 'TIMED_OUT')
  t.same(http.wellFirst([gone, 'b:1']), ['b:1', gone])
  const refusing = await deadAddress(t)
  t.equal(await codeOf(http.call({ method: 'GET', address: refusing, path: '/x' })), 'NETWORK')
  t.same(http.wellFirst([refusing, gone, 'b:1']), ['b:1', refusing, gone])
})

t.test('a host that is gone in the middle of an answer is given up too', async t => {
  const gone = await byteServer(t, 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc', () => {})
  const http = client(t)
  const stream = await http.open({ method: 'GET', address: gone, path: '/x', isReplaceable: true })
  t.equal(await codeOf(stream.text()), 'TIMED_OUT')
})

t.test('a host that is slow and well is waited for', async t => {
  let finish: (reply: ReturnType<typeof text>) => void = () => {}
  let probes = 0
  const server = await smallServer(t, asked => {
    if (asked.target !== '/health') return new Promise<ReturnType<typeof text>>(resolve => { finish = resolve })
    // By the second probe it would have been given up, had it missed the first.
    if (++probes === 3) finish(text('done'))
    return text('OK')
  })
  t.match(await client(t).call({ method: 'GET', address: server.address, path: '/x', isReplaceable: true }), { text: 'done' })
})
