import net from 'node:net'
import t, { type Test } from 'tap'
import { createBlobClient } from '../../../net/client/blob-client.js'
import { type BlobClient, type BlobContent, type BlobStream } from '../../../net/client/clients.js'
import { createHttp } from '../../../net/client/http.js'
import { type BodySource, type Reply } from '../../../net/http/engine.js'
import { rangeReply } from '../../../net/http/range.js'
import { text } from '../../../net/http/reply.js'
import { digestOf, hexOf } from '../../../runtime/core/digest.js'
import { isAppError } from '../../../runtime/core/errors.js'
import { MetaInfo } from '../../../runtime/core/metainfo.js'
import { seededPrng } from '../../../runtime/core/prng.js'
import { noLog } from '../../../runtime/observe/log.js'
import { ManualTime, neverSleep } from '../../support/manual-time.js'
import { pattern } from '../../support/pattern.js'
import { type Asked, deadAddress, smallServer, type SmallServer } from '../../support/small-server.js'

const CONTENT = pattern(3_000_000)
const DIGEST = digestOf(CONTENT)
/** Between two rounds of health checks, of which there are none here. */
const NEVER_MS = 1e9
const BLOB = `/namespace/n/blobs/${DIGEST}`

/** A cluster whose owners are these servers, in this order; `answers` are asked for all but the locations. */
async function cluster (t: Test, ...answers: Array<((asked: Asked) => Reply) | 'dead'>): Promise<{
  client: BlobClient, servers: SmallServer[], sleeps: number[], asked: (i: number) => string[]
}> {
  const http = createHttp()
  t.teardown(() => http.close())
  const addresses: string[] = []
  const servers: SmallServer[] = []
  for (const answer of answers) {
    const locate = (): Reply => ({ status: 200, headers: { 'Origin-Locations': addresses.join(',') } })
    const server = answer === 'dead' ? undefined : await smallServer(t, asked => asked.target.endsWith('/locations') ? locate() : answer(asked))
    if (server !== undefined) servers.push(server)
    addresses.push(server?.address ?? await deadAddress(t))
  }
  const sleeps: number[] = []
  const time = new ManualTime()
  const client = createBlobClient({
    hosts: {
      hosts: { static: addresses, dns: undefined, ttlMs: 5000 },
      health: { failsMax: 3, passesMin: 2, timeoutMs: 3000, intervalMs: NEVER_MS }
    },
    http,
    log: noLog,
    prng: seededPrng(1),
    clock: time.clock,
    sleep: async (ms, signal) => {
      if (ms === NEVER_MS) return await time.sleep(ms, signal)
      sleeps.push(ms)
      await time.advance(ms)
    },
    patience: neverSleep
  })
  t.teardown(() => client.close())
  const asked = (i: number): string[] => servers[i]?.journal.filter(line => !line.endsWith('/locations')) ?? []
  return { client, servers, sleeps, asked }
}

async function collect (stream: BlobStream): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of stream.chunks()) parts.push(Buffer.from(part))
  return Buffer.concat(parts)
}

async function failureOf (promise: Promise<unknown>): Promise<unknown> { return await promise.then(() => undefined, (error: unknown) => error) }

/** An origin of ours: ranges and a length. */
function serve (asked: Asked): Reply {
  return rangeReply({
    request: { method: asked.method, header: name => asked.header(name) },
    sizeBytes: CONTENT.length,
    headers: {},
    body: ({ offset, lengthBytes }) => CONTENT.subarray(offset, offset + lengthBytes)
  })
}

/** Promises the right length and breaks off after some bytes. */
function cutAfter (sentBytes: number): (asked: Asked) => Reply {
  return asked => {
    const whole = serve(asked)
    if (!(whole.body instanceof Uint8Array)) return whole
    const bytes = whole.body
    const body: BodySource = {
      lengthBytes: bytes.length,
      async * chunks () {
        yield bytes.subarray(0, sentBytes)
        await new Promise(resolve => { setImmediate(resolve) })
        throw new Error('disk gone')
      }
    }
    return { ...whole, body }
  }
}

t.test('a download comes from the best owner', async t => {
  const { client, asked } = await cluster(t, serve, serve)
  const stream = await client.download('n', DIGEST)
  t.equal(stream.sizeBytes, CONTENT.length)
  t.ok((await collect(stream)).equals(CONTENT))
  t.same([asked(0), asked(1)], [[`GET ${BLOB}`], []])
})

