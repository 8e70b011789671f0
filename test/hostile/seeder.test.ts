import t, { type Test } from 'tap'
import { badHandshakes, badMessages, badOpenings } from '../support/hazards.js'
import { bitset, greeting, type HandshakeFields, KrakenPeer, leechFrom, payloadOf, pieceOf, say, TYPE } from '../support/kraken-peer.js'
import { labBlob, openFilesBelow, quiet, randomPeerId, SwarmLab } from '../support/swarm-lab.js'

/*
 * Everything that is known to bring a seeder down, said to ours by one peer after the other. After each of them it serves an
 * honest leecher of the same blob, and one of another.
 */

const lab = await SwarmLab.start(t)
const blob = labBlob(150_001, 15_000, 'attacked')
const bystander = labBlob(40_000, 10_000, 'bystander')
/** Too many pieces for any handshake: it can lie in a cache all the same. */
const splinters = labBlob(254_000, 1, 'splinters', { withDigests: false })
const seeder = await lab.origin('seeder', [blob, bystander, splinters])

function attack (what: string, act: (t: Test) => Promise<void>): void {
  void t.test(what, async t => {
    await act(t)
    for (const other of [blob, bystander]) {
      t.ok((await leechFrom(seeder.port, other, randomPeerId()))?.equals(other.bytes), 'an honest leecher is served')
    }
    await seeder.probe()
  })
}

/** A peer that was let in. */
async function guest (): Promise<KrakenPeer> {
  const peer = await KrakenPeer.dial(seeder.port)
  await peer.send(greeting(blob, randomPeerId(), 'nothing'))
  await peer.nextOf(TYPE.handshake)
  return peer
}

/** The connection is still good for a piece. */
async function isServed (peer: KrakenPeer): Promise<boolean> {
  await peer.send(say.request(2, 15_000))
  return (await peer.nextOf(TYPE.payload))?.payload?.equals(pieceOf(blob, 2)) === true
}

for (const { what, said } of badOpenings) {
  attack(`${what} instead of a handshake`, async t => {
    const peer = await KrakenPeer.dial(seeder.port)
    await peer.send(said)
    await peer.closed
    t.equal(await peer.next(), undefined, 'is not answered')
  })
}

for (const { what, said } of badHandshakes(blob)) {
  attack(`a handshake with ${what}`, async t => {
    const peer = await KrakenPeer.dial(seeder.port)
    await peer.send(greeting(blob, randomPeerId(), 'nothing', said), say.request(0, 15_000))
    t.equal(await peer.nextOf(TYPE.payload), undefined, 'is turned away')
  })
}

for (const [what, fields] of [
  ['a blob that is not here', { infoHash: 'ab'.repeat(20), name: 'cd'.repeat(32) }],
  ['the info hash of one blob and the name of another', { name: bystander.metaInfo.name }],
  ['the name of a blob and an info hash of nothing', { infoHash: 'ab'.repeat(20) }],
  ['a blob of too many pieces', { infoHash: splinters.metaInfo.infoHash, name: splinters.metaInfo.name, bitfield: bitset(254_000) }],
  ['the peer id of the seeder itself', { peerId: seeder.peerId }]
] as ReadonlyArray<readonly [string, Partial<HandshakeFields>]>) {
  attack(`a handshake for ${what}, twenty times`, async t => {
    const peers = await Promise.all(Array.from({ length: 20 }, async () => await KrakenPeer.dial(seeder.port)))
    for (const peer of peers) await peer.send(greeting(blob, randomPeerId(), 'nothing', fields))
    for (const peer of peers) t.equal(await peer.nextOf(TYPE.payload), undefined)
  })
}

for (const { what, said, outcome } of badMessages(blob)) {
  attack(`${what} is ${outcome === 'closed' ? 'a reason to be cut off' : 'put up with'}`, async t => {
    const peer = await guest()
    await peer.send(said)
    if (outcome === 'closed') await peer.closed
    else t.ok(await isServed(peer))
    peer.destroy()
  })
}

for (const [what, request] of [
  ['for a piece that is none', say.request(11, 15_000)],
  ['for the last number there is', say.request(2 ** 31 - 1, 2 ** 31 - 1)],
  ['for a part of a piece', say.request(0, 7)],
  ['for more than a piece', say.request(0, 15_001)],
  ['for more than the last piece', say.request(10, 15_000)],
  ['for the end of a piece', say.request(0, 5_000, 10_000)]
] as const) {
  attack(`a request ${what} is answered with an error`, async t => {
    const peer = await guest()
    await peer.send(request)
    t.equal((await peer.next())?.type, TYPE.error)
    t.ok(await isServed(peer))
    peer.destroy()
  })
}

attack('pieces that nobody asked for are dropped, and too many of them resented', async t => {
  const peer = await guest()
  await peer.send(payloadOf(blob, 0), payloadOf(blob, 0))
  t.ok(await isServed(peer))
  while (!peer.isClosed) await peer.send(payloadOf(blob, 1))
})

attack('a second handshake is ignored', async t => {
  const peer = await guest()
  await peer.send(greeting(bystander, randomPeerId(), 'nothing'))
  t.ok(await isServed(peer))
  peer.destroy()
})

attack('who has everything is let go', async () => {
  const peer = await guest()
  await peer.send(say.complete())
  await peer.closed
})

attack('a peer that breaks off in the middle of whatever it is doing', async () => {
  const conversation = Buffer.concat([greeting(blob, randomPeerId(), 'nothing'), say.request(0, 15_000), payloadOf(blob, 1), say.announce(3)])
  for (let at = 0; at < conversation.length; at += 1 + Math.floor(at / 8)) {
    const peer = await KrakenPeer.dial(seeder.port)
    await peer.send(conversation.subarray(0, at))
    if (at % 2 === 0) peer.reset()
    else peer.destroy()
    await peer.closed
  }
})

attack('promises of huge things cost no memory', async t => {
  const before = process.memoryUsage.rss()
  for (let round = 0; round < 40; round++) {
    const peer = await guest()
    await peer.send(say.payload(0, 2 ** 31 - 1), Buffer.alloc(100_000))
    await peer.closed
    const stranger = await KrakenPeer.dial(seeder.port)
    await stranger.send(greeting(blob, randomPeerId(), 'nothing', { bitfield: bitset(2n ** 33n, [], 3_000) }))
    await stranger.closed
  }
  const grownBytes = process.memoryUsage.rss() - before
  t.ok(grownBytes < 150 * 1024 * 1024, `${Math.round(grownBytes / 1024 / 1024)} MiB more`)
})

t.test('in the end nothing is left open', async t => {
  t.match(await quiet(seeder), { conns: 0, slotsLeased: 0 })
})

t.teardown(async () => {
  await seeder.close()
  if (openFilesBelow(lab.root).length > 0) throw new Error('files are left open')
})
