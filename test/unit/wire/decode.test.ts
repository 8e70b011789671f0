import t from 'tap'
import { decodeFrame } from '../../../net/wire/kraken/decode.js'
import { FRAME_BYTES_MAX } from '../../../net/wire/kraken/limits.js'
import { type Decoded, type WireFault } from '../../../net/wire/messages.js'
import { framed, fromHex } from '../../support/hex.js'

const INFO_HASH = 'ab'.repeat(20)
const NAME = 'cd'.repeat(32)
const PEER = 'ef'.repeat(20)
const NO_PIECES = '0000000000000000'

function decoded (envelopeHex: string): Decoded {
  const frame = framed(fromHex(envelopeHex))
  return decodeFrame(frame, 0, frame.length)
}

function hexLength (hex: string): string {
  const { length } = fromHex(hex)
  return length < 128 ? length.toString(16).padStart(2, '0') : Buffer.from([length & 0x7f | 0x80, length >> 7]).toString('hex')
}

/** A length-delimited field. */
function field (tag: string, hex: string): string { return `${tag} ${hexLength(hex)} ${hex}` }

function text (tag: string, content: string): string { return field(tag, Buffer.from(content).toString('hex')) }

interface Parts { infoHash?: string, name?: string, peer?: string, bitfield?: string, more?: string }

/** The submessage of a good handshake, with some of its parts changed. */
function bitfieldOf ({ infoHash = INFO_HASH, name = NAME, peer = PEER, bitfield = NO_PIECES, more = '' }: Parts = {}): string {
  return [text('12', infoHash), text('1a', name), text('22', peer), field('2a', bitfield), more].join(' ')
}

function handshakeOf (parts: Parts = {}): string { return field('1a', bitfieldOf(parts)) }

function neighbour (key: string, value: string): string { return field('3a', `${text('0a', key)} ${field('12', value)}`) }

for (const [what, envelope, message] of [
  ['numbers at their limits', '1001 2212 10ffffffff07 18ffffffff07 20ffffffff07', { type: 'pieceRequest', index: 0x7fffffff, offset: 0x7fffffff, length: 0x7fffffff }],
  ['the last of several numbers', '1001 2206 1001 1002 2004', { type: 'pieceRequest', index: 2, offset: 0, length: 4 }],
  ['a negative number that is overruled', '1001 220d 10ffffffffffffffffff01 1002', { type: 'pieceRequest', index: 2, offset: 0, length: 0 }],
  ['fields in another order', '2206 2004 1801 1002 1001', { type: 'pieceRequest', index: 2, offset: 1, length: 4 }],
  ['a submessage in parts', '2202 1002 1001 2202 2004', { type: 'pieceRequest', index: 2, offset: 0, length: 4 }],
  ['the last of several types', '1001 1003 3202 1005', { type: 'announcePiece', index: 5 }],
  ['a version', '0a03 312e30 1006', { type: 'complete' }],
  ['completion with its submessage', '1006 4a00', { type: 'complete' }],
  ['completion with unknown fields in its submessage', '1006 4a02 0801', { type: 'complete' }],
  ['a digest in a payload header', '1002 2a05 2a03 616263', { type: 'piecePayload', index: 0, offset: 0, length: 0 }],
  ['a submessage that does not belong to the type', '1006 2202 1001', { type: 'complete' }],
  ['a negative number that does not belong to the type', '1006 220b 10ffffffffffffffffff01', { type: 'complete' }],
  ['an error of another kind', '1005 4204 1801 2007', { type: 'error', index: 1, code: 7, text: '' }],
  ['a cancellation of piece 0', '1004 3a00', { type: 'cancelPiece', index: 0 }],
  ['a cancellation of nothing', '1004', { type: 'unknown', typeNumber: 4 }],
  ['a type of later times', '1007', { type: 'unknown', typeNumber: 7 }],
  ['a type of later times with a submessage', '1007 5203 010203', { type: 'unknown', typeNumber: 7 }],
  ['a negative type', '10ffffffffffffffffff01', { type: 'unknown', typeNumber: -1 }],
  ['a type whose low 32 bits are known', '108680808010', { type: 'complete' }],
  ['known numbers with other wire types', '1001 2200 18 01 25 00000000 12 03 ffffff 0b 0c', { type: 'pieceRequest', index: 0, offset: 0, length: 0 }],
  ['a type with another wire type', '1006 1201 01', { type: 'complete' }],
  ['a number with another wire type', '1003 3205 1500000000', { type: 'announcePiece', index: 0 }],
  ['unknown fields in the envelope', '80a301 01 1006 81a301 0000000000000000 82a301 02 ffff 85a301 00000000', { type: 'complete' }],
  ['a group in the envelope', '83a301 0801 0b 12 02 ffff 0c 84a301 1006', { type: 'complete' }],
  ['unknown fields in a submessage', '1003 320b ca910f 03 ffffff 1002 2801', { type: 'announcePiece', index: 2 }]
] as const) {
  t.test(`understands ${what}`, async t => {
    t.same(decoded(envelope), { status: 'message', message, bytesRead: 4 + fromHex(envelope).length })
  })
}

