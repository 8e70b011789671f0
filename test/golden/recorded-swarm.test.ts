import { readFileSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import t from 'tap'
import { decodeFrame } from '../../net/wire/kraken/decode.js'
import { encodeMessage } from '../../net/wire/kraken/encode.js'
import { type Message } from '../../net/wire/messages.js'
import { Bitfield } from '../../runtime/core/bitfield.js'
import { parseDigestHex } from '../../runtime/core/digest.js'
import { MetaInfo } from '../../runtime/core/metainfo.js'
import { fromHex, toHex } from '../support/hex.js'
import { pattern } from '../support/pattern.js'

/* Every byte that three agents and an origin of the reference sent each other (p2p specification 5.11). */

type Side = 'dialler' | 'acceptor'
interface Recording {
  readonly connections: ReadonlyArray<{ readonly acceptor: string, readonly turns: ReadonlyArray<{ readonly from: Side, readonly hex: string }> }>
}
interface Spoken { readonly message: Message, readonly frame: Uint8Array, readonly payload: Uint8Array }

const recording: Recording = JSON.parse(readFileSync(new URL('./vectors/p2p.json', import.meta.url), 'utf8'))
const BLOB = pattern(1000)
const PIECE_BYTES = 256
const pieces = Array.from({ length: 4 }, (_, i) => BLOB.subarray(i * PIECE_BYTES, (i + 1) * PIECE_BYTES))
const metaInfo = new MetaInfo(
  parseDigestHex('9ae5bf6a24c09bca9d2633fc99cc71241a16b993ef7c8019f574993fc886554c'), BLOB.length, PIECE_BYTES,
  Uint32Array.from(pieces, piece => crc32(piece))
)

/** All that one side said, message by message. */
function spokenBy (side: Side, turns: Recording['connections'][number]['turns']): Spoken[] {
  const bytes = fromHex(turns.filter(({ from }) => from === side).map(({ hex }) => hex).join(''))
  const spoken: Spoken[] = []
  for (let at = 0; at < bytes.length;) {
    const decoded = decodeFrame(bytes, at, bytes.length)
    if (decoded.status !== 'message') throw new Error(`${decoded.status} at ${at} of ${bytes.length}`)
    const frameEnd = at + decoded.bytesRead
    const payloadEnd = frameEnd + (decoded.message.type === 'piecePayload' ? decoded.message.length : 0)
    spoken.push({ message: decoded.message, frame: bytes.slice(at, frameEnd), payload: bytes.slice(frameEnd, payloadEnd) })
    at = payloadEnd
  }
  return spoken
}

/** In short: `r` request, `p` payload, `a` announcement, and the piece. */
function scriptOf (spoken: readonly Spoken[]): string {
  return spoken.slice(1).map(({ message }) => {
    switch (message.type) {
      case 'pieceRequest': return `r${message.index}`
      case 'piecePayload': return `p${message.index}`
      case 'announcePiece': return `a${message.index}`
      default: return message.type
    }
  }).join(' ')
}

t.test('the torrent', async t => {
  t.equal(metaInfo.infoHash, '449fe25a5d83961cec4a212c6106a1419451bf06')
  t.equal(recording.connections.length, 6)
})

/** What dialler and acceptor said behind their handshakes, connection by connection. */
const SCRIPTS = [
  ['r0 r3 r2 r1', 'p0 p3 p2 p1'],
  ['r0 r3 r2 r1', 'p0 p3 p2 p1'],
  ['a0 a3 a2 a1', ''],
  ['r1 r0 r3 r2 a0 a3', 'p1 p0 p3 p2'],
  ['a1 a0 a3 a2', ''],
  ['r0 r3 r2 a1', 'p0 p3 p2']
] as const

for (const [i, { acceptor, turns }] of recording.connections.entries()) {
  for (const [s, side] of (['dialler', 'acceptor'] as const).entries()) {
    t.test(`connection ${i + 1} to ${acceptor}: what the ${side} said`, async t => {
      const spoken = spokenBy(side, turns)
      for (const { message, frame } of spoken) t.equal(toHex(encodeMessage(message)), toHex(frame), message.type)

      const [first] = spoken
      if (first?.message.type !== 'handshake') return t.fail('it did not begin with a handshake')
      const { infoHash, name, bitfieldBytes, namespace, neighbours } = first.message.handshake
      t.equal(infoHash, metaInfo.infoHash)
      t.equal(name, metaInfo.name)
      t.equal(Bitfield.parse(bitfieldBytes, 4)?.count, side === 'dialler' ? 0 : 4)
      t.equal(namespace, side === 'dialler' ? 'test' : '')
      t.same(neighbours, [])

      for (const { message, payload } of spoken) {
        if (message.type === 'piecePayload') t.same(payload, pieces[message.index], `piece ${message.index}`)
      }
      t.equal(scriptOf(spoken), SCRIPTS[i]?.[s])
    })
  }
}
