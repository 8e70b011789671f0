import { randomUUID } from 'node:crypto'
import { truncate } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { originApi } from '../../net/api/origin.js'
import { pathOf } from '../../net/api/route.js'
import { type Digest, digestOf, EMPTY_DIGEST, hexOf } from '../../runtime/core/digest.js'
import { makePeerId } from '../../runtime/core/peer-id.js'
import { blobDir, dataIn, sidecarIn, SIDECARS } from '../../runtime/store/paths.js'
import { push, startOrigins, type TestOrigin } from '../support/origin-cluster.js'
import { pattern } from '../support/pattern.js'

const namespace = 'team/app'
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/
const BLOB_TYPE = 'application/octet-stream-v1'
const TEXT_TYPE = 'text/plain; charset=utf-8'
const AB = `sha256:${'ab'.repeat(32)}` as Digest

const blobPath = (digest: Digest): string => pathOf(originApi.download, { namespace, digest })
const metaInfoPath = (digest: Digest): string => pathOf(originApi.metaInfo, { namespace, digest })
const statPath = (digest: Digest, query = ''): string => pathOf(originApi.stat, { namespace, digest }) + query
const uploadPath = (digest: Digest, uid: string): string => pathOf(originApi.patchUpload, { namespace, digest, uid })

async function begin (origin: TestOrigin, digest: Digest): Promise<string> {
  const started = await origin.call('POST', pathOf(originApi.startUpload, { namespace, digest }))
  return started.headers.location ?? ''
}

function pieces (bytes: Uint8Array, pieceBytes: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / pieceBytes) }, (_, i) => bytes.subarray(i * pieceBytes, (i + 1) * pieceBytes))
}