for (const [what, envelope, fault] of [
  ['an empty envelope', '', 'SUBMESSAGE_MISSING'],
  ['a handshake without its submessage', '1000', 'SUBMESSAGE_MISSING'],
  ['a request without its submessage', '1001', 'SUBMESSAGE_MISSING'],
  ['a request with the submessage of a payload', '1001 2a00', 'SUBMESSAGE_MISSING'],
  ['a payload without its submessage', '1002', 'SUBMESSAGE_MISSING'],
  ['an announcement without its submessage', '1003', 'SUBMESSAGE_MISSING'],
  ['an error without its submessage', '1005', 'SUBMESSAGE_MISSING'],
  ['a request whose submessage has another wire type', '1001 2001', 'SUBMESSAGE_MISSING'],
  ['a request of a negative piece', '1001 220b 10ffffffffffffffffff01', 'NUMBER_NEGATIVE'],
  ['a request at a negative offset', '1001 220b 18ffffffffffffffffff01', 'NUMBER_NEGATIVE'],
  ['a request of a negative length', '1001 220b 20ffffffffffffffffff01', 'NUMBER_NEGATIVE'],
  ['a request of a negative piece in five bytes', '1001 2206 108080808008', 'NUMBER_NEGATIVE'],
  ['a request of a piece beyond 32 bits', '1001 2206 108080808010', 'NUMBER_NEGATIVE'],
  ['a payload of a negative piece', '1002 2a0b 10ffffffffffffffffff01', 'NUMBER_NEGATIVE'],
  ['a payload of a negative length', '1002 2a0b 20ffffffffffffffffff01', 'NUMBER_NEGATIVE'],
  ['an announcement of a negative piece', '1003 320b 10ffffffffffffffffff01', 'NUMBER_NEGATIVE'],
  ['a cancellation of a negative piece', '1004 3a0b 10ffffffffffffffffff01', 'NUMBER_NEGATIVE'],
  ['an error about a negative piece', '1005 420b 18ffffffffffffffffff01', 'NUMBER_NEGATIVE'],
  ['a version that is no text', '0a01 ff 1006', 'TEXT_NOT_UTF8'],
  ['a digest that is no text', '1002 2a03 2a01 ff', 'TEXT_NOT_UTF8'],
  ['an error that is no text', '1005 4203 1201 ff', 'TEXT_NOT_UTF8'],
  ['an error that is no text, in a request', '1001 2200 4203 1201 ff', 'TEXT_NOT_UTF8'],
  ['half a tag', '1006 80', 'MALFORMED'],
  ['half a number', '1080', 'MALFORMED'],
  ['a submessage beyond the end', '1003 3202 10', 'MALFORMED'],
  ['a submessage with half a number', '1003 3202 1080', 'MALFORMED'],
  ['an unused submessage that is malformed', '1006 2a01 10', 'MALFORMED'],
  ['a malformed submessage of completion', '1006 4a01 80', 'MALFORMED'],
  ['a malformed submessage of an error', '1005 4201 80', 'MALFORMED'],
  ['an unknown field beyond the end', '1006 82a301 05 00', 'MALFORMED'],
  ['a group that does not end', '1006 83a301', 'MALFORMED'],
  ['a group that ends twice', '1006 83a301 84a301 84a301', 'MALFORMED'],
  ['field number 0', '1006 0000', 'MALFORMED']
] as const) {
  t.test(`refuses ${what}`, async t => {
    t.same(decoded(envelope), { status: 'fault', fault })
  })
}

