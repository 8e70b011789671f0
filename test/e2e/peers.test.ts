import { existsSync } from 'node:fs'
import fs from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import t from 'tap'
import { settle } from '../support/manual-time.js'
import { hexOf } from '../../runtime/core/digest.js'
import { MetaInfo } from '../../runtime/core/metainfo.js'
import { blobDir, dataIn } from '../../runtime/store/paths.js'
import { type OpenBlob } from '../../workers/open-blob.js'
import { forgedCrc } from '../support/forged.js'
import { bitset, greeting, KrakenPeer, payloadOf, pieceOf, say, TYPE } from '../support/kraken-peer.js'
import {
  labBlob, type LabBlob, openFilesBelow, putIntoDownloads, quiet, randomPeerId, readAll, statsWhen, storeDirs, SwarmLab
} from '../support/swarm-lab.js'

/*
 * The swarm thread with everything behind it, over real sockets and files: what a blob goes through from its metainfo to
 * its last byte. Two nodes last for the whole file; a test that needs nodes of its own says so.
 */

const KIB = 1024
const lab = await SwarmLab.start(t)

/** Pieces of a fraction of a slot, of exactly one, of several; of a length that nothing divides. */
const SHAPES = [
  ['no byte', labBlob(0, 64 * KIB, 'empty')],
  ['one byte', labBlob(1, 64 * KIB, 'one')],
  ['pieces of a tenth of a slot', labBlob(1_000_003, 25_600, 'small')],
  ['pieces of one slot', labBlob(4 * 256 * KIB, 256 * KIB, 'slot')],
  ['pieces of four slots and the last of a byte', labBlob(3 * 1024 * KIB + 1, 1024 * KIB, 'large')],
  ['pieces of which only the CRC-32 is known', labBlob(1_500_001, 300_001, 'plain', { withDigests: false })]
] as const
const origin = await lab.origin('origin', SHAPES.map(([, blob]) => blob))
const leecher = await lab.swarm('leecher', 'leecher')

for (const [what, blob] of SHAPES) {
  t.test(`a blob with ${what} arrives as it is`, async t => {
    const before = await leecher.stats()
    t.same(await leecher.download('ns', blob.digest), { sizeBytes: blob.bytes.length })
    t.ok((await readAll(leecher, blob)).equals(blob.bytes))
    t.ok((await fs.readFile(cachedFile('leecher', blob))).equals(blob.bytes), 'it lies in the cache')
    t.notOk(existsSync(blobDir(storeDirs(lab.dir('leecher')).downloadDir, hexOf(blob.digest))), 'and not among the downloads')
    const after = await leecher.stats()
    t.equal(after.bytesFromOrigins - before.bytesFromOrigins, blob.bytes.length, 'each byte came once')
  })
}

t.test('a blob is downloaded once, however many ask for it', async t => {
  const blob = labBlob(600_000, 100_000, 'once')
  const before = await leecher.stats()
  await lab.scriptedSeeder(blob)
  const all = await Promise.all([leecher.download('ns', blob.digest), readAll(leecher, blob), leecher.download('ns', blob.digest), readAll(leecher, blob)])
  t.same(all[0], { sizeBytes: 600_000 })
  t.ok(all[1].equals(blob.bytes) && all[3].equals(blob.bytes))
  t.equal((await leecher.stats()).bytesFromAgents - before.bytesFromAgents, 600_000)
})

t.test('two leechers with half of the blob each make a whole of it', async t => {
  const blob = labBlob(1_000_000, 50_000, 'halves')
  const halves = [...blob.metaInfo.lengths.indices()]
  await putIntoDownloads(lab.dir('even'), blob, halves.filter(n => n % 2 === 0))
  await putIntoDownloads(lab.dir('odd'), blob, halves.filter(n => n % 2 === 1))
  lab.tracker.know(blob.metaInfo)
  const nodes = [await lab.swarm('even', 'leecher'), await lab.swarm('odd', 'leecher')]
  await Promise.all(nodes.map(async node => await node.download('ns', blob.digest)))
  for (const node of nodes) {
    t.ok((await readAll(node, blob)).equals(blob.bytes))
    t.match(await quiet(node), { bytesFromAgents: 500_000, bytesFromOrigins: 0 })
    await node.close()
  }
})

interface SlowSeeder {
  /** Lets it have one more piece. */
  give (index: number): Promise<void>
  /** Resolves when everybody has gone. */
  closed (): Promise<void>
}

