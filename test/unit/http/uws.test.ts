import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { request } from 'undici'
import { type BodySource, type Handler, type HttpServer, type ListenOptions, type Reply } from '../../../net/http/engine.js'
import { text } from '../../../net/http/reply.js'
import { listen } from '../../../net/http/uws.js'
import { AppError, isAppError, messageOf } from '../../../runtime/core/errors.js'
import { pattern } from '../../support/pattern.js'
import { ByteClient, exchange } from '../../support/byte-client.js'

const MIB = 1024 * 1024

async function serve (t: Test, handler: Handler, options: Partial<ListenOptions> = {}): Promise<HttpServer> {
  const server = await listen(handler, { port: 0, host: '127.0.0.1', bodyBytesMax: 64 * MIB, ...options })
  t.teardown(() => server.close(0))
  return server
}

async function connect (t: Test, server: HttpServer): Promise<ByteClient> {
  const client = await ByteClient.connect(server.port)
  t.teardown(() => client.destroy())
  return client
}

/** A promise and the function that resolves it. */
function gate<T = void> (): { readonly opened: Promise<T>, readonly open: (value: T) => void } {
  let open = (_: T): void => {}
  const opened = new Promise<T>(resolve => { open = resolve })
  return { opened, open }
}

async function errorOf (promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(() => undefined, (error: unknown) => error)
}

/** The body of every request, as text; failures are answered with their code. */
const echo: Handler = async request => {
  try {
    return text(Buffer.from(await request.body.bytes(1000)).toString())
  } catch (error) {
    return text(isAppError(error) ? error.code : messageOf(error), 413)
  }
}

t.test('requests arrive as they were sent', async t => {
  const server = await serve(t, request => text([
    request.method, request.rawPath, request.rawQuery, request.header('x-twice'), request.header('absent'), request.remoteAddress
  ].join('|')))
  const client = await connect(t, server)
  await client.write('POST /a%2Fb//c/../d?x=%20&y HTTP/1.1\r\nHost: test\r\nX-Twice: 1\r\nx-twice: 2\r\nContent-Length: 0\r\n\r\n')
  t.match(await client.reply(), { status: 200, body: 'POST|/a%2Fb//c/../d|x=%20&y|1, 2||127.0.0.1' })
  await client.request('BREW', '/pot')
  t.match(await client.reply(), { status: 200, body: 'BREW|/pot||||127.0.0.1' })
})

t.test('replies carry their headers, an exact length and nothing of the library', async t => {
  const server = await serve(t, () => ({ status: 418, headers: { 'X-One': 'a', 'Content-Type': 'b/c' }, body: new Uint8Array([104, 105]) }))
  const { status, headers, body } = await exchange(server.port, 'GET', '/')
  t.equal(status, 418)
  t.match(headers, { 'x-one': 'a', 'content-type': 'b/c', 'content-length': '2' })
  t.same(Object.keys(headers).filter(name => name !== 'date').sort(), ['content-length', 'content-type', 'x-one'])
  t.equal(body, 'hi')
})

t.test('replies without a body', async t => {
  const released: string[] = []
  const source = (): BodySource => ({
    lengthBytes: 10,
    chunks: () => ({
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: true, value: undefined }),
        return: async () => {
          released.push('released')
          return { done: true, value: undefined }
        }
      })
    })
  })
  const replies: Readonly<Record<string, () => Reply>> = {
    '/empty': () => ({ status: 200 }),
    '/204': () => ({ status: 204, body: source() }),
    '/304': () => ({ status: 304, body: 'ignored' }),
    '/text': () => text('hello'),
    '/size': () => ({ status: 200, headLengthBytes: 5_000_000_000 }),
    '/source': () => ({ status: 200, body: source() })
  }
  const server = await serve(t, request => replies[request.rawPath]?.() ?? text('?'))
  for (const [method, path, length] of [
    ['GET', '/empty', '0'], ['HEAD', '/empty', undefined], ['GET', '/204', undefined], ['GET', '/304', undefined], ['HEAD', '/304', undefined],
    ['HEAD', '/text', '5'], ['HEAD', '/size', '5000000000'], ['HEAD', '/source', '10']
  ] as const) {
    const client = await connect(t, server)
    await client.request(method, path)
    const reply = await client.reply(method !== 'HEAD')
    t.equal(reply.headers['content-length'], length, `${method} ${path}`)
    t.equal(reply.body, '')
    await client.request('GET', '/other')
    t.match(await client.reply(), { status: 200, body: '?' }, 'nothing follows it')
  }
  t.equal(released.length, 2, 'bodies that are not sent are let go')
})