const GOOD = { infoHash: INFO_HASH, name: NAME, peerId: PEER, bitfieldBytes: fromHex(NO_PIECES), namespace: '', neighbours: [] }
const OTHER = '12'.repeat(20)

for (const [what, envelope, changes] of [
  ['as short as it may be', handshakeOf(), {}],
  ['with its type written out', `1000 ${handshakeOf()}`, {}],
  ['with a namespace', handshakeOf({ more: text('32', 'team/äpp') }), { namespace: 'team/äpp' }],
  ['with ids in upper case', handshakeOf({ infoHash: INFO_HASH.toUpperCase(), peer: PEER.toUpperCase() }), {}],
  ['with a name in upper case, which is kept', handshakeOf({ name: NAME.toUpperCase() }), { name: NAME.toUpperCase() }],
  ['with a neighbour', handshakeOf({ more: neighbour(OTHER, NO_PIECES) }), { neighbours: [OTHER] }],
  ['with a neighbour in upper case', handshakeOf({ more: neighbour(INFO_HASH.toUpperCase(), NO_PIECES) }), { neighbours: [INFO_HASH] }],
  ['with a neighbour twice', handshakeOf({ more: neighbour(OTHER, NO_PIECES) + neighbour(OTHER, NO_PIECES) }), { neighbours: [OTHER] }],
  ['with a neighbour that has pieces', handshakeOf({ more: neighbour(OTHER, '0000000000000001 0000000000000001') }), { neighbours: [OTHER] }],
  ['with a neighbour written backwards', handshakeOf({ more: field('3a', `${field('12', NO_PIECES)} ${text('0a', OTHER)} 2801`) }), { neighbours: [OTHER] }],
  ['with an unknown field', handshakeOf({ more: 'ca910f 03 ff00ff' }), {}],
  ['in two parts', `${field('1a', text('12', INFO_HASH))} ${field('1a', bitfieldOf({ more: text('32', 'a') }))} ${field('1a', text('32', 'b'))}`, { namespace: 'b' }],
  ['with bytes behind the bitset', handshakeOf({ bitfield: `${NO_PIECES} 0102` }), { bitfieldBytes: fromHex(`${NO_PIECES} 0102`) }]
] as const) {
  t.test(`understands a handshake ${what}`, async t => {
    const { length } = fromHex(envelope)
    t.same(decoded(envelope), { status: 'message', message: { type: 'handshake', handshake: { ...GOOD, ...changes } }, bytesRead: 4 + length })
  })
}