/** A seeder that has one piece after the other, as a test says so. */
async function slowSeeder (blob: LabBlob): Promise<SlowSeeder> {
  const id = randomPeerId()
  const given = new Set<number>()
  const talking = new Set<KrakenPeer>()
  const listener = await lab.scripted(blob, async peer => {
    const heard = await peer.nextOf(TYPE.handshake)
    if (heard?.handshake?.namespace !== 'ns') throw new Error('the namespace is missing')
    const { metaInfo: { infoHash, name, lengths: { pieceCount } } } = blob
    talking.add(peer)
    await peer.send(say.handshake({ infoHash, name, peerId: id, bitfield: bitset(pieceCount, given) }))
    for (let request = await peer.nextOf(TYPE.request); request !== undefined; request = await peer.nextOf(TYPE.request)) {
      await peer.send(payloadOf(blob, request.index))
    }
  }, 'agent', id)
  return {
    give: async index => {
      given.add(index)
      await Promise.all([...talking].map(async peer => { await peer.send(say.announce(index)) }))
    },
    closed: async () => { await Promise.all(listener.peers.map(async peer => { await peer.closed })) }
  }
}

/** Reads on in the background, says how far it came, and closes the blob in the end. */
function follow (opened: OpenBlob): { bytes: () => Buffer, done: Promise<Buffer> } {
  let bytes = Buffer.alloc(0)
  const read = async (): Promise<Buffer> => {
    try {
      for await (const chunk of opened.chunks()) bytes = Buffer.concat([bytes, chunk])
      return bytes
    } finally {
      await opened.close()
    }
  }
  const done = read()
  done.catch(() => {})
  return { bytes: () => bytes, done }
}

t.test('leading pieces are read as they come, if each is vouched for', async t => {
  const blob = labBlob(40_000, 10_000, 'streamed')
  const seeder = await slowSeeder(blob)
  const opened = await leecher.open('ns', blob.digest)
  t.equal(opened.sizeBytes, 40_000)
  const reading = follow(opened)
  await seeder.give(2)
  await statsWhenAgentsGave(10_000)
  t.equal(reading.bytes().length, 0, 'the third piece is of no use to who reads from the beginning')
  const third = opened.chunks(21_000, 9_000)
  for await (const chunk of third) t.ok(blob.bytes.subarray(21_000, 30_000).equals(chunk), 'but can be read by itself')
  await seeder.give(0)
  const chunks = opened.chunks(5_000, 5_000)
  for await (const chunk of chunks) t.ok(blob.bytes.subarray(5_000, 10_000).equals(chunk), 'a range within the first piece is there')
  await seeder.give(1)
  const partly = opened.chunks(0, 30_000)
  const parts: Buffer[] = []
  for await (const chunk of partly) parts.push(Buffer.from(chunk))
  t.ok(Buffer.concat(parts).equals(blob.bytes.subarray(0, 30_000)), 'with the second piece the third can be read as well')
  await seeder.give(3)
  t.ok((await reading.done).equals(blob.bytes))
})

t.test('nothing is read before the whole is verified, if its pieces are not vouched for', async t => {
  const blob = labBlob(30_000, 10_000, 'withheld', { withDigests: false })
  const seeder = await slowSeeder(blob)
  const reading = follow(await leecher.open('ns', blob.digest))
  for (const index of [0, 1]) await seeder.give(index)
  await statsWhenAgentsGave(20_000)
  await settle()
  t.equal(reading.bytes().length, 0)
  await seeder.give(2)
  t.ok((await reading.done).equals(blob.bytes))
})

let givenByAgents = 0
/** Waits until scripted agents have given this much more than when it was asked last. */
async function statsWhenAgentsGave (sizeBytes: number): Promise<void> {
  const { bytesFromAgents } = await statsWhen(leecher, stats => stats.bytesFromAgents >= givenByAgents + sizeBytes)
  givenByAgents = bytesFromAgents
}
t.beforeEach(async () => { givenByAgents = (await leecher.stats()).bytesFromAgents })

t.test('a reader that goes away leaves the others alone', async t => {
  const blob = labBlob(20_000, 10_000, 'two readers')
  const seeder = await slowSeeder(blob)
  const leaving = await leecher.open('ns', blob.digest)
  const [left, stayed] = [follow(leaving), follow(await leecher.open('ns', blob.digest))]
  await leaving.close()
  await t.rejects(left.done, { code: 'CANCELLED' })
  for (const index of [0, 1]) await seeder.give(index)
  t.ok((await stayed.done).equals(blob.bytes))
})