t.test('bodies: sized, chunked, on a GET, empty', async t => {
  const server = await serve(t, echo)
  const client = await connect(t, server)
  for (const [message, body] of [
    ['POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello', 'hello'],
    ['POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n', 'abcde'],
    ['GET / HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nhi', 'hi'],
    ['PUT / HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n', ''],
    ['DELETE / HTTP/1.1\r\nHost: t\r\n\r\n', '']
  ] as const) {
    await client.write(message)
    t.match(await client.reply(), { status: 200, body })
  }
})

t.test('a declared body over the limit is refused before the handler sees it', async t => {
  let calls = 0
  const server = await serve(t, () => {
    calls++
    return text('')
  }, { bodyBytesMax: 1000 })
  const client = await connect(t, server)
  await client.write('PUT / HTTP/1.1\r\nHost: t\r\nContent-Length: 10000000000\r\n\r\nabc')
  const reply = await client.reply()
  t.match(reply, { status: 413, isComplete: true, headers: { connection: 'close' }, body: /1000 bytes/ })
  t.equal(calls, 0)
})

t.test('limits of the handler and of chunked bodies', async t => {
  const server = await serve(t, echo, { bodyBytesMax: 2000 })
  for (const [head, body] of [
    ['Content-Length: 1001', 'x'.repeat(1001)],
    ['Transfer-Encoding: chunked', `3e9\r\n${'x'.repeat(1001)}\r\n0\r\n\r\n`]
  ] as const) {
    const client = await connect(t, server)
    await client.write(`POST / HTTP/1.1\r\nHost: t\r\n${head}\r\n\r\n${body}`)
    t.match(await client.reply(), { status: 413, body: 'BODY_TOO_LARGE' })
  }
})

t.test('a slow sink makes the client wait, and gets every byte once', async t => {
  const content = pattern(24 * MIB)
  const received: Buffer[] = []
  const waiting: Array<() => void> = []
  const noticed = gate()
  const server = await serve(t, async request => {
    const total = await request.body.pipe({
      write: chunkView => {
        received.push(Buffer.from(chunkView))
        return new Promise(resolve => {
          waiting.push(resolve)
          noticed.open()
        })
      }
    })
    return text(String(total))
  })
  const client = await connect(t, server)
  await client.write(`POST / HTTP/1.1\r\nHost: t\r\nContent-Length: ${content.length}\r\n\r\n`)
  let isWritten = false
  const writing = client.write(content).then(() => { isWritten = true })
  await noticed.opened
  for (let round = 0; round < 50; round++) await setImmediate()
  t.equal(waiting.length, 1, 'no further chunk before the first is done with')
  t.notOk(isWritten, 'the client is held back')
  const answered = new AbortController()
  const reply = client.reply().finally(() => answered.abort())
  while (!answered.signal.aborted) {
    waiting.shift()?.()
    await setImmediate()
  }
  await writing
  t.match(await reply, { status: 200, body: String(content.length) })
  t.ok(Buffer.concat(received).equals(content))
})

t.test('a body can be asked for late', async t => {
  const content = pattern(3 * MIB)
  const asked = gate()
  const server = await serve(t, async request => {
    await asked.opened
    return text(String(Buffer.from(await request.body.bytes(4 * MIB)).equals(content)))
  })
  const client = await connect(t, server)
  await client.write(`POST / HTTP/1.1\r\nHost: t\r\nContent-Length: ${content.length}\r\n\r\n`)
  const writing = client.write(content)
  for (let round = 0; round < 20; round++) await setImmediate()
  asked.open()
  await writing
  t.match(await client.reply(), { body: 'true' })
})

