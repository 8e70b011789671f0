import t from 'tap'
import { makeImage } from '../support/image.js'
import { must } from '../support/must.js'
import { type RandomBlob, randomBlob } from '../support/random-blob.js'
import { pullBlob, pullImage, pushBlob, pushImage } from '../support/registry.js'
import { startTestSystem, swarmStats, temporaryFolder, type TestAgent } from '../support/system.js'

/* What clients notice, and what is kept, when processes are killed while they work. */

const MIB = 1024 * 1024
const REPOSITORY = 'team/recovery'
/** Of the origins of a local system. */
const PIECE_BYTES = 4 * MIB
/** Pieces that may have been on their way, or received and not yet on record, when a process was killed. */
const PIECES_IN_FLIGHT_MAX = 8

/** Pulls and calls `act` once, as soon as so many bytes have come. Rejects as the pull does. */
async function pullAnd (agent: TestAgent, blob: RandomBlob, afterBytes: number, act: (receivedBytes: number) => void): Promise<void> {
  let isDone = false
  const onBytes = (receivedBytes: number): void => {
    if (isDone || receivedBytes < afterBytes) return
    isDone = true
    act(receivedBytes)
  }
  await pullBlob(agent.registryPort, REPOSITORY, blob.digest, blob.bytes.length, { onBytes })
}

t.test('while processes are killed', async t => {
  const system = await startTestSystem(t)
  const { proxyPort, agents } = system
  const [first, second] = [must(agents[0]), must(agents[1])]
  const push = async (blob: RandomBlob): Promise<void> => { await pushBlob(proxyPort, REPOSITORY, blob) }

  t.test('an agent goes on with what it had when it was killed', async t => {
    const blob = randomBlob(160 * MIB, 'agent killed')
    await push(blob)
    let seenBytes = 0
    let back = Promise.resolve()
    await t.rejects(pullAnd(first, blob, 48 * MIB, receivedBytes => {
      seenBytes = receivedBytes
      back = system.kill(first.name)
    }), 'its client sees that the blob is not complete')
    await back
    await pullBlob(first.registryPort, REPOSITORY, blob.digest, blob.bytes.length)
    const { bytesFromOrigins, bytesFromAgents } = await swarmStats(first)
    const refetched = bytesFromOrigins + bytesFromAgents
    const wholePieces = Math.floor(seenBytes / PIECE_BYTES) * PIECE_BYTES
    t.comment(`killed when the client had ${(seenBytes / MIB).toFixed(1)} of ${blob.bytes.length / MIB} MiB; fetched then: ${(refetched / MIB).toFixed(1)} MiB`)
    t.ok(refetched > 0, 'the download was not over')
    t.ok(refetched <= blob.bytes.length - wholePieces + PIECES_IN_FLIGHT_MAX * PIECE_BYTES, 'what the client had seen was not fetched again')
  })

  t.test('a client does not notice that an origin is killed', async t => {
    const blob = randomBlob(96 * MIB, 'origin killed')
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
    const image = await makeImage({ layerBytes: [40 * MIB, 30 * MIB], seed: 2 })
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
  const before = await startTestSystem(t, { dataDir })
  await pushImage(before.proxyPort, REPOSITORY, 'kept', image)
  await pullImage(must(before.agents[0]).registryPort, REPOSITORY, 'kept', image)
  await before.stop()

  const { proxyPort, agents } = await startTestSystem(t, { dataDir })
  for (const port of [proxyPort, ...agents.map(({ registryPort }) => registryPort)]) {
    await t.resolves(pullImage(port, REPOSITORY, 'kept', image))
  }
  const { bytesFromOrigins, bytesFromAgents } = await swarmStats(must(agents[0]))
  t.equal(bytesFromOrigins + bytesFromAgents, 0, 'the agent that had it already fetched nothing')
})