t.test('parts of a blob, from origins with and without ranges', async t => {
  for (const origin of [serve, (): Reply => ({ status: 200, body: CONTENT })]) {
    const { client } = await cluster(t, origin)
    for (const [offset, lengthBytes] of [[0, 10], [1_000_000, 1_500_000], [2_999_999, 1], [2_000_000, undefined], [2_999_990, 100]] as const) {
      const stream = await client.download('n', DIGEST, { offset, lengthBytes })
      const expected = CONTENT.subarray(offset, lengthBytes === undefined ? undefined : offset + lengthBytes)
      t.equal(stream.sizeBytes, expected.length)
      t.ok((await collect(stream)).equals(expected), `${lengthBytes} at ${offset}`)
    }
  }
  const { client } = await cluster(t, asked => asked.method === 'HEAD' ? { status: 200, headLengthBytes: CONTENT.length } : serve(asked))
  t.equal((await collect(await client.download('n', DIGEST, { offset: 5, lengthBytes: 0 }))).length, 0)
  t.ok(isAppError(await failureOf(client.download('n', DIGEST, { offset: CONTENT.length })), 'RANGE_NOT_SATISFIABLE'))
})

t.test('an owner that is fetching the blob is asked again, soon at first', async t => {
  let calls = 0
  const { client, sleeps, asked } = await cluster(t, request => ++calls < 20 ? { status: 202 } : serve(request), serve)
  t.ok((await collect(await client.download('n', DIGEST))).equals(CONTENT))
  t.equal(asked(0).length, 20)
  t.same(asked(1), [])
  let delay = 200
  for (const slept of sleeps) {
    t.ok(Math.abs(slept / delay - 1) <= 0.05, `${slept} is about ${delay}`)
    delay = Math.min(delay * 1.3, 5000)
  }
})

t.test('an owner that fetches for a quarter of an hour is given up', async t => {
  const { client, asked, sleeps } = await cluster(t, () => ({ status: 202 }), serve)
  t.ok((await collect(await client.download('n', DIGEST))).equals(CONTENT))
  const total = sleeps.reduce((sum, ms) => sum + ms, 0)
  t.ok(total >= 900_000 && total < 910_000, `${total} ms`)
  t.equal(asked(1).length, 1)
})

t.test('a download that breaks off is resumed at the next owner, where it broke off', async t => {
  const ranges: Array<string | undefined> = []
  const noted = (answer: (asked: Asked) => Reply) => (asked: Asked): Reply => {
    ranges.push(asked.header('range'))
    return answer(asked)
  }
  const { client } = await cluster(t, noted(cutAfter(1_000_000)), noted(cutAfter(500_000)), noted(serve))
  t.ok((await collect(await client.download('n', DIGEST))).equals(CONTENT))
  t.same(ranges, [undefined, 'bytes=1000000-2999999', 'bytes=1500000-2999999'])
})

t.test('owners without ranges send all again, and only what is missing is passed on', async t => {
  const { client } = await cluster(t, cutAfter(1_234_567), () => ({ status: 200, body: CONTENT }))
  t.ok((await collect(await client.download('n', DIGEST, { offset: 7 }))).equals(CONTENT.subarray(7)))
})

t.test('answers that cannot be right are not appended', async t => {
  const wrongRange = (): Reply => ({ status: 206, headers: { 'Content-Range': 'bytes 0-99/3000000' }, body: pattern(100) })
  const { client } = await cluster(t, cutAfter(1_000_000), wrongRange, serve)
  t.ok((await collect(await client.download('n', DIGEST))).equals(CONTENT), 'an owner that answers another range is passed over')
  const shorter = await cluster(t, cutAfter(1_000_000), () => ({ status: 200, body: CONTENT.subarray(0, 2_000_000) }))
  t.ok(isAppError(await failureOf(shorter.client.download('n', DIGEST).then(collect)), 'CORRUPT'), 'nor is other content')
})

t.test('a download that gets nowhere ends', async t => {
  const { client, asked } = await cluster(t, cutAfter(1), cutAfter(1))
  t.ok(isAppError(await failureOf(client.download('n', DIGEST).then(collect)), 'NETWORK'))
  t.equal(asked(0).length + asked(1).length, 6)
})