t.test('what the sink throws comes out of pipe, and the connection lives on', async t => {
  for (const fail of [
    (): void => { throw new AppError('STORAGE_FULL', 'disk full') },
    async (): Promise<void> => { throw new AppError('STORAGE_FULL', 'disk full') }
  ]) {
    const server = await serve(t, async request => {
      const error = await errorOf(request.body.pipe({ write: fail }))
      t.ok(isAppError(error, 'STORAGE_FULL'))
      t.ok(isAppError(await errorOf(request.body.bytes(1)), 'INTERNAL'), 'a body is read only once')
      return text('failed', 503)
    })
    const client = await connect(t, server)
    for (let round = 0; round < 2; round++) {
      await client.write(`POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 200000\r\n\r\n${'x'.repeat(200_000)}`)
      t.match(await client.reply(), { status: 503, body: 'failed' })
    }
  }
})

t.test('a long unread body is thrown away, and the client told to stop', async t => {
  const server = await serve(t, () => text('no', 404))
  const client = await connect(t, server)
  await client.write(`PUT / HTTP/1.1\r\nHost: t\r\nContent-Length: ${8 * MIB}\r\n\r\n`)
  t.match(await client.reply(), { status: 404, headers: { connection: 'close' }, body: 'no' })
  await client.write(pattern(8 * MIB))
  await client.request('GET', '/next')
  t.match(await client.reply(), { status: 404, body: 'no' }, 'a client that insists is understood')
})

t.test('a client that sends all of a body before it reads sees why it was refused', async t => {
  const server = await serve(t, echo, { bodyBytesMax: MIB })
  const chunk = pattern(MIB)
  const chunks = 20
  for (const [what, head, frame] of [
    ['sized', `Content-Length: ${chunks * MIB}`, (part: Uint8Array) => part],
    ['sized, the last request', `Content-Length: ${chunks * MIB}\r\nConnection: close`, (part: Uint8Array) => part],
    ['chunked, the last request', 'Transfer-Encoding: chunked\r\nConnection: close', (part: Uint8Array) => Buffer.concat([Buffer.from('100000\r\n'), part, Buffer.from('\r\n')])]
  ] as const) {
    const client = await connect(t, server)
    client.pause()
    await client.write(`PUT / HTTP/1.1\r\nHost: t\r\n${head}\r\n\r\n`)
    for (let sent = 0; sent < chunks; sent++) await client.write(frame(chunk))
    if (what.startsWith('chunked')) await client.write('0\r\n\r\n')
    client.resume()
    t.match(await client.reply(), { status: 413, isComplete: true }, what)
  }
  for (const headers of [{}, { Connection: 'close' }]) {
    const { statusCode, body } = await request(`http://127.0.0.1:${server.port}/`, { method: 'PUT', headers, body: pattern(8 * MIB) })
    t.equal(statusCode, 413)
    await body.dump()
  }
})

t.test('an answer that waits for the rest of a body is dropped with its client', async t => {
  const released = gate()
  const source: AsyncIterableIterator<Uint8Array> = {
    [Symbol.asyncIterator]: () => source,
    next: async () => await Promise.reject(new Error('nobody is there to read')),
    return: async () => {
      released.open()
      return { done: true, value: undefined }
    }
  }
  const server = await serve(t, () => ({ status: 200, body: { lengthBytes: 5, chunks: () => source } }))
  const client = await connect(t, server)
  await client.write('PUT / HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: 100\r\n\r\nabc')
  client.destroy()
  await t.resolves(released.opened)
})

t.test('a client that goes away cancels its request', async t => {
  for (const headers of ['Content-Length: 100', 'Transfer-Encoding: chunked']) {
    const started = gate()
    const ended = gate<unknown>()
    const aborted = gate()
    const server = await serve(t, async request => {
      request.signal.addEventListener('abort', () => aborted.open())
      started.open()
      ended.open(await errorOf(request.body.bytes(1000)))
      return text('nobody reads this')
    })
    const client = await connect(t, server)
    await client.write(`POST / HTTP/1.1\r\nHost: t\r\n${headers}\r\n\r\n`)
    await started.opened
    client.destroy()
    t.ok(isAppError(await ended.opened, 'CANCELLED'), headers)
    await aborted.opened
  }
})