t.test('one origin', async t => {
  const [origin] = await startOrigins(t, 1) as [TestOrigin]

  t.test('health, readiness, locations and peer context, byte by byte', async t => {
    for (const path of ['/health', '/readiness']) {
      const answer = await origin.call('GET', path)
      t.match(answer, { status: 200, headers: { 'content-type': TEXT_TYPE, 'content-length': '3' } })
      t.equal(answer.body.toString('hex'), '4f4b0a')
    }
    const locations = await origin.call('GET', `/blobs/${AB}/locations`)
    t.match(locations, { status: 200, headers: { 'origin-locations': origin.address, 'content-length': '0' } })
    const context = await origin.call('GET', '/internal/peercontext')
    const port = origin.ports['peer-port'] ?? 0
    const id = [...Buffer.from(makePeerId('addr_hash', '127.0.0.1', port), 'hex')]
    t.equal(context.body.toString(), `{"ip":"127.0.0.1","port":${port},"peer_id":[${id.join(',')}],"zone":"","cluster":"","origin":true}\n`)
    t.equal(context.headers['content-type'], TEXT_TYPE)
  })

  t.test('unknown paths and methods', async t => {
    for (const [method, path] of [['GET', '/nope'], ['PUT', '/health'], ['GET', '/health/'], ['HEAD', blobPath(AB)], ['PATCH', uploadPath(AB, '')]] as const) {
      const answer = await origin.call(method, path)
      t.match(answer, { status: 404, headers: { 'content-type': TEXT_TYPE, 'x-content-type-options': 'nosniff', 'content-length': '19' } }, `${method} ${path}`)
      t.equal(answer.body.toString(), method === 'HEAD' ? '' : '404 page not found\n')
    }
  })

  t.test('a script uploads a blob and reads it', async t => {
    const digest = digestOf('hello')
    const started = await origin.call('POST', `/namespace/team%2Fapp/blobs/${digest}/uploads`)
    t.match(started, { status: 200, headers: { 'content-length': '0' } })
    t.match(started.headers.location, UUID)
    const upload = `/namespace/team%2Fapp/blobs/${digest}/uploads/${started.headers.location}`
    t.match(await origin.call('PATCH', upload, { headers: { 'Content-Range': '0-5' }, body: 'hello' }), { status: 200, headers: { 'content-length': '0' } })
    t.match(await origin.call('PUT', upload), { status: 200, headers: { 'content-length': '0' } })
    const answer = await origin.call('GET', blobPath(digest))
    t.match(answer, { status: 200, headers: { 'content-type': BLOB_TYPE, 'content-length': '5', 'accept-ranges': 'bytes' } })
    t.equal(answer.body.toString(), 'hello')
    for (const query of ['', '?local=true', '?local=', '?local=0']) {
      t.match(await origin.call('HEAD', statPath(digest, query)), { status: 200, headers: { 'content-length': '5' } })
    }
    t.equal((await origin.call('HEAD', statPath(digest))).headers['content-type'], undefined)
    t.equal((await origin.call('HEAD', statPath(digest, '?local=maybe'))).status, 500)
  })

  t.test('what is there already is a conflict without a location, at each step', async t => {
    const bytes = Buffer.from('there already')
    const digest = digestOf(bytes)
    const old = await begin(origin, digest)
    t.equal((await push(origin, bytes)).status, 200)
    for (const [method, path] of [
      ['POST', pathOf(originApi.startUpload, { namespace, digest })],
      ['PATCH', uploadPath(digest, old)],
      ['PUT', uploadPath(digest, old)],
      ['PUT', uploadPath(digest, randomUUID())],
      ['POST', pathOf(originApi.startTransfer, { digest })]
    ] as const) {
      const answer = await origin.call(method, path, { headers: { 'Content-Range': '0-5' }, ...method === 'PATCH' ? { body: 'there' } : {} })
      t.match(answer, { status: 409, headers: { 'content-length': '0', location: undefined } }, `${method} ${path}`)
    }
    const duplicate = pathOf(originApi.commitDuplicate, { namespace, digest, uid: randomUUID() })
    t.equal((await origin.call('PUT', duplicate, { body: '{"Delay":0}' })).status, 409)
  })

  t.test('chunks in any order, overlapping, empty, with surplus, and with gaps', async t => {
    const bytes = pattern(300_000)
    const digest = digestOf(bytes)
    const upload = uploadPath(digest, await begin(origin, digest))
    const patch = async (range: string, body: Uint8Array): Promise<number> =>
      (await origin.call('PATCH', upload, { headers: { 'Content-Range': range }, body })).status
    t.equal(await patch('200000-300000', bytes.subarray(200_000)), 200)
    t.equal(await patch('0-0', new Uint8Array(0)), 200)
    t.equal(await patch('0-150000', bytes.subarray(0, 150_000)), 200)
    t.equal(await patch('100000-250000', bytes.subarray(100_000)), 200, 'the surplus is not kept')
    t.equal((await origin.call('PUT', upload)).status, 200)
    t.ok((await origin.call('GET', blobPath(digest))).body.equals(bytes))

    const gap = Buffer.concat([Buffer.from('ab'), Buffer.alloc(3), Buffer.from('cd')])
    const gapUpload = uploadPath(digestOf(gap), await begin(origin, digestOf(gap)))
    await origin.call('PATCH', gapUpload, { headers: { 'Content-Range': '5-7' }, body: 'cd' })
    await origin.call('PATCH', gapUpload, { headers: { 'Content-Range': '0-2' }, body: 'ab' })
    t.equal((await origin.call('PUT', gapUpload)).status, 200)
  })

  t.test('the empty blob, with and without a chunk', async t => {
    for (const hasChunk of [true, false]) {
      const upload = uploadPath(EMPTY_DIGEST, await begin(origin, EMPTY_DIGEST))
      if (hasChunk) t.equal((await origin.call('PATCH', upload, { headers: { 'Content-Range': '0-0' } })).status, 200)
      t.equal((await origin.call('PUT', upload)).status, 200)
      const answer = await origin.call('GET', blobPath(EMPTY_DIGEST))
      t.match(answer, { status: 200, headers: { 'content-length': '0', 'content-type': BLOB_TYPE } })
      t.match(await origin.call('HEAD', statPath(EMPTY_DIGEST)), { status: 200, headers: { 'content-length': '0' } })
      const metaInfo = `{"Info":{"PieceLength":4194304,"PieceSums":null,"Name":"${hexOf(EMPTY_DIGEST)}","Length":0}}`
      t.equal((await origin.call('GET', metaInfoPath(EMPTY_DIGEST))).body.toString(), metaInfo)
      t.equal((await origin.call('DELETE', pathOf(originApi.deleteBlob, { digest: EMPTY_DIGEST }))).status, 202)
    }
  })

  t.test('bad digests', async t => {
    for (const [digest, text] of [
      ['sha256:abcd', 'parse digest: invalid sha256: expected 64 characters, got 4 from "abcd"'],
      ['ab'.repeat(32), "parse digest: invalid digest: expected '<algo>:<hex>'"],
      [`sha512:${'ab'.repeat(64)}`, 'parse digest: invalid digest algo: expected sha256'],
      [`sha256:${'z'.repeat(64)}`, "parse digest: invalid sha256: hex: encoding/hex: invalid byte: U+007A 'z'"]
    ] as const) {
      for (const [method, path] of [
        ['POST', `/namespace/team%2Fapp/blobs/${digest}/uploads`], ['GET', `/namespace/team%2Fapp/blobs/${digest}`],
        ['GET', `/blobs/${digest}/locations`], ['DELETE', `/internal/blobs/${digest}`]
      ] as const) {
        const answer = await origin.call(method, path)
        t.match(answer, { status: 400, headers: { 'content-type': TEXT_TYPE } }, `${method} ${path}`)
        t.equal(answer.body.toString(), text)
      }
    }
    const upper = await origin.call('POST', `/namespace/team%2Fapp/blobs/sha256:${'AB'.repeat(32)}/uploads`)
    t.equal(upper.status, 200, 'upper-case hex is taken, and can never be committed')
  })

  t.test('bad ranges, short bodies and unknown uploads', async t => {
    const bytes = Buffer.from('0123456789')
    const digest = digestOf(bytes)
    const upload = uploadPath(digest, await begin(origin, digest))
    for (const [range, text] of [
      [undefined, 'no Content-Range header'],
      ['bytes 0-4/5', 'cannot parse start of range in Content-Range header "bytes 0-4/5": strconv.ParseInt: parsing "bytes 0": invalid syntax'],
      ['a-b', 'cannot parse start of range in Content-Range header "a-b": strconv.ParseInt: parsing "a": invalid syntax'],
      ['0-b', 'cannot parse end of range in Content-Range header "0-b": strconv.ParseInt: parsing "b": invalid syntax'],
      ['0,5', 'cannot parse Content-Range header "0,5": expected format "start-end"'],
      ['-1-5', 'cannot parse Content-Range header "-1-5": expected format "start-end"'],
      ['1099511627770-1099511627780', undefined]
    ] as const) {
      const answer = await origin.call('PATCH', upload, { headers: range === undefined ? {} : { 'Content-Range': range }, body: bytes })
      t.equal(answer.status, 400, String(range))
      if (text !== undefined) t.equal(answer.body.toString(), text)
      const unknown = await origin.call('PATCH', uploadPath(digest, randomUUID()), { headers: range === undefined ? {} : { 'Content-Range': range }, body: bytes })
      t.equal(unknown.status, 400, 'the range is looked at first')
    }
    const short = await origin.call('PATCH', upload, { headers: { 'Content-Range': '0-11' }, body: bytes })
    t.equal(short.status, 400)
    const far = await origin.call('PATCH', upload, { headers: { 'Content-Range': '5-30' }, body: bytes })
    t.equal(far.status, 400)
    t.equal((await origin.call('PATCH', upload, { headers: { 'Content-Range': '0-10' }, body: bytes })).status, 200)
    t.equal((await origin.call('PUT', upload)).status, 200, 'nothing of the short chunks is left')
    const other = digestOf('other')
    for (const uid of [randomUUID(), 'nonsense', '..%2F..%2Fcache', '%2Fetc']) {
      const path = `/namespace/team%2Fapp/blobs/${other}/uploads/${uid}`
      t.match(await origin.call('PATCH', path, { headers: { 'Content-Range': '0-5' }, body: 'other' }), { status: 404, headers: { 'content-length': '0' } }, uid)
      t.match(await origin.call('PUT', path), { status: 404, headers: { 'content-length': '0' } }, uid)
    }
  })

  t.test('the wrong bytes are refused by name, and the upload is gone', async t => {
    const upload = uploadPath(AB, await begin(origin, AB))
    await origin.call('PATCH', upload, { headers: { 'Content-Range': '0-5' }, body: 'hello' })
    const refused = await origin.call('PUT', upload)
    t.match(refused, { status: 400, headers: { 'content-type': TEXT_TYPE } })
    t.equal(refused.body.toString(),
      `move upload file to cache: verify digest: computed digest ${digestOf('hello')} doesn't match expected value ${AB}`)
    t.equal((await origin.call('PUT', upload)).status, 404)
    t.equal((await origin.call('GET', blobPath(AB))).status, 404)
  })

  t.test('internal transfers and duplicates', async t => {
    const bytes = pattern(77)
    const digest = digestOf(bytes)
    const started = await origin.call('POST', `${pathOf(originApi.startTransfer, { digest })}?size=77`)
    const uid = started.headers.location ?? ''
    t.equal((await origin.call('PATCH', pathOf(originApi.patchTransfer, { digest, uid }), { headers: { 'Content-Range': '0-77' }, body: bytes })).status, 200)
    const duplicate = pathOf(originApi.commitDuplicate, { namespace, digest, uid })
    for (const [body, text] of [['', 'decode body: EOF'], ['{"Delay":', 'decode body: unexpected EOF'], ['{"Delay":"soon"}', undefined], ['[1]', undefined]] as const) {
      const refused = await origin.call('PUT', duplicate, { body })
      t.equal(refused.status, 500, body)
      if (text !== undefined) t.equal(refused.body.toString(), text)
    }
    t.match(await origin.call('PUT', duplicate, { body: '{"delay":1800000000000}\n' }), { status: 200, headers: { 'content-length': '0' } })
    t.ok((await origin.call('GET', blobPath(digest))).body.equals(bytes))

    const other = pattern(78)
    const uid2 = (await origin.call('POST', pathOf(originApi.startTransfer, { digest: digestOf(other) }))).headers.location ?? ''
    const path = pathOf(originApi.patchTransfer, { digest: digestOf(other), uid: uid2 })
    await origin.call('PATCH', path, { headers: { 'Content-Range': '0-78' }, body: other })
    t.equal((await origin.call('PUT', path)).status, 200)
  })

  t.test('ranges of a blob', async t => {
    const bytes = pattern(1024)
    const digest = digestOf(bytes)
    await push(origin, bytes)
    for (const [range, first, last] of [['bytes=10-19', 10, 19], ['bytes=1000-', 1000, 1023], ['bytes=-24', 1000, 1023], ['bytes=1023-9999', 1023, 1023]] as const) {
      const answer = await origin.call('GET', blobPath(digest), { headers: { Range: range } })
      t.match(answer, { status: 206, headers: { 'content-range': `bytes ${first}-${last}/1024`, 'content-type': BLOB_TYPE } }, range)
      t.ok(answer.body.equals(bytes.subarray(first, last + 1)), range)
    }
    t.match(await origin.call('GET', blobPath(digest), { headers: { Range: 'bytes=1024-' } }), { status: 416, headers: { 'content-range': 'bytes */1024' } })
    t.equal((await origin.call('GET', blobPath(digest), { headers: { Range: 'lines=1-2' } })).status, 200)
  })

  t.test('what is not there', async t => {
    t.match(await origin.call('GET', blobPath(AB)), { status: 404, headers: { 'content-length': '0' } })
    t.match(await origin.call('GET', metaInfoPath(AB)), { status: 404, headers: { 'content-length': '0' } })
    const stat = await origin.call('HEAD', statPath(AB))
    t.equal(stat.status, 404)
    t.equal(stat.headers['content-length'], undefined)
    t.match(await origin.call('DELETE', `/internal/blobs/${AB}`), { status: 404, headers: { 'content-length': '0' } })
    const overwritten = await origin.call('POST', `/internal/blobs/${AB}/metainfo?piece_length=4`)
    t.equal(overwritten.status, 500)
  })

  t.test('deletion', async t => {
    const digest = digestOf('to be deleted')
    await push(origin, Buffer.from('to be deleted'))
    t.match(await origin.call('DELETE', `/internal/blobs/${digest}`), { status: 202, headers: { 'content-length': '0' } })
    t.equal((await origin.call('DELETE', `/internal/blobs/${digest}`)).status, 404)
    t.equal((await origin.call('GET', blobPath(digest))).status, 404)
    t.equal((await push(origin, Buffer.from('to be deleted'))).status, 200, 'it can come back')
  })

  t.test('pieces of another length', async t => {
    const bytes = pattern(1024)
    await push(origin, bytes)
    const path = `/internal/blobs/${digestOf(bytes)}/metainfo`
    t.match(await origin.call('POST', `${path}?piece_length=256`), { status: 200, headers: { 'content-length': '0' } })
    t.equal((await origin.call('GET', metaInfoPath(digestOf(bytes)))).body.toString(),
      `{"Info":{"PieceLength":256,"PieceSums":[688229491,1168215789,4031613263,2632551377],"Name":"${hexOf(digestOf(bytes))}","Length":1024}}`)
    for (const [query, text] of [['', ''], ['?piece_length=x', 'x']] as const) {
      const answer = await origin.call('POST', path + query)
      t.equal(answer.status, 400)
      t.equal(answer.body.toString(), `invalid piece_length argument: strconv.ParseInt: parsing "${text}": invalid syntax`)
    }
    for (const length of ['0', '-1', '9223372036854775807']) t.equal((await origin.call('POST', `${path}?piece_length=${length}`)).status, 500)
  })

  t.test('a client that goes away midway leaves nothing that counts', async t => {
    const bytes = pattern(100_000)
    const digest = digestOf(bytes)
    const upload = uploadPath(digest, await begin(origin, digest))
    const socket = connect(origin.config.port, '127.0.0.1')
    socket.on('error', () => {})
    const head = `PATCH ${upload} HTTP/1.1\r\nHost: ${origin.address}\r\nContent-Range: 0-200000\r\nContent-Length: 200000\r\n\r\n`
    await new Promise(resolve => socket.write(Buffer.concat([Buffer.from(head), Buffer.alloc(150_000, 1)]), resolve))
    socket.destroy()
    // The next chunk of the same upload waits for the end of the one before.
    t.equal((await origin.call('PATCH', upload, { headers: { 'Content-Range': '0-100000' }, body: bytes })).status, 200)
    t.equal((await origin.call('PUT', upload)).status, 200)
  })

  t.test('many clients push one blob at the same time', async t => {
    const bytes = pattern(1_000_003)
    const commits = await Promise.all(Array.from({ length: 8 }, async () => await push(origin, bytes)))
    t.ok(commits.every(({ status }) => status === 200 || status === 409))
    t.equal(commits.filter(({ status }) => status === 200).length, 1)
    t.ok((await origin.call('GET', blobPath(digestOf(bytes)))).body.equals(bytes))
  })
})

