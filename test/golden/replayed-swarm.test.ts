import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import fs from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import t, { type Test } from 'tap'
import { type PeerId } from '../../runtime/core/peer-id.js'
import { parseDigestHex } from '../../runtime/core/digest.js'
import { MetaInfo } from '../../runtime/core/metainfo.js'
import { DownloadStore } from '../../runtime/store/download.js'
import { Swarm } from '../../workers/swarm-door.js'
import { fromHex, toHex } from '../support/hex.js'
import { pattern } from '../support/pattern.js'
import { schedulerConfig } from '../support/scheduler-config.js'
import { ScriptedTracker } from '../support/scripted-tracker.js'

/*
 * The recorded conversations of a real swarm (p2p specification 5.11), replayed against our peer port from both sides: our
 * seeder hears what the diallers said, our leecher what the acceptors said.
 */

type Side = 'dialler' | 'acceptor'
interface Turn { readonly from: Side, readonly hex: string }
interface Connection { readonly acceptor: string, readonly turns: readonly Turn[] }

const { connections }: { connections: readonly Connection[] } =
  JSON.parse(readFileSync(new URL('./vectors/p2p.json', import.meta.url), 'utf8'))
const BLOB = pattern(1000)
const PIECE_BYTES = 256
const metaInfo = new MetaInfo(
  parseDigestHex('9ae5bf6a24c09bca9d2633fc99cc71241a16b993ef7c8019f574993fc886554c'), BLOB.length, PIECE_BYTES,
  Uint32Array.from({ length: 4 }, (_, i) => crc32(BLOB.subarray(i * PIECE_BYTES, (i + 1) * PIECE_BYTES)))
)
const HANDSHAKE_BYTES = { dialler: 4 + 177, acceptor: 4 + 171 }

function saidBy (side: Side, { turns }: Connection): Buffer {
  return Buffer.from(fromHex(turns.filter(turn => turn.from === side).map(turn => turn.hex).join('')))
}

/** The recorded handshake with another peer id in its place. */
function handshakeOf (side: Side, connection: Connection, peerId: string): string {
  const text = saidBy(side, connection).subarray(0, HANDSHAKE_BYTES[side]).toString('latin1')
  return toHex(Buffer.from(text.replace(peerIdOf(side, connection), peerId), 'latin1'))
}

function peerIdOf (side: Side, connection: Connection): string {
  return /"\(([0-9a-f]{40})\*/.exec(saidBy(side, connection).toString('latin1'))?.[1] ?? ''
}

/** Swarm options that tests share; the peer port is a free one. */
function options (root: string): Parameters<typeof Swarm.start>[0] {
  return {
    mode: 'seeder',
    ip: '127.0.0.1',
    port: 0,
    peerIdPolicy: 'addr_hash',
    store: { downloadDir: path.join(root, 'download'), cacheDir: path.join(root, 'cache') },
    scheduler: schedulerConfig,
    slotCount: 16,
    hashThreads: 1,
    tracker: undefined
  }
}

async function seedBlob (root: string): Promise<void> {
  const store = new DownloadStore(options(root).store)
  const stored = await store.create(metaInfo)
  await fs.writeFile(stored.path, BLOB)
  for (const piece of metaInfo.lengths.indices()) await stored.markStored(piece)
  await stored.complete()
  await stored.close()
}

/** Sends what a dialler said and collects the answers until there are `count` bytes. */
async function converse (port: number, said: Buffer, count: number): Promise<Buffer> {
  const socket = net.connect(port, '127.0.0.1')
  socket.write(said)
  const parts: Buffer[] = []
  for await (const part of socket) {
    parts.push(part as Buffer)
    if (Buffer.concat(parts).length >= count) break
  }
  socket.destroy()
  return Buffer.concat(parts)
}

t.test('our seeder answers the recorded diallers as the recorded acceptors did', async t => {
  const root = t.testdir({})
  await seedBlob(root)
  const swarm = await Swarm.start(options(root))
  for (const [i, connection] of connections.entries()) {
    const expected = saidBy('acceptor', connection)
    const answer = await converse(swarm.port, saidBy('dialler', connection), expected.length)
    t.equal(toHex(answer.subarray(0, HANDSHAKE_BYTES.acceptor)), handshakeOf('acceptor', connection, swarm.peerId), `handshake ${i + 1}`)
    t.equal(toHex(answer.subarray(HANDSHAKE_BYTES.acceptor)), toHex(expected.subarray(HANDSHAKE_BYTES.acceptor)), `pieces ${i + 1}`)
  }
  await swarm.close()
})

/** An acceptor that says what a recorded one said as soon as it has heard a handshake, and the missing pieces on top. */
async function playAcceptor (t: Test, connection: Connection, extra: Buffer): Promise<{ port: number, heard: () => Buffer }> {
  let heard = Buffer.alloc(0)
  const server = net.createServer(socket => {
    let hasSpoken = false
    socket.on('error', () => {})
    socket.on('data', (part: Buffer) => {
      heard = Buffer.concat([heard, part])
      if (hasSpoken || heard.length < HANDSHAKE_BYTES.dialler) return
      hasSpoken = true
      socket.write(Buffer.concat([saidBy('acceptor', connection), extra]))
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const address = server.address()
  return { port: typeof address === 'object' && address !== null ? address.port : 0, heard: () => heard }
}

/** Recorded payloads, header and bytes, of pieces 0 to 3 in the order 0 3 2 1 (connection 1). */
const payloads = saidBy('acceptor', connections[0] as Connection).subarray(HANDSHAKE_BYTES.acceptor)

for (const [i, connection] of connections.entries()) {
  t.test(`our leecher understands the acceptor of connection ${i + 1}`, async t => {
    const tracker = await ScriptedTracker.start(metaInfo.serialize())
    const complete = saidBy('acceptor', connection).length === HANDSHAKE_BYTES.acceptor + payloads.length
    const acceptor = await playAcceptor(t, connection, complete ? Buffer.alloc(0) : payloads)
    tracker.peers = [{ id: peerIdOf('acceptor', connection) as PeerId, ip: '127.0.0.1', port: acceptor.port, isOrigin: i === 0, isComplete: true }]
    const upstream = {
      hosts: { static: [tracker.address], dns: undefined, ttlMs: 5_000 },
      health: { failsMax: 3, passesMin: 2, timeoutMs: 3_000, intervalMs: 10_000 },
      ring: { replicasMax: 3, refreshIntervalMs: 10_000 }
    }
    const swarm = await Swarm.start({ ...options(t.testdir({})), mode: 'leecher', tracker: upstream })
    t.same(await swarm.download('test', metaInfo.digest), { sizeBytes: BLOB.length })

    const opened = await swarm.open('test', metaInfo.digest)
    const hash = createHash('sha256')
    for await (const chunk of opened.chunks()) hash.update(chunk)
    await opened.close()
    t.equal(hash.digest('hex'), metaInfo.name, 'the blob is right')
    t.equal(toHex(acceptor.heard().subarray(0, HANDSHAKE_BYTES.dialler)), handshakeOf('dialler', connection, swarm.peerId), 'and our handshake')
    await tracker.announced(/"complete":true/)
    await swarm.close()
    await tracker.close()
    t.match(tracker.announces[0], { path: `/announce/${metaInfo.infoHash}`, body: /"complete":false/ })
  })
}