t.test('a download that is interrupted goes on with what it has, once it is wanted again', async t => {
  const blob = labBlob(100_000, 10_000, 'resumed')
  const first = await slowSeeder(blob)
  const node = await lab.swarm('interrupted', 'leecher')
  const failing = node.download('ns', blob.digest)
  failing.catch(() => {})
  for (const index of [0, 3, 4, 7]) await first.give(index)
  await statsWhen(node, stats => stats.bytesFromAgents === 40_000)
  await node.close()
  await t.rejects(failing, { code: 'CANCELLED' })
  await first.closed()
  t.same(openFilesBelow(lab.dir('interrupted')), [], 'every file is closed')

  const spoilt = dataIn(blobDir(storeDirs(lab.dir('interrupted')).downloadDir, hexOf(blob.digest)))
  const file = await fs.open(spoilt, 'r+')
  await file.write(Buffer.alloc(10_000), 0, 10_000, 30_000)
  await file.close()
  lab.tracker.know(blob.metaInfo).peers.length = 0
  const requests: number[] = []
  await lab.scriptedSeeder(blob, { onRequest: (_, index) => { requests.push(index); return false } })
  const again = await lab.swarm('interrupted', 'leecher')
  const reader = follow(await again.open('ns', blob.digest))
  t.same(await again.download('ns', blob.digest), { sizeBytes: 100_000 })
  t.ok((await reader.done).equals(blob.bytes), 'a reader sees none of what the disk lost')
  // On a slow machine a piece may be asked for twice; what matters is which ones are.
  const asked = [...new Set(requests)]
  t.same(asked.slice(0, 6).sort(), [1, 2, 5, 6, 8, 9], 'what was missing is fetched')
  t.same(asked.slice(6), [3], 'and then what turned out to be lost')
  await again.close()
})

t.test('a blob that a peer asked for first is known to others by the namespace of its first caller', async t => {
  const blob = labBlob(20_000, 10_000, 'named late')
  await putIntoDownloads(lab.dir('late'), blob, [0])
  const seeder = await slowSeeder(blob)
  const node = await lab.swarm('late', 'leecher')
  const peer = await KrakenPeer.dial(node.port)
  await peer.send(greeting(blob, randomPeerId(), 'nothing'))
  t.equal((await peer.nextOf(TYPE.handshake))?.type, TYPE.handshake)
  const downloaded = node.download('ns', blob.digest)
  await seeder.give(1)
  t.same(await downloaded, { sizeBytes: 20_000 }, 'the seeder talks to nobody who names no namespace')
  peer.destroy()
  await node.close()
})

t.test('a blob that is deleted while it is downloaded fails its callers, and can be had again', async t => {
  const blob = labBlob(50_000, 10_000, 'deleted')
  const seeder = await slowSeeder(blob)
  const opened = await leecher.open('ns', blob.digest)
  // Not by `follow`: it must outlive the failure.
  const [waiting, reading] = [leecher.download('ns', blob.digest), opened.chunks()[Symbol.asyncIterator]().next()]
  await seeder.give(1)
  await statsWhenAgentsGave(10_000)
  const [existed] = await Promise.all([
    leecher.remove(blob.digest),
    t.rejects(waiting, { code: 'CANCELLED' }),
    t.rejects(reading, { code: 'CANCELLED' })
  ])
  t.ok(existed)
  await seeder.closed()
  t.notOk(existsSync(blobDir(storeDirs(lab.dir('leecher')).downloadDir, hexOf(blob.digest))))
  t.notOk(await leecher.remove(blob.digest), 'the second time there is nothing to delete')

  lab.tracker.know(blob.metaInfo).peers.length = 0
  const next = await slowSeeder(blob)
  const readingAgain = follow(await leecher.open('ns', blob.digest))
  await opened.close()
  for (const index of [4, 3, 2, 1, 0]) await next.give(index)
  t.ok((await readingAgain.done).equals(blob.bytes), 'the reader of the first download has gone without taking this one along')
})

t.test('a blob that vanished from the cache is fetched again', async t => {
  const blob = labBlob(50_000, 10_000, 'vanished')
  await lab.scriptedSeeder(blob)
  await leecher.download('ns', blob.digest)
  await fs.rm(blobDir(storeDirs(lab.dir('leecher')).cacheDir, hexOf(blob.digest)), { recursive: true })
  t.same(await leecher.download('ns', blob.digest), { sizeBytes: 50_000 })
  t.ok((await readAll(leecher, blob)).equals(blob.bytes))
})

t.test('the search for a blob ends when the blob is deleted, and when the node stops', async t => {
  const node = await lab.swarm('searching', 'leecher')
  for (const end of [async (blob: LabBlob) => { t.notOk(await node.remove(blob.digest)) }, async () => { await node.close() }]) {
    const blob = labBlob(10, 10, `searched ${String(end)}`)
    const tracked = lab.tracker.know(blob.metaInfo)
    tracked.reply = { status: 202, text: '' }
    const asked = new Promise<void>(resolve => { tracked.onAsked = resolve })
    const searching = node.download('ns', blob.digest)
    searching.catch(() => {})
    await asked
    await end(blob)
    await t.rejects(searching, { code: 'CANCELLED' })
  }
})