t.test('bodies without a length are measured against the size that the origin states', async t => {
  const chunked = async (body: string, sizeBytes: number): Promise<unknown> => {
    const server = net.createServer(socket => {
      socket.on('error', () => {})
      socket.on('data', (data: Buffer) => {
        const request = data.toString()
        if (request.includes('/locations')) socket.write(`HTTP/1.1 200 OK\r\nOrigin-Locations: ${address}\r\nContent-Length: 0\r\n\r\n`)
        else if (request.startsWith('HEAD')) socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${sizeBytes}\r\n\r\n`)
        else socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`)
      })
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const bound = server.address()
    const address = `127.0.0.1:${typeof bound === 'object' && bound !== null ? bound.port : 0}`
    const http = createHttp()
    const client = createBlobClient({
      hosts: { hosts: { static: [address], dns: undefined, ttlMs: 1 }, health: { failsMax: 3, passesMin: 2, timeoutMs: 1, intervalMs: NEVER_MS } },
      http,
      log: noLog,
      sleep: new ManualTime().sleep
    })
    const outcome = await client.download('n', DIGEST).then(collect).then(String, (error: unknown) => error)
    await client.close()
    await http.close()
    server.close()
    return outcome
  }
  t.equal(await chunked('0123456789', 10), '0123456789')
  t.ok(isAppError(await chunked('012 copy: disk gone', 1000), 'NETWORK'), 'an error text at the end is not resumed after')
  t.ok(isAppError(await chunked('0123456789 and more', 10), 'CORRUPT'))
})

t.test('unknown blobs, and origins that do not answer', async t => {
  const absent = await cluster(t, 'dead', () => ({ status: 404 }))
  t.ok(isAppError(await failureOf(absent.client.download('n', DIGEST)), 'BLOB_UNKNOWN'))
  t.equal(await absent.client.stat('n', DIGEST), undefined)
  t.same(await absent.client.metaInfo('n', DIGEST), { status: 'unknown' })
  const fails = await cluster(t, () => text('no backend', 500), 'dead')
  const calls: ReadonlyArray<(client: BlobClient) => Promise<unknown>> = [
    async client => await client.download('n', DIGEST),
    async client => await client.stat('n', DIGEST),
    async client => await client.metaInfo('n', DIGEST),
    async client => await client.owners(DIGEST),
    async client => { await client.checkReadiness() }
  ]
  for (const call of calls) t.match(await failureOf(call(fails.client)), { code: /UNAVAILABLE|NETWORK/ })
  const nobody = await cluster(t, 'dead', 'dead')
  t.ok(isAppError(await failureOf(nobody.client.locations(DIGEST)), 'UNAVAILABLE'))
})

t.test('one owner that has it is enough', async t => {
  const metaInfo = new MetaInfo(hexOf(DIGEST), 3, 4, Uint32Array.of(1))
  const { client } = await cluster(t, () => ({ status: 404 }), 'dead', asked => {
    if (asked.target.endsWith('/metainfo')) return text(metaInfo.serialize())
    return asked.method === 'HEAD' ? { status: 200, headLengthBytes: 3_000_000 } : serve(asked)
  })
  t.same(await client.stat('n', DIGEST), { sizeBytes: CONTENT.length })
  t.match(await client.metaInfo('n', DIGEST), { status: 'found' })
  t.ok((await collect(await client.download('n', DIGEST))).equals(CONTENT))
})

t.test('pending metainfo ends the walk', async t => {
  const { client, asked } = await cluster(t, () => ({ status: 202 }), serve)
  t.same(await client.metaInfo('n', DIGEST), { status: 'pending' })
  t.same(asked(1), [])
})

t.test('an upload goes on to the next owner only where that may help', async t => {
  const content: BlobContent = {
    sizeBytes: CONTENT.length,
    async * read (offset, lengthBytes) { yield CONTENT.subarray(offset, offset + lengthBytes) }
  }
  const received: Buffer[] = []
  const takes = (asked: Asked): Reply => {
    if (asked.method === 'PATCH') received.push(asked.body)
    return { status: 200, headers: { Location: 'u' } }
  }
  const { client } = await cluster(t, 'dead', asked => asked.method === 'PATCH' ? { status: 503 } : takes(asked), takes)
  await client.upload('n', DIGEST, content)
  t.ok(Buffer.concat(received).equals(CONTENT))
  const refusing = await cluster(t, () => text('store failure', 500), takes)
  t.ok(isAppError(await failureOf(refusing.client.upload('n', DIGEST, content)), 'UNAVAILABLE'))
  t.same(refusing.asked(1), [])
})

t.test('a signal ends what waits', async t => {
  const controller = new AbortController()
  const { client } = await cluster(t, () => {
    controller.abort()
    return { status: 202 }
  }, serve)
  t.ok(isAppError(await failureOf(client.download('n', DIGEST, { signal: controller.signal })), 'CANCELLED'))
  t.ok(isAppError(await failureOf(client.locations(DIGEST, { signal: controller.signal })), 'CANCELLED'))
  t.ok(isAppError(await failureOf(client.stat('n', DIGEST, { signal: controller.signal })), 'CANCELLED'))
})