t.test('a signal that is asked for late is aborted already', async t => {
  const started = gate()
  const ended = gate<boolean>()
  const server = await serve(t, async request => {
    started.open()
    await errorOf(request.body.bytes(1000))
    ended.open(request.signal.aborted)
    return text('')
  })
  const client = await connect(t, server)
  await client.write('POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\n')
  await started.opened
  client.destroy()
  t.equal(await ended.opened, true)
})

t.test('a failure of the client is told only when the sink is done with the last chunk', async t => {
  const inSink = gate()
  const release = gate()
  const order: string[] = []
  const ended = gate()
  const server = await serve(t, async request => {
    request.signal.addEventListener('abort', () => {
      order.push('aborted')
      release.open()
    })
    await errorOf(request.body.pipe({
      write: async () => {
        inSink.open()
        await release.opened
        order.push('sink done')
      }
    }))
    order.push('pipe failed')
    ended.open()
    return text('')
  })
  const client = await connect(t, server)
  await client.write('POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\nabc')
  await inSink.opened
  // A paused connection is not read, so only a reset is noticed at once; a write towards the closed client brings one.
  client.destroy()
  release.open()
  await ended.opened
  t.equal(order.at(-1), 'pipe failed')
  t.ok(order.includes('sink done'))
})

t.test('a streamed body reaches a slow reader complete, and the source waits for it', async t => {
  const content = pattern(32 * MIB)
  let yieldedBytes = 0
  const server = await serve(t, () => ({
    status: 200,
    body: {
      lengthBytes: content.length,
      async * chunks () {
        const view = new Uint8Array(new SharedArrayBuffer(300_000))
        for (let at = 0; at < content.length; at += view.length) {
          const part = content.subarray(at, at + view.length)
          view.set(part)
          yieldedBytes += part.length
          yield view.subarray(0, part.length)
          view.fill(0)
        }
      }
    }
  }))
  const client = await connect(t, server)
  client.pause()
  await client.request('GET', '/')
  for (let round = 0; round < 200; round++) await setImmediate()
  t.ok(yieldedBytes < content.length, 'a client that does not read holds the source back')
  client.resume()
  const reply = await client.reply()
  t.equal(reply.isComplete, true)
  t.ok(Buffer.from(reply.body, 'latin1').equals(content))
  await client.request('GET', '/')
  t.match(await client.reply(), { isComplete: true }, 'the connection is used again')
})

t.test('a large reply in memory reaches a slow reader complete', async t => {
  const content = pattern(16 * MIB)
  const server = await serve(t, () => ({ status: 200, body: content }))
  const client = await connect(t, server)
  client.pause()
  await client.request('GET', '/')
  for (let round = 0; round < 50; round++) await setImmediate()
  client.resume()
  t.ok(Buffer.from((await client.reply()).body, 'latin1').equals(content))
})

t.test('a body that turns out wrong is cut off and never ends cleanly', async t => {
  for (const [name, parts, lengthBytes] of [
    ['fails', [pattern(1000), new Error('disk gone')], 5000],
    ['is short', [pattern(1000)], 5000],
    ['is long', [pattern(1000), pattern(5000)], 5000]
  ] as const) {
    const events: string[] = []
    const isReleased = gate()
    const server = await serve(t, () => ({
      status: 200,
      body: {
        lengthBytes,
        async * chunks () {
          try {
            for (const part of parts) {
              if (part instanceof Error) throw part
              yield part
              // Lets the first part leave, so that it is a reply cut off midway and not one that never began.
              await setImmediate()
            }
          } finally {
            isReleased.open()
          }
        }
      }
    }), { onFailure: (_, event) => { events.push(event) } })
    const reply = await exchange(server.port, 'GET', '/')
    t.match(reply, { status: 200, isComplete: false, headers: { 'content-length': '5000' } }, name)
    await isReleased.opened
    t.same(events, ['reply cut off'])
  }
})

t.test('a body that fails before its first byte becomes an error reply', async t => {
  const server = await serve(t, () => ({
    status: 200,
    body: { lengthBytes: 5, chunks: () => ({ [Symbol.asyncIterator]: () => ({ next: async () => { throw new AppError('STORAGE', 'unreadable') } }) }) }
  }))
  t.match(await exchange(server.port, 'GET', '/'), { status: 500, body: 'unreadable' })
})

