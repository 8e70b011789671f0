import t from 'tap'
import fc from '../../support/fc.js'
import { isAppError, messageOf } from '../../../runtime/core/errors.js'
import { makePeerId } from '../../../runtime/core/peer-id.js'
import { announcedPeer, announceReply, decodeAnnounce } from '../../../runtime/tracker/announce.js'
import { WrittenPeer } from '../../../runtime/tracker/peer-text.js'

const HEX = '289314c356bc2a19802c3e31505506db30ea81a0bcaea4ec3e079524c8ac3cf5'
const INFO_HASH = [133, 185, 120, 196, 55, 118, 37, 179, 150, 61, 244, 6, 208, 221, 58, 29, 165, 167, 217, 195]
const PEER = {
  peer_id: [152, 194, 177, 22, 78, 124, 152, 137, 5, 121, 65, 255, 252, 170, 103, 164, 95, 85, 1, 186],
  ip: '10.0.0.1',
  port: 16001,
  origin: false,
  complete: false
}
const BODY = { name: HEX, digest: `sha256:${HEX}`, info_hash: INFO_HASH, peer: PEER }

function faultOf (read: () => unknown): string {
  try {
    read()
    return ''
  } catch (error) {
    return isAppError(error, 'BODY_INVALID') ? error.message : `not an AppError: ${messageOf(error)}`
  }
}

await t.test('the body of a current agent', async t => {
  const body = decodeAnnounce(JSON.stringify(BODY))
  t.equal(body.digest, `sha256:${HEX}`)
  t.equal(body.infoHash, '85b978c4377625b3963df406d0dd3a1da5a7d9c3')
  t.same(announcedPeer(body.peer), {
    id: makePeerId('addr_hash', '10.0.0.1', 16001), ip: '10.0.0.1', port: 16001, isOrigin: false, isComplete: false
  })
})

await t.test('bodies that are understood all the same', async t => {
  const cases: ReadonlyArray<readonly [string, string]> = [
    ['name without digest', JSON.stringify({ ...BODY, digest: undefined })],
    ['null digest', JSON.stringify({ ...BODY, digest: null })],
    ['keys in other case', JSON.stringify({ NAME: 'x', Digest: BODY.digest, Info_Hash: INFO_HASH, pEEr: PEER })],
    ['unknown keys', JSON.stringify({ ...BODY, more: { of: 'it' } })],
    ['trailing bytes', `${JSON.stringify(BODY)}{"digest":"x"} and more`]
  ]
  for (const [what, text] of cases) {
    const body = decodeAnnounce(text)
    t.equal(body.digest, `sha256:${HEX}`, what)
    t.equal(body.infoHash, '85b978c4377625b3963df406d0dd3a1da5a7d9c3', what)
    t.equal(announcedPeer(body.peer).port, 16001, what)
  }
  t.equal(decodeAnnounce(JSON.stringify({ ...BODY, info_hash: undefined })).infoHash, '0'.repeat(40), 'no info hash')
  t.equal(announcedPeer({ ip: 'localhost', port: 1 }).id, '0'.repeat(40), 'no peer id')
})

await t.test('bodies that are refused, with the words of the reference', async t => {
  const cases: ReadonlyArray<readonly [string, string]> = [
    ['', 'json decode request: EOF'],
    ['{', 'json decode request: unexpected EOF'],
    ['{"name":"ab', 'json decode request: unexpected EOF'],
    ['hello', "json decode request: invalid character 'h' looking for beginning of value"],
    ['[]', 'json decode request: not an object'],
    ['null', 'get request digest: invalid sha256: expected 64 characters, got 0 from ""'],
    ['{"name":"abcd"}', 'get request digest: invalid sha256: expected 64 characters, got 4 from "abcd"'],
    ['{"name":7}', 'json decode request: name must be a text'],
    ['{"digest":"nope"}', "json decode request: invalid digest: expected '<algo>:<hex>'"],
    [JSON.stringify({ ...BODY, info_hash: 'text' }), 'json decode request: info_hash must be an array of 20 numbers']
  ]
  for (const [text, message] of cases) t.equal(faultOf(() => decodeAnnounce(text)), message)
})

await t.test('peers that are refused', async t => {
  const cases: ReadonlyArray<readonly [unknown, RegExp]> = [
    [null, /has no peer/],
    [undefined, /has no peer/],
    ['peer', /must be an object/],
    [{ ...PEER, ip: '' }, /peer ip ""/],
    [{ ...PEER, ip: undefined }, /peer ip ""/],
    [{ ...PEER, ip: '10.0.0.1\n10.0.0.2' }, /peer ip/],
    [{ ...PEER, ip: 'a b' }, /peer ip/],
    [{ ...PEER, ip: '<script>' }, /peer ip/],
    [{ ...PEER, ip: 'x'.repeat(256) }, /255/],
    [{ ...PEER, port: 0 }, /port/],
    [{ ...PEER, port: 65_536 }, /port/],
    [{ ...PEER, port: 1.5 }, /port/],
    [{ ...PEER, port: '80' }, /port/],
    [{ ...PEER, peer_id: 'text' }, /peer_id/],
    [{ ...PEER, peer_id: [256] }, /peer_id\[0\]/]
  ]
  for (const [peer, message] of cases) t.match(faultOf(() => announcedPeer(peer)), message)
})

await t.test('hosts that pass', async t => {
  for (const ip of ['10.0.0.1', 'localhost', 'node-1.rack_2.example', '::1', 'fe80::1', '::ffff:10.0.0.1']) t.equal(announcedPeer({ ...PEER, ip }).ip, ip)
})

await t.test('replies are exact', async t => {
  t.equal(announceReply(undefined, 3000), '{"peers":null,"interval":3000000000}\n')
  t.equal(announceReply([], 1.5), '{"peers":[],"interval":1500000}\n')
  const peer = announcedPeer(PEER)
  t.equal(announceReply([new WrittenPeer(peer), peer], 3000), `{"peers":[${JSON.stringify(PEER)},${JSON.stringify(PEER)}],"interval":3000000000}\n`)
})

await t.test('any text whatever is either read or refused', async () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), text => !faultOf(() => announcedPeer(decodeAnnounce(text).peer)).startsWith('not an AppError')))
})
