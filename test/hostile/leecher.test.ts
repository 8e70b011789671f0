import t, { type Test } from 'tap'
import { badHandshakes, badMessages, badOpenings } from '../support/hazards.js'
import { bitset, greeting, KrakenPeer, payloadOf, pieceOf, say, TYPE } from '../support/kraken-peer.js'
import { labBlob, type LabBlob, openFilesBelow, quiet, randomPeerId, readAll, SwarmLab } from '../support/swarm-lab.js'

/*
 * One leecher that downloads one blob after the other. Each time a hostile peer is at hand, and an honest origin that does
 * not answer before the attack is over.
 */

const PIECE_BYTES = 4_000
const lab = await SwarmLab.start(t)
const leecher = await lab.swarm('leecher', 'leecher')

/** What a peer does once the leecher has dialled it and said who it is. */
type Attack = (peer: KrakenPeer, blob: LabBlob, peerId: string) => Promise<void>

interface Attacked { readonly pieceBytes?: number, readonly withDigests?: boolean }

/** The blob must arrive whatever the attacker does; with `closed` the attack is not over before the leecher cuts it off. */
function attack (what: string, outcome: 'closed' | 'kept', act: Attack, { pieceBytes = PIECE_BYTES, withDigests = true }: Attacked = {}): void {
  void t.test(what, async t => {
    const blob = labBlob(5 * pieceBytes - 1, pieceBytes, what, { withDigests })
    const id = randomPeerId()
    let end: () => void = () => {}
    const ended = new Promise<void>(resolve => { end = resolve })
    const attacker = await lab.scripted(blob, async peer => {
      await peer.nextOf(TYPE.handshake)
      await act(peer, blob, id)
      if (outcome === 'closed') await peer.closed
      end()
    }, 'agent', id)
    await lab.scriptedSeeder(blob, { onHandshake: async () => { await ended; return false } }, 'origin')
    await arrives(t, blob)
    await attacker.close()
  })
}

async function arrives (t: Test, blob: LabBlob): Promise<void> {
  t.same(await leecher.download('ns', blob.digest), { sizeBytes: blob.bytes.length })
  t.ok((await readAll(leecher, blob)).equals(blob.bytes), 'the blob is right')
}

/** The peer is still listened to: a piece that the leecher does not have is politely refused. */
async function isHeard (peer: KrakenPeer): Promise<boolean> {
  await peer.send(say.request(3, PIECE_BYTES))
  return await peer.nextOf(TYPE.error) !== undefined
}

const sample = labBlob(5 * PIECE_BYTES - 1, PIECE_BYTES, 'sample')

for (const { what, said } of badOpenings) attack(`${what} instead of a handshake`, 'closed', async peer => { await peer.send(said) })

for (const { what, said } of badHandshakes(sample)) {
  attack(`a handshake with ${what}`, 'closed', async (peer, blob, id) => { await peer.send(greeting(blob, id, 'all', said), payloadOf(blob, 0)) })
}

for (const [what, wrong] of [
  ['the peer id of somebody else', { peerId: randomPeerId() }],
  ['another info hash', { infoHash: 'ab'.repeat(20) }],
  ['another name', { name: 'cd'.repeat(32) }]
] as const) {
  attack(`a handshake with ${what}`, 'closed', async (peer, blob, id) => { await peer.send(greeting(blob, id, 'all', wrong)) })
}

for (const { what, said, outcome } of badMessages(sample)) {
  attack(`${what} is ${outcome === 'closed' ? 'a reason to cut a peer off' : 'put up with'}`, outcome, async (peer, blob, id) => {
    await peer.send(greeting(blob, id, 'nothing'), said)
    if (outcome === 'kept' && !await isHeard(peer)) throw new Error('the peer was cut off')
  })
}

attack('silence instead of a handshake', 'closed', async () => {})
attack('silence after the handshake', 'closed', async (peer, blob, id) => { await peer.send(greeting(blob, id, 'all')) })

attack('a peer that stops in the middle of a piece', 'closed', async (peer, blob, id) => {
  await peer.send(greeting(blob, id, 'all'), payloadOf(blob, 0).subarray(0, 1_000))
})

attack('a peer that sends a piece byte by byte', 'closed', async (peer, blob, id) => {
  await peer.send(greeting(blob, id, 'all'))
  const piece = payloadOf(blob, 0)
  for (let at = 0; at < piece.length && !peer.isClosed; at++) await peer.send(piece.subarray(at, at + 1))
}, { pieceBytes: 1_000_000 })

attack('a peer that resets the connection in the middle of a piece', 'closed', async (peer, blob, id) => {
  await peer.send(greeting(blob, id, 'all'), payloadOf(blob, 1).subarray(0, 2_222))
  peer.reset()
})

attack('a piece that ends too early', 'closed', async (peer, blob, id) => {
  await peer.send(greeting(blob, id, 'all'), payloadOf(blob, 1).subarray(0, -1))
  peer.destroy()
})

attack('a piece of a byte too much', 'closed', async (peer, blob, id) => {
  await peer.send(greeting(blob, id, 'all'), say.payload(0, PIECE_BYTES + 1), pieceOf(blob, 0), Buffer.alloc(1))
})

attack('a piece from its second byte on', 'closed', async (peer, blob, id) => {
  await peer.send(greeting(blob, id, 'all'), say.payload(0, PIECE_BYTES - 1, 1), pieceOf(blob, 0).subarray(1))
})

