import { open } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { INLINE_BYTES_MAX } from '../../net/api/inline.js'
import { PIECE_DIGESTS_HEADER } from '../../net/api/origin.js'
import { type Digest, hexOf } from '../../runtime/core/digest.js'
import { parseSize } from '../../runtime/config/values.js'
import { blobDir, dataIn } from '../../runtime/store/paths.js'
import { startHeaderFilter } from '../support/header-filter.js'
import { call } from '../support/http-call.js'
import { must } from '../support/must.js'
import { type RandomBlob, randomBlob } from '../support/random-blob.js'
import { blobPath, pullBlob, pushBlob } from '../support/registry.js'
import { forget, startAgentBeside, startTestSystem, swarmStats, type TestAgent, troublesIn } from '../support/system.js'

/* Blobs between agents and origins, over real sockets and disks: how many bytes move, from where, and what of them is read. */

const MIB = 1024 * 1024
/** Of the origins of a local system. */
const PIECE_BYTES = must(parseSize('4MB'))
/** Bytes that two agents together take from the origins, as a multiple of the blob. */
const ORIGIN_RATIO_MAX = 1.3
const REPOSITORY = 'team/swarm'

const system = await startTestSystem(t)
const { proxyPort, agents, plan } = system
const [first, second] = [must(agents[0]), must(agents[1])]

async function push (blob: RandomBlob): Promise<void> { await pushBlob(proxyPort, REPOSITORY, blob) }

async function pull ({ registryPort }: TestAgent, { digest, bytes }: RandomBlob): Promise<void> {
  await pullBlob(registryPort, REPOSITORY, digest, bytes.length)
}

interface Moved { readonly fromOrigins: number, readonly fromAgents: number }

/** How many piece bytes these agents received meanwhile, all added up. */
async function counted (counting: readonly TestAgent[], work: () => Promise<void>): Promise<Moved> {
  const total = async (): Promise<Moved> => {
    const all = await Promise.all(counting.map(swarmStats))
    const sum = (key: 'bytesFromOrigins' | 'bytesFromAgents'): number => all.reduce((bytes, stats) => bytes + stats[key], 0)
    return { fromOrigins: sum('bytesFromOrigins'), fromAgents: sum('bytesFromAgents') }
  }
  const before = await total()
  await work()
  const after = await total()
  return { fromOrigins: after.fromOrigins - before.fromOrigins, fromAgents: after.fromAgents - before.fromAgents }
}

/** Turns over one byte of a blob where it lies on a member's disk. */
async function spoil (member: string, digest: Digest, offset: number): Promise<void> {
  const file = await open(dataIn(blobDir(join(system.dataDir, member, 'cache'), hexOf(digest))), 'r+')
  try {
    const byte = Buffer.alloc(1)
    await file.read(byte, 0, 1, offset)
    await file.write(Buffer.of(byte.readUInt8() ^ 0xff), 0, 1, offset)
  } finally {
    await file.close()
  }
}

for (const [what, sizeBytes] of [
  ['no byte', 0], ['one byte', 1], ['exactly one piece', PIECE_BYTES], ['one piece and a byte', PIECE_BYTES + 1]
] as const) {
  t.test(`a blob of ${what} arrives`, async t => {
    const blob = randomBlob(sizeBytes, 'sizes')
    await push(blob)
    const bytes = await counted(agents, async () => { await Promise.all(agents.map(async agent => { await pull(agent, blob) })) })
    const isInlined = sizeBytes <= INLINE_BYTES_MAX
    t.equal(bytes.fromOrigins + bytes.fromAgents, isInlined ? 0 : agents.length * sizeBytes, 'each byte came once to each agent')
  })
}

t.test('two agents that pull at once take the blob from the origins little more than once', async t => {
  // On a machine that is busy with other things one of them may be held up, and the other does not wait for it for ever.
  const ratios: number[] = []
  while (ratios.length < 4 && !ratios.some(ratio => ratio <= ORIGIN_RATIO_MAX)) {
    const blob = randomBlob(96 * MIB, `at once ${ratios.length}`)
    await push(blob)
    const bytes = await counted(agents, async () => { await Promise.all(agents.map(async agent => { await pull(agent, blob) })) })
    t.ok(bytes.fromOrigins >= blob.bytes.length && bytes.fromOrigins + bytes.fromAgents >= 2 * blob.bytes.length, 'all of it came twice')
    ratios.push(bytes.fromOrigins / blob.bytes.length)
  }
  t.ok(Math.min(...ratios) <= ORIGIN_RATIO_MAX, `${ratios.map(ratio => ratio.toFixed(2)).join(', ')} times`)
})