for (const [what, envelope, fault] of [
  ['with nothing in it', '1a00', 'ID_INVALID'],
  ['with a short info hash', handshakeOf({ infoHash: 'ab' }), 'ID_INVALID'],
  ['with a long info hash', handshakeOf({ infoHash: `${INFO_HASH}ab` }), 'ID_INVALID'],
  ['with an info hash that is not hex', handshakeOf({ infoHash: 'xy'.repeat(20) }), 'ID_INVALID'],
  ['with an info hash and a line end', handshakeOf({ infoHash: `${INFO_HASH.slice(1)}\n` }), 'ID_INVALID'],
  ['with a short name', handshakeOf({ name: NAME.slice(2) }), 'ID_INVALID'],
  ['with a whole digest as name', handshakeOf({ name: `sha256:${NAME}` }), 'ID_INVALID'],
  ['with a name that is not hex', handshakeOf({ name: 'xy'.repeat(32) }), 'ID_INVALID'],
  ['with a short peer id', handshakeOf({ peer: PEER.slice(2) }), 'ID_INVALID'],
  ['with an info hash that is no text', handshakeOf({ more: field('12', 'ff') }), 'TEXT_NOT_UTF8'],
  ['with a namespace that is no text', handshakeOf({ more: field('32', 'c3') }), 'TEXT_NOT_UTF8'],
  ['with no bitset', handshakeOf({ bitfield: '' }), 'BITSET_INVALID'],
  ['with half a bitset', handshakeOf({ bitfield: '00000000000000' }), 'BITSET_INVALID'],
  ['with a bitset that lacks a word', handshakeOf({ bitfield: '0000000000000041 0000000000000000' }), 'BITSET_INVALID'],
  ['with a bitset of 2^40 pieces', handshakeOf({ bitfield: '0000010000000000 0000000000000000' }), 'BITSET_INVALID'],
  ['with a bitset of 2^64 - 1 pieces', handshakeOf({ bitfield: 'ffffffffffffffff' }), 'BITSET_INVALID'],
  ['with a neighbour without a bitset', handshakeOf({ more: field('3a', text('0a', OTHER)) }), 'BITSET_INVALID'],
  ['with a neighbour with an empty bitset', handshakeOf({ more: neighbour(OTHER, '') }), 'BITSET_INVALID'],
  ['with a neighbour with a huge bitset', handshakeOf({ more: neighbour(OTHER, '0000010000000000') }), 'BITSET_INVALID'],
  ['with a neighbour without a name', handshakeOf({ more: field('3a', field('12', NO_PIECES)) }), 'ID_INVALID'],
  ['with a neighbour of a bad name', handshakeOf({ more: neighbour('somebody', NO_PIECES) }), 'ID_INVALID'],
  ['with a neighbour whose name is no text', handshakeOf({ more: field('3a', `${field('0a', 'ff')} ${field('12', NO_PIECES)}`) }), 'TEXT_NOT_UTF8'],
  ['with an empty neighbour', handshakeOf({ more: '3a00' }), 'ID_INVALID'],
  ['with a malformed neighbour', handshakeOf({ more: '3a01 80' }), 'MALFORMED'],
  ['that is malformed', '1a01 80', 'MALFORMED']
] as ReadonlyArray<readonly [string, string, WireFault]>) {
  t.test(`refuses a handshake ${what}`, async t => {
    t.same(decoded(envelope), { status: 'fault', fault })
  })
}

t.test('a frame that is too large is refused before it is waited for', async t => {
  t.same(decodeFrame(fromHex('00008001'), 0, 4), { status: 'fault', fault: 'FRAME_TOO_LARGE' })
  t.same(decodeFrame(fromHex('ffffffff'), 0, 4), { status: 'fault', fault: 'FRAME_TOO_LARGE' })
  t.same(decodeFrame(fromHex('00008000'), 0, 4), { status: 'more' })
  t.same(decodeFrame(fromHex('ffffff'), 0, 3), { status: 'more' })
})

t.test('the largest frame is read', async t => {
  const padding = FRAME_BYTES_MAX - 2 - 6
  const envelope = `1006 82a301 ${Buffer.from([padding & 0x7f | 0x80, padding >> 7 & 0x7f | 0x80, padding >> 14]).toString('hex')} ${'ff'.repeat(padding)}`
  t.equal(fromHex(envelope).length, FRAME_BYTES_MAX)
  t.same(decoded(envelope), { status: 'message', message: { type: 'complete' }, bytesRead: 4 + FRAME_BYTES_MAX })
})

t.test('a frame in the middle of other bytes is read alone', async t => {
  const bytes = fromHex('ffffff 00000006 1003 3202 1001 ffffff')
  t.same(decodeFrame(bytes, 3, bytes.length), { status: 'message', message: { type: 'announcePiece', index: 1 }, bytesRead: 10 })
  t.same(decodeFrame(bytes, 3, 12), { status: 'more' })
})

t.test('shared memory is read too, and the message does not share it', async t => {
  const frame = framed(fromHex(handshakeOf({ more: text('32', 'team') })))
  const shared = new Uint8Array(new SharedArrayBuffer(frame.length))
  shared.set(frame)
  const answer = decodeFrame(shared, 0, shared.length)
  shared.fill(0xff)
  t.same(answer, decodeFrame(frame, 0, frame.length))
})

t.test('nor does it share the memory of a Buffer', async t => {
  const frame = framed(fromHex(handshakeOf({ bitfield: '0000000000000001 0000000000000001' })))
  const buffer = Buffer.from(frame)
  const answer = decodeFrame(buffer, 0, buffer.length)
  buffer.fill(0xff)
  t.same(answer, decodeFrame(frame, 0, frame.length))
})