t.test('metainfo, digit by digit', async t => {
  const [origin] = await startOrigins(t, 1, {
    pieceLengths: [{ minBlobBytes: 0, pieceBytes: 1_048_576 }, { minBlobBytes: 4_194_303, pieceBytes: 4_194_304 }]
  }) as [TestOrigin]
  for (const [name, lengthBytes, pieceBytes, digest, sums] of [
    ['V4', 10, 4, '1f825aa2f0020ef7cf91dfa30da4668d791c5d4824fc8e41354b89ec05795ab3', '2344191507,1624488069,4040958035'],
    ['V5', 10_485_760, 4_194_304, '60d53b59a4ec333fe07505746fe8cb50a8e8a3e87a4e0489c6f32175a9f0b5a0', '2027039441,2027540590,894893167'],
    ['V6', 2_097_152, 1_048_576, 'ff595a0efabe363a3f96957001e471bde72330dbf3875f0e967fc1fd07e4c74d', '55887409,3320951116'],
    ['V7', 2_621_440, 1_048_576, 'e27a221647eb054a0d1bc7cbd5c36a94cdc0e1a793d26c4ac1da696719fdfc11', '55887409,3320951116,4117020491'],
    ['V8', 4_194_303, 4_194_304, '9d843b8e919af3cc5fcc7d606ac8699386138b8e83582e4a1082c3cd361631ab', '3666412369'],
    ['V9', 4_194_304, 4_194_304, '84c2719a0a1974aefc0ed2bf13dc2cf02dda82037a51c14975ec34e78c87a52e', '2027039441'],
    ['V10', 4_194_305, 4_194_304, 'c590b88a1c634a049d58061c1a9b01860a954678b3ee1e6ccb4e5c8ad9e85350', '2027039441,2766056989']
  ] as const) {
    t.test(`${name}: ${lengthBytes} bytes in pieces of ${pieceBytes}`, async t => {
      const bytes = pattern(lengthBytes)
      t.equal(hexOf(digestOf(bytes)), digest)
      await push(origin, bytes)
      if (pieceBytes < 1_048_576) await origin.call('POST', `/internal/blobs/${digestOf(bytes)}/metainfo?piece_length=${pieceBytes}`)
      const path = metaInfoPath(digestOf(bytes))
      const expected = `{"Info":{"PieceLength":${pieceBytes},"PieceSums":[${sums}],"Name":"${digest}","Length":${lengthBytes}}}`
      const answer = await origin.call('GET', path)
      t.match(answer, { status: 200, headers: { 'content-type': TEXT_TYPE, 'content-length': String(expected.length) } })
      t.equal(answer.body.toString(), expected)
      const pieceSums = Buffer.concat(pieces(bytes, pieceBytes).map(piece => Buffer.from(hexOf(digestOf(piece)), 'hex'))).toString('base64')
      const withDigests = await origin.call('GET', path, { headers: { 'shoal-piece-digests': '1' } })
      t.equal(withDigests.body.toString(), `${expected.slice(0, -1)},"PieceSHA256":"${pieceSums}"}`)
    })
  }
})

