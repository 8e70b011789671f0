import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { hexOf } from '../../runtime/core/digest.js'
import { blobDir, dataIn, sidecarIn, SIDECARS } from '../../runtime/store/paths.js'
import { decodeStatus } from '../../runtime/store/sidecars.js'
import { makeImage } from '../support/image.js'
import { until } from '../support/manual-time.js'
import { must } from '../support/must.js'
import { type RandomBlob, randomBlob } from '../support/random-blob.js'
import { pullBlob, pullImage, pushBlob, pushImage } from '../support/registry.js'
import { startTestSystem, swarmStats, temporaryFolder, type TestAgent } from '../support/system.js'

/* What clients notice, and what is kept, when processes are killed while they work. */

const MIB = 1024 * 1024
const REPOSITORY = 'team/recovery'
/** Of the origins of a local system. */
const PIECE_BYTES = 4 * MIB
/** Pieces that may be asked of two peers at once, near the end of a download. */
const PIECES_TWICE_MAX = 4

/** Pulls and calls `act` once, as soon as so many bytes have come. Rejects as the pull does. */
async function pullAnd (agent: TestAgent, blob: RandomBlob, afterBytes: number, act: () => void): Promise<void> {
  let isDone = false
  const onBytes = (receivedBytes: number): void => {
    if (isDone || receivedBytes < afterBytes) return
    isDone = true
    act()
  }
  await pullBlob(agent.registryPort, REPOSITORY, blob.digest, blob.bytes.length, { onBytes })
}

t.test('while processes are killed', async t => {
  const system = await startTestSystem(t)
  const { proxyPort, agents } = system
  const [first, second] = [must(agents[0]), must(agents[1])]
  const push = async (blob: RandomBlob): Promise<void> => { await pushBlob(proxyPort, REPOSITORY, blob) }

  t.test('an agent goes on with what it had when it was killed', async t => {
    const { blob, storedPieces } = await killMidway(t)
    t.comment(`killed with ${storedPieces} of ${blob.bytes.length / PIECE_BYTES} pieces on record`)
    await t.resolves(pullBlob(first.registryPort, REPOSITORY, blob.digest, blob.bytes.length))
    const { bytesFromOrigins, bytesFromAgents } = await swarmStats(first)
    const refetched = bytesFromOrigins + bytesFromAgents
    const missing = blob.bytes.length - storedPieces * PIECE_BYTES
    t.comment(`missing: ${missing / MIB} MiB, fetched: ${refetched / MIB} MiB`)
    t.ok(refetched >= missing && refetched <= missing + PIECES_TWICE_MAX * PIECE_BYTES, 'what was on record was not fetched again')
  })

  /** Kills the first agent while it downloads; tries other blobs as long as the download is over before that. */
  async function killMidway (t: Test): Promise<{ blob: RandomBlob, storedPieces: number }> {
    for (let attempt = 1; attempt <= 5; attempt++) {
      const blob = randomBlob(96 * MIB, `killed ${attempt}`)
      await push(blob)
      const pull = pullBlob(first.registryPort, REPOSITORY, blob.digest, blob.bytes.length).then(() => 'complete', () => 'broken off')
      await until(async () => await isCached(blob) || (await piecesOnRecord(blob) ?? 0) >= 3)
      const [outcome] = await Promise.all([pull, system.kill(first.name)])
      const storedPieces = await piecesOnRecord(blob)
      if (storedPieces === undefined) continue
      t.equal(outcome, 'broken off', 'its client was told')
      return { blob, storedPieces }
    }
    throw new Error('every download was over before its agent was killed')
  }

  function folderOf (tree: 'download' | 'cache', { digest }: RandomBlob): string {
    return blobDir(join(system.dataDir, first.name, tree), hexOf(digest))
  }

  async function isCached (blob: RandomBlob): Promise<boolean> {
    return await access(dataIn(folderOf('cache', blob))).then(() => true, () => false)
  }

  /** Undefined if no download of the blob is on the first agent's disk. */
  async function piecesOnRecord (blob: RandomBlob): Promise<number | undefined> {
    const status = await readFile(sidecarIn(folderOf('download', blob), SIDECARS.status)).catch(() => undefined)
    return status === undefined ? undefined : decodeStatus(status, blob.bytes.length / PIECE_BYTES)?.count
  }

  t.test('a client does not notice that an origin is killed', async t => {
    const blob = randomBlob(64 * MIB, 'origin killed')
    await push(blob)
    let back = Promise.resolve()
    await t.resolves(pullAnd(second, blob, 4 * MIB, () => { back = system.kill('origin-1') }))
    await back
  })

  t.test('pulls go on while the tracker and the build-index are started again', async t => {
    const image = await makeImage({ layerBytes: [3 * MIB], seed: 1 })
    await pushImage(proxyPort, REPOSITORY, 'v1', image)
    await pullImage(first.registryPort, REPOSITORY, 'v1', image)
    await Promise.all(['tracker', 'build-index'].map(async name => { await system.kill(name) }))
    for (const { name, registryPort } of agents) await t.resolves(pullImage(registryPort, REPOSITORY, 'v1', image), name)
  })

  t.test('a push that a killed proxy broke off can be repeated', async t => {
    const image = await makeImage({ layerBytes: [20 * MIB, 10 * MIB], seed: 2 })
    const broken = pushImage(proxyPort, REPOSITORY, 'v2', image)
    const back = system.kill('proxy')
    await t.rejects(broken)
    await back
    await pushImage(proxyPort, REPOSITORY, 'v2', image)
    await t.resolves(pullImage(second.registryPort, REPOSITORY, 'v2', image))
  })
})

t.test('a system that is started again on its folder has what was pushed', async t => {
  const dataDir = temporaryFolder(t)
  const image = await makeImage({ layerBytes: [5 * MIB, 1], platforms: ['linux/amd64', 'linux/arm64'], seed: 3 })
  const before = await startTestSystem(t, { dataDir, agents: 1 })
  await pushImage(before.proxyPort, REPOSITORY, 'kept', image)
  await pullImage(must(before.agents[0]).registryPort, REPOSITORY, 'kept', image)
  await before.stop()

  const { proxyPort, agents } = await startTestSystem(t, { dataDir, agents: 1 })
  for (const port of [proxyPort, ...agents.map(({ registryPort }) => registryPort)]) {
    await t.resolves(pullImage(port, REPOSITORY, 'kept', image))
  }
  const { bytesFromOrigins, bytesFromAgents } = await swarmStats(must(agents[0]))
  t.equal(bytesFromOrigins + bytesFromAgents, 0, 'the agent that had it already fetched nothing')
})
