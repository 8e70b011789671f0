import t from 'tap'
import { decodeFrame } from '../../../net/wire/kraken/decode.js'
import { encodeMessage, encodeMessageInto } from '../../../net/wire/kraken/encode.js'
import { FRAME_BYTES_MAX, PIECES_MAX, PREFIX_BYTES } from '../../../net/wire/kraken/limits.js'
import { type Handshake, type Message } from '../../../net/wire/messages.js'
import { Bitfield } from '../../../runtime/core/bitfield.js'
import { parseDigestHex } from '../../../runtime/core/digest.js'
import { parseInfoHash } from '../../../runtime/core/infohash.js'
import { parsePeerId, type PeerId } from '../../../runtime/core/peer-id.js'
import { fromHex, toHex } from '../../support/hex.js'

const HANDSHAKE: Handshake = {
  infoHash: parseInfoHash('ab'.repeat(20)),
  name: parseDigestHex('cd'.repeat(32)),
  peerId: parsePeerId('ef'.repeat(20)),
  bitfieldBytes: new Bitfield(0).serialize(),
  namespace: '',
  neighbours: []
}

function peers (count: number): PeerId[] {
  return Array.from({ length: count }, (_, i) => parsePeerId(i.toString(16).padStart(40, '0')))
}

function handshakeIn (frame: Uint8Array): Handshake {
  const decoded = decodeFrame(frame, 0, frame.length)
  if (decoded.status !== 'message' || decoded.message.type !== 'handshake') throw new Error(JSON.stringify(decoded))
  return decoded.message.handshake
}

for (const [message, hex] of [
  [{ type: 'pieceRequest', index: 0, offset: 0, length: 0 }, '00000004 1001 2200'],
  [{ type: 'piecePayload', index: 0, offset: 0, length: 0 }, '00000004 1002 2a00'],
  [{ type: 'announcePiece', index: 0 }, '00000004 1003 3200'],
  [{ type: 'cancelPiece', index: 0 }, '00000004 1004 3a00'],
  [{ type: 'error', index: 0, code: 0, text: '' }, '00000004 1005 4200'],
  [{ type: 'error', index: 1, code: 2, text: 'é' }, '0000000c 1005 4208 1202 c3a9 1801 2002'],
  [{ type: 'pieceRequest', index: 1, offset: 2, length: 3 }, '0000000a 1001 2206 1001 1802 2003'],
  [{ type: 'unknown', typeNumber: 300 }, '00000003 10ac02']
] as ReadonlyArray<readonly [Message, string]>) {
  t.test(`the frame of ${JSON.stringify(message)}`, async t => {
    t.equal(toHex(encodeMessage(message)), toHex(fromHex(hex)))
  })
}

t.test('frames are written one behind the other into memory of the caller', async t => {
  const target = new Uint8Array(32).fill(0xee)
  const first = encodeMessageInto({ type: 'complete' }, target, 3)
  const second = encodeMessageInto({ type: 'announcePiece', index: 1 }, target, first)
  t.same([first, second], [9, 19])
  t.equal(toHex(target.subarray(0, 20)), toHex(fromHex('eeeeee 00000002 1006 00000006 1003 3202 1001 ee')))
})

t.test('memory that is too short is an error', async t => {
  t.throws(() => encodeMessageInto({ type: 'complete' }, new Uint8Array(5), 0), { code: 'INTERNAL' })
  t.throws(() => encodeMessageInto({ type: 'complete' }, new Uint8Array(9), 4), { code: 'INTERNAL' })
  t.throws(() => encodeMessageInto({ type: 'handshake', handshake: HANDSHAKE }, new Uint8Array(100), 0), { code: 'INTERNAL' })
  t.equal(encodeMessageInto({ type: 'complete' }, new Uint8Array(6), 0), 6)
})

for (const n of [-1, 0x80000000, 1.5, NaN, Infinity]) {
  t.test(`${n} is never sent`, async t => {
    for (const message of [
      { type: 'pieceRequest', index: n, offset: 0, length: 0 },
      { type: 'pieceRequest', index: 0, offset: n, length: 0 },
      { type: 'piecePayload', index: 0, offset: 0, length: n },
      { type: 'announcePiece', index: n },
      { type: 'cancelPiece', index: n },
      { type: 'error', index: n, code: 0, text: '' }
    ] as const) t.throws(() => encodeMessage(message), { code: 'INTERNAL' }, message.type)
  })
}

t.test('a handshake without a whole bitset is never sent', async t => {
  for (const hex of ['', '00000000000000', '0000000000000001']) {
    t.throws(() => encodeMessage({ type: 'handshake', handshake: { ...HANDSHAKE, bitfieldBytes: fromHex(hex) } }), { code: 'INTERNAL' })
  }
})

t.test('a text that does not fit is an error, and the next message is not affected', async t => {
  t.throws(() => encodeMessage({ type: 'error', index: 0, code: 0, text: 'x'.repeat(FRAME_BYTES_MAX) }), { code: 'INTERNAL' })
  t.throws(() => encodeMessage({ type: 'handshake', handshake: { ...HANDSHAKE, namespace: 'x'.repeat(100_000) } }), { code: 'INTERNAL' })
  t.equal(toHex(encodeMessage({ type: 'complete' })), '000000021006')
})

t.test('as many neighbours are sent as fit', async t => {
  const frame = encodeMessage({ type: 'handshake', handshake: { ...HANDSHAKE, neighbours: peers(1000) } })
  const { neighbours } = handshakeIn(frame)
  t.ok(frame.length <= PREFIX_BYTES + FRAME_BYTES_MAX)
  t.ok(frame.length > PREFIX_BYTES + FRAME_BYTES_MAX - 2 * 54, `${frame.length} bytes`)
  t.same(neighbours, peers(neighbours.length))
})

t.test('every number of neighbours makes a frame that is read again', async t => {
  for (let namespaceBytes = 0; namespaceBytes < 54; namespaceBytes++) {
    const namespace = 'n'.repeat(namespaceBytes)
    const frame = encodeMessage({ type: 'handshake', handshake: { ...HANDSHAKE, namespace, neighbours: peers(700) } })
    if (handshakeIn(frame).namespace !== namespace) t.fail(`${namespaceBytes}`)
  }
})

t.test('the most pieces fit, with a long namespace', async t => {
  const handshake = { ...HANDSHAKE, bitfieldBytes: Bitfield.full(PIECES_MAX).serialize(), namespace: 'n'.repeat(800), neighbours: peers(100) }
  const read = handshakeIn(encodeMessage({ type: 'handshake', handshake }))
  t.equal(Bitfield.parse(read.bitfieldBytes, PIECES_MAX)?.isFull, true)
  t.equal(read.namespace, handshake.namespace)
})
