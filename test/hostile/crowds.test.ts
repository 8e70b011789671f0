import t from 'tap'
import { type PeerInfo } from '../../runtime/core/peer.js'
import { greeting, KrakenListener, KrakenPeer, leechFrom, pieceOf, say, type SharedBlob, TYPE } from '../support/kraken-peer.js'
import { labBlob, openFilesBelow, quiet, randomPeerId, readAll, SwarmLab } from '../support/swarm-lab.js'

/* Many peers at once, and peers that ask for much: what they hold is bounded, and honest peers get their share. */

const lab = await SwarmLab.start(t)
const blob = labBlob(150_001, 15_000, 'crowded')
const large = labBlob(4_000_000, 1_000_000, 'large')
const bystander = labBlob(40_000, 10_000, 'bystander')
const seeder = await lab.origin('seeder', [blob, large, bystander])
const leecher = await lab.swarm('leecher', 'leecher')

async function isServed (...blobs: readonly SharedBlob[]): Promise<boolean> {
  for (const each of blobs) if ((await leechFrom(seeder.port, each, randomPeerId()))?.equals(each.bytes) !== true) return false
  return true
}

async function guest (of: SharedBlob): Promise<KrakenPeer> {
  const peer = await KrakenPeer.dial(seeder.port)
  await peer.send(greeting(of, randomPeerId(), 'nothing'))
  await peer.nextOf(TYPE.handshake)
  return peer
}

t.test('three thousand requests of one peer are all served', async t => {
  const peer = await guest(bystander)
  await peer.send(Buffer.concat(Array.from({ length: 3_000 }, (_, i) => say.request(i % 4, 10_000))))
  let count = 0
  while (count < 3_000 && (await peer.nextOf(TYPE.payload))?.payload?.equals(pieceOf(bystander, count % 4)) === true) count++
  t.equal(count, 3_000)
  peer.destroy()
})

t.test('a peer that asks for ever more and reads nothing is cut off', async t => {
  const greedy = await guest(large)
  greedy.stopReading()
  const flood = Buffer.concat(Array.from({ length: 5_000 }, (_, i) => say.request(i % 4, 1_000_000)))
  while (!greedy.isClosed) await greedy.send(flood)
  t.ok(await isServed(large, bystander))
})

t.test('a peer that makes us answer and does not listen is cut off before it takes our memory', async t => {
  const before = process.memoryUsage.rss()
  const deaf = await guest(blob)
  deaf.stopReading()
  const flood = Buffer.concat(Array.from({ length: 10_000 }, (_, i) => say.request(1_000_000 + i, 1)))
  while (!deaf.isClosed) await deaf.send(flood)
  const grownBytes = process.memoryUsage.rss() - before
  t.ok(grownBytes < 200 * 1024 * 1024, `${Math.round(grownBytes / 1024 / 1024)} MiB more`)
  t.ok(await isServed(blob, bystander))
})

t.test('ten peers that read nothing of what they asked for do not stop the others', async t => {
  const greedy = await Promise.all(Array.from({ length: 10 }, async () => await guest(large)))
  for (const peer of greedy) {
    peer.stopReading()
    await peer.send(Buffer.concat(Array.from({ length: 100 }, (_, i) => say.request(i % 4, 1_000_000))))
  }
  t.ok(await isServed(bystander, blob))
  for (const peer of greedy) peer.destroy()
})

t.test('a thousand connections that say nothing do not keep anybody out, and end', async t => {
  const silent = await Promise.all(Array.from({ length: 1_000 }, async () => await KrakenPeer.dial(seeder.port)))
  t.ok(await isServed(blob, bystander), 'an honest leecher is served meanwhile')
  t.ok((await seeder.stats()).conns <= 520, 'the oldest ones had to go')
  await Promise.all(silent.map(async peer => { await peer.closed }))
  t.match(await quiet(seeder), { conns: 0 })
})