t.test('a restart keeps blobs and uploads, and mends what a crash tore', async t => {
  const [origin] = await startOrigins(t, 1) as [TestOrigin]
  const bytes = pattern(500_000)
  const whole = digestOf('whole')
  await push(origin, Buffer.from('whole'))
  const torn = digestOf('torn')
  await push(origin, Buffer.from('torn'))
  const short = digestOf('cut short')
  await push(origin, Buffer.from('cut short'))
  const upload = uploadPath(digestOf(bytes), await begin(origin, digestOf(bytes)))
  await origin.call('PATCH', upload, { headers: { 'Content-Range': '0-300000' }, body: bytes.subarray(0, 300_000) })
  await origin.stop()
  const { cacheDir } = origin.config.castore
  await truncate(sidecarIn(blobDir(cacheDir, hexOf(torn)), SIDECARS.torrentMeta), 20)
  await truncate(dataIn(blobDir(cacheDir, hexOf(short))), 3)
  await origin.start()
  t.equal((await origin.call('GET', blobPath(whole))).body.toString(), 'whole')
  t.match((await origin.call('GET', metaInfoPath(torn))).body.toString(), /"Length":4}}$/)
  t.equal((await origin.call('GET', blobPath(short))).status, 404, 'bytes that are not the blob are never served')
  t.equal((await push(origin, Buffer.from('cut short'))).status, 200)
  t.equal((await origin.call('PATCH', upload, { headers: { 'Content-Range': '300000-500000' }, body: bytes.subarray(300_000) })).status, 200)
  t.equal((await origin.call('PUT', upload)).status, 200)
  t.ok((await origin.call('GET', blobPath(digestOf(bytes)))).body.equals(bytes))
})

t.test('an origin that is no member does not start, and leaves nothing behind', async t => {
  const [origin] = await startOrigins(t, 1) as [TestOrigin]
  await origin.stop()
  const { startOrigin } = await import('../../runtime/origin/component.js')
  const { noLog } = await import('../../runtime/observe/log.js')
  const stranger = { ...origin.config, members: { static: ['192.0.2.1:1'], dns: undefined, ttlMs: 5_000 }, castore: { ...origin.config.castore, cacheDir: join(origin.config.castore.cacheDir, '..', 'other') } }
  await t.rejects(startOrigin(stranger, noLog), { code: 'CONFIG_INVALID' })
  await origin.start()
  t.equal((await origin.call('GET', '/health')).status, 200)
})