t.test('a node that stops in the middle of everything stops', async t => {
  const blob = labBlob(3_000_000, 100_000, 'stopped')
  await lab.scriptedSeeder(blob)
  const node = await lab.swarm('stopping', 'leecher')
  const outcomes = Array.from({ length: 20 }, async () => await node.download('ns', blob.digest).then(() => 'complete', (error: unknown) => codeOf(error)))
  const stopping = new Promise<void>(resolve => { lab.tracker.know(blob.metaInfo).onAsked = resolve }).then(async () => { await node.close() })
  await stopping
  for (const outcome of await Promise.all(outcomes)) t.match(outcome, /^(complete|CANCELLED|UNAVAILABLE)$/)
  t.same(openFilesBelow(lab.dir('stopping')), [])
})

const known = labBlob(40_000, 10_000, 'metainfo')
const other = labBlob(40_000, 10_000, 'another')
for (const [what, reply, code] of [
  ['none', { status: 404, text: 'origin: ' }, 'BLOB_UNKNOWN'],
  ['that of another blob', { status: 200, text: other.metaInfo.serialize() }, 'CORRUPT'],
  ['one that is no JSON', { status: 200, text: '<html>' }, /CORRUPT|BODY_INVALID|UNAVAILABLE/],
  ['one with a sum too few', { status: 200, text: known.metaInfo.serialize().replace(/,\d+]/, ']') }, /CORRUPT|BODY_INVALID|UNAVAILABLE/],
  ['one with pieces that no memory can hold', { status: 200, text: metaInfoOf(known, 2 ** 30, 2 ** 30) }, 'UNSUPPORTED'],
  ['one with more pieces than a handshake can name', { status: 200, text: metaInfoOf(known, 300_000, 1) }, 'UNSUPPORTED']
] as const) {
  t.test(`a metainfo answer with ${what} fails the download and nothing else`, async t => {
    const tracked = lab.tracker.know(known.metaInfo)
    tracked.reply = reply
    await t.rejects(leecher.download('ns', known.digest), { code })
    await t.rejects(leecher.open('ns', known.digest), { code })
    t.notOk(existsSync(blobDir(storeDirs(lab.dir('leecher')).downloadDir, hexOf(known.digest))))
    tracked.reply = undefined
  })
}

t.test('after all these failures the blob still arrives', async t => {
  await lab.scriptedSeeder(known)
  t.same(await leecher.download('ns', known.digest), { sizeBytes: 40_000 })
})

t.test('a piece with a forged CRC-32 is found out before anybody sees it', async t => {
  const blob = labBlob(60_000, 10_000, 'forged', { withDigests: false })
  const forged = forgedCrc(pieceOf(blob, 2), 77)
  t.equal(crc32(forged), crc32(pieceOf(blob, 2)))
  const before = await leecher.stats()
  const served = new Set<number>()
  const liar = await lab.scriptedSeeder(blob, {
    onRequest: async (peer, index) => {
      const isLast = !served.has(index) && served.add(index).size === 6
      if (index === 2) await peer.send(payloadOf(blob, 2, forged))
      // All of the first round comes from the liar; only then an origin is found.
      if (isLast) await lab.scriptedSeeder(blob, { onRequest: (_, index) => { refetched.push(index); return false } }, 'origin')
      return index === 2
    }
  })
  const refetched: number[] = []
  const reading = follow(await leecher.open('ns', blob.digest))
  t.same(await leecher.download('ns', blob.digest), { sizeBytes: 60_000 })
  t.ok((await reading.done).equals(blob.bytes), 'what was read is right from the first byte on')
  t.ok((await fs.readFile(cachedFile('leecher', blob))).equals(blob.bytes))
  t.ok(refetched.includes(2), 'the piece came from the origin')
  await Promise.all(liar.peers.map(async peer => await peer.closed))
  const after = await leecher.stats()
  t.ok(after.peersCutOff > before.peersCutOff, 'the liar was cut off')
})

t.test('in the end nothing is left open', async t => {
  t.match(await quiet(leecher), { conns: 0, slotsLeased: 0 })
  t.match(await quiet(origin), { conns: 0, slotsLeased: 0 })
  await Promise.all([leecher.close(), origin.close()])
  t.same(openFilesBelow(lab.root), [])
})

function cachedFile (node: string, { digest }: LabBlob): string { return dataIn(blobDir(storeDirs(lab.dir(node)).cacheDir, hexOf(digest))) }

function metaInfoOf ({ metaInfo: { name } }: LabBlob, sizeBytes: number, pieceBytes: number): string {
  return new MetaInfo(name, sizeBytes, pieceBytes, new Uint32Array(Math.ceil(sizeBytes / pieceBytes))).serialize()
}

function codeOf (error: unknown): string { return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : String(error) }
