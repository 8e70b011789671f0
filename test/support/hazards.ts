import { type HandshakeFields, bitset, field, frame, fullBitset, say, type SharedBlob, TYPE } from './kraken-peer.js'

/*
 * What must never bring a peer down (p2p specification 5.9), and what it has to put up with. Each is said either instead of a
 * handshake or right behind a good one.
 */

/** `closed`: whoever says this is cut off. `kept`: it does no harm, and the connection goes on. */
export interface Hazard<Said> { readonly what: string, readonly said: Said, readonly outcome: 'closed' | 'kept' }

const NOT_UTF8 = Buffer.from([0xff, 0xfe, 0x80])
/** Field 1 of every envelope; a length that no memory has. */
const HUGE = 2n ** 40n

/** Openings that are no handshake at all. */
export const badOpenings: ReadonlyArray<Hazard<Buffer>> = ([
  ['an HTTP request', Buffer.from('GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n')],
  ['a TLS hello', Buffer.from('16030100c8010000c40303', 'hex')],
  ['zeros', Buffer.alloc(4096)],
  ['a frame of four gigabytes', Buffer.from('ffffffff', 'hex')],
  ['a frame of one byte too much', Buffer.from('00008001', 'hex')],
  ['an envelope without anything', frame(Buffer.alloc(0))],
  ['a handshake type without a handshake', say.bare(TYPE.handshake)],
  ['a submessage that claims more than there is', frame(Buffer.from('1affffffff0f', 'hex'))],
  ['a tag that never ends', frame(Buffer.alloc(64, 0xff))],
  ['ten thousand groups in one another', frame(Buffer.alloc(10_000, 0x0b))],
  ['a request before the handshake', say.request(0, 1)],
  ['a piece before the handshake', say.payload(0, 2 ** 31 - 1)],
  ['a complete before the handshake', say.complete()]
] as const).map(([what, said]) => ({ what, said, outcome: 'closed' }))

/** What is wrong with a handshake of this blob. */
export function badHandshakes ({ metaInfo: { lengths: { pieceCount } } }: SharedBlob): ReadonlyArray<Hazard<Partial<HandshakeFields>>> {
  const id = 'ab'.repeat(20)
  return ([
    ['no bitset at all', { bitfield: Buffer.alloc(0) }],
    ['a bitset that is cut off in its count', { bitfield: bitset(pieceCount).subarray(0, 7) }],
    ['a bitset that lacks its last word', { bitfield: bitset(pieceCount).subarray(0, -8) }],
    ['a bitset of no bits', { bitfield: bitset(0) }],
    ['a bitset of one bit too few', { bitfield: bitset(pieceCount - 1) }],
    ['a bitset of one bit too many', { bitfield: bitset(pieceCount + 1) }],
    ['a bitset with a bit that no piece has', { bitfield: bitset(pieceCount + 64, [pieceCount + 1]) }],
    ['a bitset with padding that is not zero', { bitfield: withPadding(pieceCount) }],
    ['a bitset of a trillion bits without any words', { bitfield: bitset(HUGE, [], 0) }],
    ['a bitset of as many bits as there are numbers', { bitfield: bitset(2n ** 64n - 1n, [], 0) }],
    ['a neighbour without a bitset', { neighbours: [[id, Buffer.alloc(0)]] }],
    ['a neighbour with a trillion bits', { neighbours: [[id, bitset(HUGE, [], 0)]] }],
    ['a neighbour whose id is none', { neighbours: [['me', bitset(0)]] }],
    ['no peer id', { peerId: '' }],
    ['a peer id that is too short', { peerId: id.slice(1) }],
    ['a peer id that is no hex', { peerId: 'x'.repeat(40) }],
    ['an info hash that is too long', { infoHash: `${id}ab` }],
    ['a name that is too short', { name: 'ab'.repeat(31) }],
    ['a name that leads out of the cache', { name: `../../../../${'a'.repeat(52)}` }]
  ] as const).map(([what, said]) => ({ what, said, outcome: 'closed' }))
}

function withPadding (count: number): Buffer {
  const bits = fullBitset(count)
  bits.writeUInt8(0x80 | bits.readUInt8(8 + 8 * Math.floor(count / 64)), 8 + 8 * Math.floor(count / 64))
  return bits
}

function typed (type: number, number: number, ...fields: Buffer[]): Buffer {
  return frame(Buffer.concat([field(2, type), field(number, Buffer.concat(fields))]))
}

/** What a peer that was let in says next. */
export function badMessages ({ metaInfo: { lengths: { pieceCount } } }: SharedBlob): ReadonlyArray<Hazard<Buffer>> {
  const closed: ReadonlyArray<readonly [string, Buffer]> = [
    ['a request without a request', say.bare(TYPE.request)],
    ['a piece without a piece', say.bare(TYPE.payload)],
    ['an announcement without a piece', say.bare(TYPE.announce)],
    ['an error without an error', say.bare(TYPE.error)],
    ['an announcement of piece -1', say.announce(-1)],
    ['a request for piece -1', say.request(-1, 0)],
    ['a request for -1 bytes', say.request(0, -1)],
    ['a request from byte -1 on', say.request(0, 1, -1)],
    ['an error about piece -1', say.error(-1)],
    ['piece -1', say.payload(-1, 0)],
    ['a piece of -1 bytes', say.payload(0, -1)],
    ['a piece of two gigabytes', say.payload(0, 2 ** 31 - 1)],
    ['a piece of 2^62 bytes', typed(TYPE.payload, 5, field(4, 2n ** 62n))],
    ['a piece of no bytes', say.payload(0, 0)],
    ['a piece that is none', Buffer.concat([say.payload(pieceCount, 10), Buffer.alloc(10)])],
    ['a piece of one byte', Buffer.concat([say.payload(0, 1), Buffer.alloc(1)])],
    ['a text that is not UTF-8', typed(TYPE.error, 8, field(2, NOT_UTF8))],
    ['a frame that is too large', Buffer.from('00008001', 'hex')],
    ['bytes that are no message', frame(Buffer.from('ffffff', 'hex'))]
  ]
  const kept: ReadonlyArray<readonly [string, Buffer]> = [
    ['an announcement of a piece that is none', say.announce(pieceCount)],
    ['an announcement of the last number there is', say.announce(2 ** 31 - 1)],
    ['an announcement twice', Buffer.concat([say.announce(0), say.announce(0)])],
    ['a cancellation', say.cancel(0)],
    ['a cancellation without a piece', say.bare(TYPE.cancel)],
    ['a type that nobody knows', say.bare(99)],
    ['a negative type', frame(field(2, -1))],
    ['an error that nobody asked for', say.error(0)],
    ['an error with a code of the future', typed(TYPE.error, 8, field(2, 'what'), field(4, 7))],
    ['an error with a long text', say.error(0, 'x'.repeat(30_000))],
    ['unknown fields of every kind', frame(Buffer.concat([field(2, TYPE.cancel), field(7, field(2, 1)), field(99, 1), field(100, 'x'), field(101, Buffer.alloc(900))]))]
  ]
  return [
    ...closed.map(([what, said]) => ({ what, said, outcome: 'closed' as const })),
    ...kept.map(([what, said]) => ({ what, said, outcome: 'kept' as const }))
  ]
}
