import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import t, { type Test } from 'tap'
import { INLINE_BYTES_MAX, INLINE_HEADER } from '../../net/api/inline.js'
import { digestOf, hexOf } from '../../runtime/core/digest.js'
import { blobDir } from '../../runtime/store/paths.js'
import { type Swarm } from '../../workers/swarm-door.js'
import { call } from '../support/http-call.js'
import { startLocalCluster } from '../support/local-cluster.js'
import { type LabBlob, labBlob, peerInfo, readAll, statsWhen, storeDirs, SwarmLab } from '../support/swarm-lab.js'

/* Small blobs come with the answer of the tracker, without a swarm; what does not fit that goes the usual way. */

const PIECE_BYTES = 16 * 1024

function cacheDirOf (lab: SwarmLab, name: string, { metaInfo }: LabBlob): string { return blobDir(storeDirs(lab.dir(name)).cacheDir, metaInfo.name) }

async function leecher (lab: SwarmLab, name: string, inlineBytesMax = INLINE_BYTES_MAX): Promise<Swarm> {
  return await lab.swarm(name, 'leecher', { inlineBytesMax })
}

/** An origin has the blob; the tracker says the same and sends `inlined` along. */
async function setUp (t: Test, blob: LabBlob, inlined: Uint8Array): Promise<{ lab: SwarmLab, origin: Swarm }> {
  const lab = await SwarmLab.start(t)
  const origin = await lab.origin('origin', [blob])
  lab.tracker.know(blob.metaInfo).inlined = inlined
  return { lab, origin }
}

t.test('a small blob is there after one answer, and can be had from this agent like any other', async t => {
  const blob = labBlob(40_000, PIECE_BYTES, 'small')
  const { lab, origin } = await setUp(t, blob, blob.bytes)
  const agent = await leecher(lab, 'agent')
  t.ok((await readAll(agent, blob)).equals(blob.bytes))
  t.same(await agent.download('ns', blob.digest), { sizeBytes: 40_000 }, 'also for who only wants it here')
  t.equal((await agent.stats()).bytesFromOrigins, 0)
  t.equal((await origin.stats()).bytesServed, 0, 'nobody asked the origin')
  t.same(readdirSync(cacheDirOf(lab, 'agent', blob)).sort(), ['_last_access_time', '_status', '_torrentmeta', 'data'])

  const known = lab.tracker.know(blob.metaInfo)
  known.peers.length = 0
  known.peers.push(peerInfo(agent, { isComplete: true }))
  const second = await leecher(lab, 'second', 0)
  t.ok((await readAll(second, blob)).equals(blob.bytes))
  t.equal((await second.stats()).bytesFromAgents, 40_000)
  t.equal(await agent.remove(blob.digest), true)
})

t.test('many who ask at the same time ask the tracker once', async t => {
  const blob = labBlob(1_000, PIECE_BYTES, 'asked by many')
  const { lab } = await setUp(t, blob, blob.bytes)
  let asked = 0
  lab.tracker.know(blob.metaInfo).onAsked = () => { asked++ }
  const agent = await leecher(lab, 'agent')
  const all = await Promise.all(Array.from({ length: 50 }, async () => await readAll(agent, blob)))
  t.ok(all.every(bytes => bytes.equals(blob.bytes)))
  t.equal(asked, 1)
})

t.test('wrong bytes are never seen: the swarm brings the right ones', async t => {
  const blob = labBlob(40_000, PIECE_BYTES, 'spoilt on the way')
  const wrong = Buffer.from(blob.bytes)
  wrong[12_345] = wrong.readUInt8(12_345) ^ 1
  const { lab } = await setUp(t, blob, wrong)
  const agent = await leecher(lab, 'agent')
  t.ok((await readAll(agent, blob)).equals(blob.bytes))
  t.equal((await statsWhen(agent, stats => stats.bytesFromOrigins > 0)).bytesFromOrigins, 40_000)
})

t.test('another number of bytes than the metainfo says is refused', async t => {
  const blob = labBlob(40_000, PIECE_BYTES, 'cut short')
  const { lab } = await setUp(t, blob, blob.bytes.subarray(1))
  const agent = await leecher(lab, 'agent')
  await t.rejects(agent.download('ns', blob.digest), { code: 'CORRUPT', message: /39999 of 40000 bytes/ })
})

t.test('what lies in its place already gives way to the usual download', async t => {
  const blob = labBlob(40_000, PIECE_BYTES, 'in the way')
  const { lab } = await setUp(t, blob, blob.bytes)
  const dir = cacheDirOf(lab, 'agent', blob)
  mkdirSync(dir, { recursive: true })
  writeFileSync(`${dir}/data`, 'a blob of another length that has lost its metainfo')
  const agent = await leecher(lab, 'agent')
  t.ok((await readAll(agent, blob)).equals(blob.bytes))
})

t.test('a place that cannot be written to is told of', async t => {
  const blob = labBlob(1_000, PIECE_BYTES, 'no room')
  const { lab } = await setUp(t, blob, blob.bytes)
  const agent = await leecher(lab, 'agent')
  const shard = dirname(cacheDirOf(lab, 'agent', blob))
  mkdirSync(dirname(shard), { recursive: true })
  writeFileSync(shard, 'a file where a directory belongs')
  await t.rejects(agent.download('ns', blob.digest), { code: 'STORAGE' })
})

t.test('origins and trackers send along what is welcome, and only that', async t => {
  const cluster = await startLocalCluster(t, { pieceBytes: PIECE_BYTES })
  const bytes = Buffer.alloc(5_000, 'small ')
  const digest = digestOf(bytes)
  const namespace = 'team%2Fapp'
  const at = `/namespace/${namespace}/blobs/${digest}`
  const { headers: { location: uid } } = await call(cluster.origin, 'POST', `${at}/uploads`)
  await call(cluster.origin, 'PATCH', `${at}/uploads/${uid}`, { headers: { 'content-range': `0-${bytes.length}` }, body: bytes })
  t.equal((await call(cluster.origin, 'PUT', `${at}/uploads/${uid}`)).status, 200)

  for (const [role, port, path] of [['origin', cluster.origin, `/internal${at}/metainfo`], ['tracker', cluster.tracker, `${at}/metainfo`]] as const) {
    const plain = await call(port, 'GET', path)
    t.equal(plain.headers[INLINE_HEADER], undefined, `${role}: nothing for who does not ask`)
    t.equal(JSON.parse(plain.body.toString()).Info.Name, hexOf(digest))
    const short = await call(port, 'GET', path, { headers: { [INLINE_HEADER]: '4999' } })
    t.ok(short.body.equals(plain.body), `${role}: nor for who wants less`)
    for (const attempt of ['first', 'second']) {
      const both = await call(port, 'GET', path, { headers: { [INLINE_HEADER]: '5000' } })
      t.equal(both.headers[INLINE_HEADER], String(plain.body.length), `${role}, ${attempt} time`)
      t.equal(both.headers['cache-control'], 'no-store', 'not for caches that know nothing of it')
      t.ok(both.body.equals(Buffer.concat([plain.body, bytes])))
    }
  }
})