t.test('the source is released when the client goes away midway', async t => {
  const isReleased = gate()
  const server = await serve(t, () => ({
    status: 200,
    body: {
      lengthBytes: 1e12,
      async * chunks () {
        try {
          for (;;) yield pattern(100_000)
        } finally {
          isReleased.open()
        }
      }
    }
  }))
  const client = await connect(t, server)
  client.pause()
  await client.request('GET', '/')
  for (let round = 0; round < 20; round++) await setImmediate()
  client.destroy()
  await isReleased.opened
  t.pass('released')
})

t.test('handlers that crash, and replies that cannot be written, become 500', async t => {
  const events: string[] = []
  const handlers: Readonly<Record<string, Handler>> = {
    '/throw': () => { throw new Error('x') },
    '/reject': async () => { throw new Error('x') },
    '/header': () => ({ status: 200, headers: { 'X-Bad': 'a\r\nSet-Cookie: b' }, body: 'ok' }),
    '/name': () => ({ status: 200, headers: { 'X Bad': 'a' }, body: 'ok' })
  }
  const server = await serve(t, request => handlers[request.rawPath]?.(request) ?? text('fine'), { onFailure: (_, event) => { events.push(event) } })
  const client = await connect(t, server)
  for (const path of Object.keys(handlers)) {
    await client.request('GET', path)
    const reply = await client.reply()
    t.equal(reply.status, 500, path)
    t.notOk('set-cookie' in reply.headers)
  }
  t.same(events, ['handler crashed', 'handler crashed', 'reply failed', 'reply failed'])
  await client.request('GET', '/')
  t.match(await client.reply(), { status: 200, body: 'fine' })
})

t.test('requests may be pipelined as long as answers are ready at once', async t => {
  const server = await serve(t, async request => text(request.rawPath))
  const client = await connect(t, server)
  await client.write('GET /1 HTTP/1.1\r\nHost: t\r\n\r\nPOST /2 HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\nHost: t\r\n\r\n')
  for (const body of ['/1', '/2', '/3']) t.match(await client.reply(), { body })
})

t.test('nonsense is refused, and the server lives on', async t => {
  const server = await serve(t, () => text('fine'))
  for (const bytes of ['\0\0\0\0\r\n\r\n', 'GET / HTTP/1.0\r\n\r\n', 'POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', 'GET\r\n\r\n']) {
    const client = await connect(t, server)
    await client.write(bytes)
    await client.closed()
  }
  t.match(await exchange(server.port, 'GET', '/'), { body: 'fine' })
})

t.test('a taken port is named, with what to do', async t => {
  const server = await serve(t, () => text(''))
  const error = await errorOf(listen(() => text(''), { port: server.port, bodyBytesMax: 1 }))
  t.ok(isAppError(error, 'UNAVAILABLE'))
  t.match(messageOf(error), new RegExp(`port ${server.port} .*taken.*another port`))
  const elsewhere = await errorOf(listen(() => text(''), { port: 0, host: '192.0.2.1', bodyBytesMax: 1 }))
  t.match(messageOf(elsewhere), /192\.0\.2\.1: this machine has no such address/)
})

t.test('close lets running requests finish, refuses new ones, and may be called twice', async t => {
  const started = gate()
  const release = gate()
  const server = await serve(t, async () => {
    started.open()
    await release.opened
    return text('done')
  })
  const client = await connect(t, server)
  await client.request('GET', '/')
  await started.opened
  const closing = server.close()
  release.open()
  t.match(await client.reply(), { status: 200, headers: { connection: 'close' }, body: 'done' })
  await closing
  await client.closed()
  await server.close()
})

t.test('close cuts off what takes too long', async t => {
  const started = gate()
  const server = await serve(t, async request => {
    started.open()
    await new Promise(resolve => request.signal.addEventListener('abort', resolve))
    return text('late')
  })
  const client = await connect(t, server)
  await client.request('GET', '/')
  await started.opened
  await server.close(1)
  t.match(await client.reply(), { isComplete: false })
})