t.test('an agent that comes later has the blob from the first one as well', async t => {
  const blob = randomBlob(32 * MIB, 'later')
  await push(blob)
  await pull(first, blob)
  const bytes = await counted([second], async () => { await pull(second, blob) })
  t.equal(bytes.fromOrigins + bytes.fromAgents, blob.bytes.length)
  t.ok(bytes.fromAgents > 0, `${(bytes.fromAgents / MIB).toFixed(0)} MiB from the other agent`)
})

t.test('clients of one agent that ask for the same blob share its download', async t => {
  const blob = randomBlob(24 * MIB, 'shared')
  await push(blob)
  const bytes = await counted([first], async () => {
    const pulls = [1, 2, 3].map(async () => { await pull(first, blob) })
    const range = call(first.registryPort, 'GET', blobPath(REPOSITORY, blob.digest), { headers: { Range: `bytes=${10 * MIB}-${11 * MIB - 1}` } })
    t.ok((await range).body.equals(blob.bytes.subarray(10 * MIB, 11 * MIB)), 'a client that wants only a part gets it')
    await Promise.all(pulls)
  })
  t.equal(bytes.fromOrigins + bytes.fromAgents, blob.bytes.length)
})

t.test('blobs that several clients pull at once, over and over, arrive each time', async t => {
  for (let round = 0; round < 8; round++) {
    const blobs = [1, 2, 3].map(n => randomBlob(50_000 * n, `rounds ${round} ${n}`))
    await Promise.all(blobs.map(push))
    const pulls = [first, second, first, second, first, first].flatMap(agent => blobs.map(async blob => { await pull(agent, blob) }))
    await t.resolves(Promise.all(pulls))
  }
})

t.test('a client that goes away midway does no harm', async t => {
  const blob = randomBlob(48 * MIB, 'gone')
  await push(blob)
  const leaving = new AbortController()
  const onBytes = (receivedBytes: number): void => { if (receivedBytes > 4 * MIB) leaving.abort() }
  await t.rejects(pullBlob(first.registryPort, REPOSITORY, blob.digest, blob.bytes.length, { signal: leaving.signal, onBytes }))
  await t.resolves(pull(first, blob), 'the next client gets all of it')
})

t.test('a blob of whose pieces only the CRC-32 is known arrives as well', async t => {
  const trackerPort = await startHeaderFilter(t, plan.tracker.port, PIECE_DIGESTS_HEADER)
  const plain = await startAgentBeside(t, system, { trackerPort })
  for (const sizeBytes of [0, 1, 20 * MIB + 7]) {
    const blob = randomBlob(sizeBytes, 'plain')
    await push(blob)
    await t.resolves(pull(plain, blob), `${sizeBytes} bytes`)
  }
  const blob = randomBlob(16 * MIB, 'plain, with another')
  await push(blob)
  await t.resolves(Promise.all([pull(plain, blob), pull(first, blob)]), 'at the same time as an agent that knows more')
})

t.test('a blob that rotted on the disk of one origin is not handed on', async t => {
  const blob = randomBlob(24 * MIB, 'rotten origin')
  await push(blob)
  await spoil('origin-1', blob.digest, 9 * MIB + 5)
  await t.resolves(Promise.all(agents.map(async agent => { await pull(agent, blob) })), 'the other origin has it, too')
})

t.test('a blob that rotted on the disk of one agent is not handed on', async t => {
  const blob = randomBlob(24 * MIB, 'rotten agent')
  await push(blob)
  await pull(first, blob)
  await spoil('agent-1', blob.digest, 13 * MIB)
  const bytes = await counted([second], async () => { await t.resolves(pull(second, blob)) })
  t.ok(bytes.fromOrigins > 0, 'the origins have it')
})

t.test('a blob that is deleted while it is being pulled is no corrupt blob', async t => {
  const blob = randomBlob(32 * MIB, 'deleted')
  await push(blob)
  const deleting: Array<Promise<void>> = []
  const onBytes = (): void => { if (deleting.length === 0) deleting.push(forget(first, blob.digest)) }
  // Either the client had the file open in time, or its connection breaks off: it never gets other bytes.
  const outcome = await pullBlob(first.registryPort, REPOSITORY, blob.digest, blob.bytes.length, { onBytes }).then(
    () => 'complete', (error: unknown) => String(error))
  await Promise.all(deleting)
  t.notMatch(outcome, /of the digest/, outcome)
  await t.resolves(pull(first, blob), 'it can be pulled again')
})

t.test('agents that are asked to stop while they serve do so', async t => {
  const blob = randomBlob(64 * MIB, 'stopped')
  await push(blob)
  const stopping: Array<Promise<void>> = []
  const onBytes = (): void => { if (stopping.length === 0) stopping.push(system.stop()) }
  const outcome = await pullBlob(second.registryPort, REPOSITORY, blob.digest, blob.bytes.length, { onBytes }).then(
    () => 'complete', (error: unknown) => String(error))
  t.notMatch(outcome, /of the digest/, outcome)
  await Promise.all(stopping)
  t.same(troublesIn(system), [])
})