t.test('handshakes that never end do not keep anybody out, and are given up', async t => {
  const opening = greeting(blob, randomPeerId(), 'nothing')
  const slow = await Promise.all(Array.from({ length: 50 }, async () => await KrakenPeer.dial(seeder.port)))
  for (const [i, peer] of slow.entries()) await peer.send(opening.subarray(0, 1 + i))
  const trickling = slow.map(async peer => { for (let at = 60; !peer.isClosed; at++) await peer.send(opening.subarray(at % 100, at % 100 + 1)) })
  t.ok(await isServed(blob, bystander))
  await Promise.all(trickling)
  await Promise.all(slow.map(async peer => { await peer.closed }))
})

t.test('ten peers that hold every slot and do nothing give way', async t => {
  const idle = await Promise.all(Array.from({ length: 10 }, async () => await guest(blob)))
  t.ok(await isServed(bystander), 'other blobs have slots of their own')
  t.same(await leecher.download('ns', blob.digest), { sizeBytes: blob.bytes.length })
  t.ok((await readAll(leecher, blob)).equals(blob.bytes))
  for (const peer of idle) peer.destroy()
})

t.test('a leecher is served while others come and go without end', async t => {
  const other = labBlob(1_000_000, 50_000, 'restless')
  await lab.origin('restless', [other])
  const over = new AbortController()
  const restless = Array.from({ length: 20 }, async () => {
    while (!over.signal.aborted) {
      const peer = await KrakenPeer.dial(leecher.port)
      await peer.send(greeting(other, randomPeerId(), 'nothing'), say.request(0, 50_000), say.complete())
      await peer.next()
      peer.reset()
    }
  })
  t.same(await leecher.download('ns', other.digest), { sizeBytes: other.bytes.length })
  over.abort()
  await Promise.all(restless)
  t.ok((await readAll(leecher, other)).equals(other.bytes))
})

t.test('a blob arrives although the tracker hands out two hundred peers that are none', async t => {
  const wanted = labBlob(500_000, 50_000, 'needle')
  const mute = await KrakenListener.start(async peer => { await peer.closed })
  t.teardown(async () => { await mute.close() })
  const closed = await KrakenListener.start(async () => {})
  const { port: closedPort } = closed
  await closed.close()
  const nobody = (i: number): Pick<PeerInfo, 'ip' | 'port'> => [
    { ip: '127.0.0.1', port: closedPort },
    { ip: '127.0.0.1', port: mute.port },
    { ip: `127.${i}.${i}.1`, port: 1 },
    { ip: '127.0.0.1', port: 0 },
    { ip: '', port: closedPort },
    { ip: 'no host name', port: 15_001 },
    { ip: '127.0.0.1\0', port: closedPort },
    { ip: '0.0.0.0', port: closedPort },
    { ip: '::1', port: closedPort },
    { ip: '127.0.0.1', port: leecher.port }
  ][i % 10] ?? { ip: '127.0.0.1', port: 1 }
  const { peers } = lab.tracker.know(wanted.metaInfo)
  for (let i = 0; i < 200; i++) peers.push({ id: i % 50 === 0 ? leecher.peerId : randomPeerId(), ...nobody(i), isOrigin: false, isComplete: true })
  await lab.scriptedSeeder(wanted, {}, 'origin')
  t.same(await leecher.download('ns', wanted.digest), { sizeBytes: wanted.bytes.length })
  t.ok((await readAll(leecher, wanted)).equals(wanted.bytes))
  t.ok(mute.peers.length > 0, 'some of them were tried')
})

t.test('a blob that is asked for by a crowd is sent to everybody', async t => {
  const crowd = Array.from({ length: 30 }, async () => {
    for (;;) {
      const bytes = await leechFrom(seeder.port, bystander, randomPeerId())
      if (bytes !== undefined) return bytes
      await seeder.probe()
    }
  })
  for (const bytes of await Promise.all(crowd)) t.ok(bytes.equals(bystander.bytes))
})

t.test('in the end nothing is left open', async t => {
  for (const swarm of [leecher, seeder]) t.match(await quiet(swarm), { conns: 0, slotsLeased: 0 })
  await Promise.all([leecher.close(), seeder.close()])
  t.same(openFilesBelow(lab.root).filter(file => !file.includes('restless')), [])
})
