import { readFileSync } from 'node:fs'
import fc from '../support/fc.js'
import t from 'tap'
import { crc32 } from 'node:zlib'
import { digestFromHex, parseDigestHex } from '../../runtime/core/digest.js'
import { MetaInfo } from '../../runtime/core/metainfo.js'
import { fromHex } from '../support/hex.js'
import { KrakenListener, KrakenPeer, leechFrom, seedTo } from '../support/kraken-peer.js'
import { pattern } from '../support/pattern.js'
import { type LabBlob, quiet, randomPeerId, readAll, SwarmLab } from '../support/swarm-lab.js'

/*
 * The recorded conversations of a real swarm (p2p specification 5.11) with something changed, said to our peer port from
 * both sides. Whatever it is, the node lives on and nobody gets a wrong byte. A failure prints the seed that repeats it.
 */

interface Connection { readonly turns: ReadonlyArray<{ readonly from: 'dialler' | 'acceptor', readonly hex: string }> }

const { connections }: { connections: readonly Connection[] } =
  JSON.parse(readFileSync(new URL('../golden/vectors/p2p.json', import.meta.url), 'utf8'))
const RUNS = 200

const bytes = Buffer.from(pattern(1000))
const name = parseDigestHex('9ae5bf6a24c09bca9d2633fc99cc71241a16b993ef7c8019f574993fc886554c')
const sums = Uint32Array.from([0, 1, 2, 3], i => crc32(bytes.subarray(i * 256, (i + 1) * 256)))
const blob: LabBlob = { bytes, digest: digestFromHex(name), metaInfo: new MetaInfo(name, 1000, 256, sums) }

const lab = await SwarmLab.start(t)
const seeder = await lab.origin('seeder', [blob])
const leecher = await lab.swarm('leecher', 'leecher')

function saidBy (side: 'dialler' | 'acceptor', { turns }: Connection): Buffer {
  return Buffer.from(fromHex(turns.filter(turn => turn.from === side).map(turn => turn.hex).join('')))
}

type Change =
  | { readonly type: 'flip' | 'set', readonly at: number, readonly value: number }
  | { readonly type: 'cut' | 'repeat', readonly at: number, readonly length: number }
  | { readonly type: 'insert', readonly at: number, readonly bytes: Uint8Array }

const place = fc.oneof({ weight: 3, arbitrary: fc.nat(200) }, { weight: 1, arbitrary: fc.nat(3_000) })
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ type: fc.constant('flip' as const), at: place, value: fc.nat(7).map(bit => 1 << bit) }),
  fc.record({ type: fc.constant('set' as const), at: place, value: fc.constantFrom(0, 1, 0x7f, 0x80, 0xff) }),
  fc.record({ type: fc.constantFrom('cut' as const, 'repeat' as const), at: place, length: fc.integer({ min: 1, max: 64 }) }),
  fc.record({ type: fc.constant('insert' as const), at: place, bytes: fc.uint8Array({ minLength: 1, maxLength: 16 }) })
)
const changes = fc.array(change, { minLength: 1, maxLength: 3 })
const anyConnection = fc.constantFrom(...connections)
/** How a stream is cut into segments. */
const cuts = fc.array(fc.nat(1_500), { maxLength: 4 })

function changed (stream: Buffer, list: readonly Change[]): Buffer {
  return list.reduce((bytes, change) => {
    const at = change.at % (bytes.length + 1)
    const [head, tail] = [bytes.subarray(0, at), Buffer.from(bytes.subarray(at))]
    switch (change.type) {
      case 'flip': case 'set':
        if (tail.length > 0) tail.writeUInt8(change.type === 'flip' ? tail.readUInt8() ^ change.value : change.value)
        return Buffer.concat([head, tail])
      case 'cut': return Buffer.concat([head, tail.subarray(change.length)])
      case 'repeat': return Buffer.concat([head, tail.subarray(0, change.length), tail])
      case 'insert': return Buffer.concat([head, change.bytes, tail])
      default: return bytes
    }
  }, stream)
}

/** Says it in segments, hangs up, and waits until the other side has done so too. */
async function sayAll (peer: KrakenPeer, stream: Buffer, cuts: readonly number[]): Promise<void> {
  let from = 0
  for (const at of [...cuts.map(cut => cut % (stream.length + 1)).sort((a, b) => a - b), stream.length]) {
    await peer.send(stream.subarray(from, at))
    from = at
  }
  peer.socket.end()
  await peer.closed
}

t.test('a seeder that hears a changed dialler', async t => {
  await fc.assert(fc.asyncProperty(anyConnection, changes, cuts, async (connection, changes, cuts) => {
    const peer = await KrakenPeer.dial(seeder.port)
    await sayAll(peer, changed(saidBy('dialler', connection), changes), cuts)
    for (let heard = await peer.next(); heard !== undefined; heard = await peer.next()) {
      if (heard.payload?.equals(bytes.subarray(heard.index * 256, (heard.index + 1) * 256)) === false) throw new Error('a wrong byte was served')
    }
    await seeder.probe()
  }), { numRuns: RUNS })
  t.ok((await leechFrom(seeder.port, blob, randomPeerId()))?.equals(bytes), 'serves an honest one afterwards')
})

t.test('a seeder that hears random bytes', async t => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 3_000 }), cuts, async (bytes, cuts) => {
    await sayAll(await KrakenPeer.dial(seeder.port), Buffer.from(bytes), cuts)
    await seeder.probe()
  }), { numRuns: RUNS })
  t.ok((await leechFrom(seeder.port, blob, randomPeerId()))?.equals(bytes), 'serves an honest one afterwards')
})

t.test('a leecher that hears a changed acceptor', async () => {
  const { peers } = lab.tracker.know(blob.metaInfo)
  await fc.assert(fc.asyncProperty(anyConnection, changes, cuts, async (connection, changes, cuts) => {
    const ids = [randomPeerId(), randomPeerId()] as const
    const said = saidBy('acceptor', connection).toString('latin1')
    // The recorded id stands in field 4; ours has the same length.
    const stream = Buffer.from(said.replace(/"\([0-9a-f]{40}/, `"(${ids[0]}`), 'latin1')
    let end: () => void = () => {}
    const ended = new Promise<void>(resolve => { end = resolve })
    const hostile = await KrakenListener.start(async peer => {
      await peer.next()
      await sayAll(peer, changed(stream, changes), cuts)
      end()
    })
    const honest = await KrakenListener.start(async peer => {
      await seedTo(peer, blob, ids[1], { onHandshake: async () => { await ended; return false } })
    })
    peers.splice(0, peers.length, ...[hostile, honest].map((listener, i) => (
      { id: ids[i] ?? ids[0], ip: '127.0.0.1', port: listener.port, isOrigin: i === 1, isComplete: true })))
    await leecher.download('ns', blob.digest)
    if (!(await readAll(leecher, blob)).equals(bytes)) throw new Error('a wrong byte was delivered')
    await leecher.remove(blob.digest)
    await Promise.all([hostile.close(), honest.close()])
  }), { numRuns: RUNS / 2 })
})

t.test('nothing is left of all that', async t => {
  for (const swarm of [seeder, leecher]) t.match(await quiet(swarm), { conns: 0, slotsLeased: 0 })
})