for (const withDigests of [true, false]) {
  attack(`wrong bytes for every request, ${withDigests ? 'with' : 'without'} digests to tell`, 'closed', async (peer, blob, id) => {
    await peer.send(greeting(blob, id, 'all'))
    for (let request = await peer.nextOf(TYPE.request); request !== undefined; request = await peer.nextOf(TYPE.request)) {
      await peer.send(payloadOf(blob, request.index, Buffer.alloc(pieceOf(blob, request.index).length, 0xee)))
    }
  }, { withDigests })
}

attack('the bytes of another piece', 'closed', async (peer, blob, id) => {
  await peer.send(greeting(blob, id, 'all'), say.payload(0, PIECE_BYTES), pieceOf(blob, 1))
})

attack('wrong pieces that nobody asked for', 'closed', async (peer, blob, id) => {
  await peer.send(greeting(blob, id, 'nothing'), ...[0, 1, 2].map(index => payloadOf(blob, index, Buffer.alloc(PIECE_BYTES))))
})

attack('the same piece again and again', 'closed', async (peer, blob, id) => {
  await peer.send(greeting(blob, id, 'nothing'))
  for (let round = 0; round < 1_000 && !peer.isClosed; round++) await peer.send(payloadOf(blob, 0))
})

attack('a peer that announces everything and delivers nothing', 'closed', async (peer, blob, id) => {
  await peer.send(greeting(blob, id, 'nothing'))
  const announceAll = Buffer.concat([0, 1, 2, 3, 4].map(index => say.announce(index)))
  await peer.send(announceAll)
  for (let request = await peer.nextOf(TYPE.request); request !== undefined; request = await peer.nextOf(TYPE.request)) {
    await peer.send(say.error(request.index), announceAll)
  }
})

attack('a peer that claims to be complete and refuses every request', 'kept', async (peer, blob, id) => {
  await peer.send(greeting(blob, id, 'nothing'), say.complete())
  for (let refused = 0; refused < 5; refused++) {
    const request = await peer.nextOf(TYPE.request)
    if (request !== undefined) await peer.send(say.error(request.index))
  }
})

attack('garbage behind a good piece', 'closed', async (peer, blob, id) => {
  await peer.send(greeting(blob, id, 'all'), payloadOf(blob, 2), Buffer.alloc(5_000, 0xa5))
})

t.test('good pieces that nobody asked for are welcome, each of them once', async t => {
  const blob = labBlob(5 * PIECE_BYTES, PIECE_BYTES, 'pushed')
  const before = await leecher.stats()
  const id = randomPeerId()
  await lab.scripted(blob, async peer => {
    await peer.nextOf(TYPE.handshake)
    await peer.send(greeting(blob, id, 'nothing'), ...[4, 3, 2, 1, 0].map(index => payloadOf(blob, index)))
    await peer.closed
  }, 'agent', id)
  await arrives(t, blob)
  t.equal((await leecher.stats()).bytesFromAgents - before.bytesFromAgents, blob.bytes.length)
})

t.test('a blob of which four of five peers send wrong pieces arrives', async t => {
  const blob = labBlob(200_001, 10_000, 'liars')
  const before = await leecher.stats()
  let markFound: () => void = () => {}
  const found = new Promise<void>(resolve => { markFound = resolve })
  const lie = async (peer: KrakenPeer, index: number): Promise<boolean> => {
    await peer.send(payloadOf(blob, index, Buffer.alloc(pieceOf(blob, index).length)))
    void peer.closed.then(markFound)
    return true
  }
  for (let i = 0; i < 4; i++) await lab.scriptedSeeder(blob, { onRequest: lie })
  // The liars have their turn first.
  await lab.scriptedSeeder(blob, { onHandshake: async () => { await found; return false } })
  await arrives(t, blob)
  const after = await leecher.stats()
  t.ok(after.corruptPieces > before.corruptPieces && after.peersCutOff > before.peersCutOff)
})

t.test('peers that dial a leecher in the middle of a download can do no more than others', async t => {
  const blob = labBlob(5 * PIECE_BYTES - 1, PIECE_BYTES, 'dialled')
  let release: () => void = () => {}
  const released = new Promise<void>(resolve => { release = resolve })
  await lab.scriptedSeeder(blob, { onRequest: async () => { await released; return false } }, 'origin')
  const downloading = leecher.download('ns', blob.digest)
  const hello = async (): Promise<Buffer> => greeting(blob, randomPeerId(), 'nothing')
  const openings = [
    ...badOpenings.map(({ said }) => said),
    ...badHandshakes(blob).map(({ said }) => greeting(blob, randomPeerId(), 'nothing', said)),
    ...await Promise.all(badMessages(blob).filter(({ outcome }) => outcome === 'closed').map(async ({ said }) => Buffer.concat([await hello(), said]))),
    Buffer.concat([await hello(), payloadOf(blob, 1, Buffer.alloc(PIECE_BYTES))])
  ]
  for (const opening of openings) {
    const peer = await KrakenPeer.dial(leecher.port)
    await peer.send(opening)
    await peer.closed
  }
  const pusher = await KrakenPeer.dial(leecher.port)
  await pusher.send(greeting(blob, randomPeerId(), 'nothing', { bitfield: bitset(5, [2]) }), payloadOf(blob, 2))
  release()
  t.same(await downloading, { sizeBytes: blob.bytes.length })
  await arrives(t, blob)
  pusher.destroy()
})

t.test('in the end nothing is left open', async t => {
  t.match(await quiet(leecher), { conns: 0, slotsLeased: 0 })
  await leecher.close()
  t.same(openFilesBelow(lab.root), [])
})
