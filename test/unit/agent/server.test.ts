import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { agentApi } from '../../../net/api/agent.js'
import { type Reply } from '../../../net/http/engine.js'
import { AgentHealth } from '../../../runtime/agent/health.js'
import { scheduler } from '../../../runtime/config/sections/scheduler.js'
import { type SchedulerConfig } from '../../../runtime/config/types.js'
import { type PreloadRequest } from '../../../runtime/agent/preload.js'
import { createAgentServer } from '../../../runtime/agent/server.js'
import { AgentTransfer } from '../../../runtime/agent/transfer.js'
import { type Digest, digestOf, hexOf } from '../../../runtime/core/digest.js'
import { AppError } from '../../../runtime/core/errors.js'
import { type MetaInfoAnswer } from '../../../net/client/clients.js'
import { noLog } from '../../../runtime/observe/log.js'
import { createRegistry } from '../../../runtime/registry/server.js'
import { type SwarmCalls } from '../../../workers/jobs.js'
import { type OpenBlob } from '../../../workers/open-blob.js'
import { bytesOf, type FakeRequest, fakeRequest } from '../../support/registry/fake-request.js'
import { MemoryOrigins, MemoryTags } from '../../support/registry/memory-clients.js'
import { pattern } from '../../support/pattern.js'

const BLOB = pattern(3000)
const DIGEST = digestOf(BLOB)

interface State {
  openBlobs: number
  opened: number
  /** How often the tracker still says that an origin is fetching. */
  pending: number
  slept: number
  failure: AppError | undefined
  blacklist: SwarmCalls['blacklist']['output']
  scheduler: SchedulerConfig | undefined
}

/** An agent whose swarm has what the origins have; nothing is ever complete here unless it is put into `cached`. */
function agent () {
  const origins = new MemoryOrigins()
  const tags = new MemoryTags()
  const cached = new Map<Digest, { path: string, sizeBytes: number, modifiedMs: number }>()
  const removed: Digest[] = []
  const state: State = { openBlobs: 0, opened: 0, pending: 0, slept: 0, failure: undefined, blacklist: [], scheduler: undefined }
  const swarm = {
    open: async (namespace: string, digest: Digest): Promise<OpenBlob> => {
      if (state.failure !== undefined) throw state.failure
      const stream = await origins.download(namespace, digest)
      const bytes = origins.blobs.get(digest) ?? new Uint8Array(0)
      state.opened++
      state.openBlobs++
      return {
        sizeBytes: stream.sizeBytes,
        chunks: async function * (offset = 0, lengthBytes = bytes.length - offset) { yield bytes.subarray(offset, offset + lengthBytes) },
        close: async () => { state.openBlobs-- }
      }
    },
    remove: async (digest: Digest) => {
      if (state.failure !== undefined) throw state.failure
      removed.push(digest)
      return origins.blobs.has(digest)
    },
    reconfigure: async (scheduler: SchedulerConfig) => { state.scheduler = scheduler },
    blacklist: async () => state.blacklist,
    stats: async () => ({
      torrents: 1,
      conns: 2,
      bytesFromOrigins: 3,
      bytesFromAgents: 4,
      bytesServed: 5,
      duplicateBytes: 0,
      corruptPieces: 0,
      peersCutOff: 0,
      slotsLeased: 0
    })
  }
  const metaInfo = async (namespace: string, digest: Digest): Promise<MetaInfoAnswer> => {
    if (state.failure !== undefined) throw state.failure
    return state.pending-- > 0 ? { status: 'pending' } : await origins.metaInfo(namespace, digest)
  }
  const cache = { stat: async (digest: Digest) => cached.get(digest), open: async (digest: Digest) => cached.get(digest) }
  const reads = new AgentTransfer({ swarm, cache, tracker: { metaInfo }, tags, sleep: async () => { state.slept++ } })
  const check = (failure: string | undefined) => async (): Promise<void> => { if (failure !== undefined) throw new Error(failure) }
  const health = (probe?: string, buildIndex?: string, tracker?: string): AgentHealth => new AgentHealth({
    probe: check(probe), probeTimeoutMs: 3000, buildIndex: { checkReadiness: check(buildIndex) }, tracker: { checkReadiness: check(tracker) }
  })
  const preloaded: string[] = []
  const preloader = {
    preload: async ({ tag, runtime, namespace }: PreloadRequest): Promise<Reply> => {
      preloaded.push([tag, runtime, namespace].join(' '))
      return { status: 200 }
    }
  }
  const serve = (checks = health()) => createAgentServer({ reads, swarm, tags, health: checks, preloader, log: noLog })
  const registry = createRegistry({ reads, writes: undefined }, { log: noLog })
  const call = async (method: string, target: string, options: FakeRequest = {}, checks?: AgentHealth): Promise<Reply> =>
    await serve(checks)(fakeRequest(method, target, options))
  const pull = async (method: string, target: string): Promise<Reply> => await registry(fakeRequest(method, target))
  return { origins, tags, cached, removed, preloaded, state, health, call, pull }
}

async function textOf (reply: Reply): Promise<string> { return (await bytesOf(reply)).toString() }

t.test('health and readiness', async t => {
  const { call, health } = agent()
  for (const path of ['/health', '/readiness']) {
    const reply = await call('GET', path)
    t.equal(reply.status, 200)
    t.equal(await textOf(reply), 'OK', 'without a newline')
  }
  const dead = await call('GET', '/health', {}, health('no answer'))
  t.equal(dead.status, 500)
  t.equal(await textOf(dead), 'probe torrent client: no answer')
  const unready = await call('GET', '/readiness', {}, health('a', 'b', 'c'))
  t.equal(unready.status, 503)
  t.equal(await textOf(unready), 'agent not ready: probe torrent client: a\nbuild index not ready: b\ntracker not ready: c')
  t.equal(await textOf(await call('GET', '/readiness', {}, health(undefined, undefined, 'c'))), 'agent not ready: tracker not ready: c')
})

t.test('tags', async t => {
  const { tags, call } = agent()
  tags.tags.set('team/app:v1', DIGEST)
  t.equal(await textOf(await call('GET', '/tags/team%2Fapp:v1')), DIGEST)
  t.equal(await textOf(await call('GET', '/tags/team%252Fapp%253Av1')), DIGEST)
  const unknown = await call('GET', '/tags/team%2Fapp:v2')
  t.equal(unknown.status, 404)
  t.equal(await textOf(unknown), '')
  t.equal((await call('GET', '/tags/a%25b')).status, 400)
  tags.outage = new AppError('UNAVAILABLE', 'no build-index answers')
  const failed = await call('GET', '/tags/team%2Fapp:v1')
  t.equal(failed.status, 500)
  t.equal(await textOf(failed), 'get tag: no build-index answers')
})

t.test('preload, with either method', async t => {
  const { call, preloaded } = agent()
  for (const [{ method }, query] of [[agentApi.preload, ''], [agentApi.postPreload, '?runtime=containerd&namespace=k8s.io']] as const) {
    t.equal((await call(method, `/preload/tags/team%2Fapp:v1${query}`)).status, 200)
  }
  t.same(preloaded, ['team/app:v1  ', 'team/app:v1 containerd k8s.io'])
})

t.test('download', async t => {
  const { origins, state, call } = agent()
  origins.add(BLOB)
  for (const name of [DIGEST, hexOf(DIGEST), DIGEST.replace(':', '%3A')]) {
    const reply = await call('GET', `/namespace/team%2Fapp/blobs/${name}`)
    t.match(reply, { status: 200, headers: { 'Content-Type': 'application/octet-stream', ETag: `"${DIGEST}"`, 'Accept-Ranges': 'bytes' } })
    t.ok((await bytesOf(reply)).equals(BLOB))
  }
  const part = await call('GET', `/namespace/n/blobs/${DIGEST}`, { headers: { Range: 'bytes=1000-' } })
  t.match(part, { status: 206, headers: { 'Content-Range': 'bytes 1000-2999/3000' } })
  t.ok((await bytesOf(part)).equals(BLOB.subarray(1000)))
  t.equal((await call('GET', `/namespace/n/blobs/${DIGEST}`, { headers: { Range: 'bytes=3000-' } })).status, 416)
  t.equal(state.openBlobs, 0)
  t.ok(origins.asked.includes(`download team/app ${DIGEST}`))
  t.equal((await call('HEAD', `/namespace/n/blobs/${DIGEST}`)).headLengthBytes, 3000)
})

t.test('what is cached is read from there', async t => {
  const { origins, cached, state, call } = agent()
  const path = join(t.testdir(), 'data')
  await writeFile(path, BLOB)
  cached.set(DIGEST, { path, sizeBytes: BLOB.length, modifiedMs: 0 })
  t.ok((await bytesOf(await call('GET', `/namespace/n/blobs/${DIGEST}`))).equals(BLOB))
  t.ok((await bytesOf(await call('GET', `/namespace/n/blobs/${DIGEST}`, { headers: { Range: 'bytes=-10' } }))).equals(BLOB.subarray(2990)))
  t.equal((await call('HEAD', `/namespace/n/blobs/${DIGEST}`)).headLengthBytes, 3000)
  t.same([origins.asked, state.opened], [[], 0])
})

t.test('download of what is not there, or not now', async t => {
  const { state, call } = agent()
  for (const method of ['GET', 'HEAD']) {
    const reply = await call(method, `/namespace/n/blobs/${DIGEST}`)
    t.equal(reply.status, 404)
    t.equal(await textOf(reply), '')
  }
  for (const [name, text] of [
    ['nope', "parse digest: invalid digest: expected '<algo>:<hex>'"],
    ['sha512:a', 'parse digest: invalid digest algo: expected sha256']
  ] as const) {
    const reply = await call('GET', `/namespace/n/blobs/${name}`)
    t.equal(reply.status, 400)
    t.equal(await textOf(reply), text)
  }
  state.failure = new AppError('TIMED_OUT', 'no piece for 5 minutes')
  const late = await call('GET', `/namespace/n/blobs/${DIGEST}`)
  t.match(late, { status: 503, headers: { 'Retry-After': '1' } })
  t.equal(await textOf(late), 'download torrent: no piece for 5 minutes')
  state.failure = new AppError('STORAGE', 'disk')
  t.equal((await call('GET', `/namespace/n/blobs/${DIGEST}`)).status, 500)
})

t.test('delete is idempotent', async t => {
  const { state, removed, call } = agent()
  for (const name of [DIGEST, hexOf(DIGEST)]) {
    const reply = await call('DELETE', `/blobs/${name}`)
    t.same([reply.status, await textOf(reply)], [200, ''])
  }
  t.same(removed, [DIGEST, DIGEST])
  t.equal((await call('DELETE', '/blobs/nope')).status, 400)
  state.failure = new AppError('STORAGE', 'disk')
  const failed = await call('DELETE', `/blobs/${DIGEST}`)
  t.same([failed.status, await textOf(failed)], [500, 'remove torrent: disk'])
})

t.test('blacklist and counters', async t => {
  const { state, call } = agent()
  t.equal(await textOf(await call('GET', '/x/blacklist')), 'null\n')
  state.blacklist = [{ peerId: '01'.repeat(20), infoHash: 'ff'.repeat(20), remainingMs: 29_973.963389 }]
  const reply = await call('GET', '/x/blacklist')
  t.equal(reply.headers?.['Content-Type'], 'text/plain; charset=utf-8')
  t.equal(await textOf(reply), `[{"peer_id":[${'1,'.repeat(19)}1],"info_hash":[${'255,'.repeat(19)}255],"remaining":29973963389}]\n`)
  t.match(JSON.parse(await textOf(await call('GET', '/x/stats'))), { torrents: 1, bytesServed: 5 })
})

t.test('another configuration of the scheduler', async t => {
  const { call, state } = agent()
  const patch = async (body: string): Promise<[number, string]> => {
    const reply = await call('PATCH', agentApi.configureScheduler.path, { body })
    return [reply.status, (await bytesOf(reply)).toString()]
  }
  t.same(await patch('{}'), [200, ''])
  const initial = scheduler.schema.parse({})
  t.same(state.scheduler, initial, 'what is absent has its default')
  const connstate = { MaxOpenConnectionsPerTorrent: 7, BlacklistDuration: 0 }
  const body = { SeederTTI: 60_000_000_000, connstate, Dispatch: { AgentPipelineLimit: 9 }, Log: {}, Unknown: 1 }
  t.same(await patch(JSON.stringify(body)), [200, ''])
  t.same(state.scheduler, {
    ...initial,
    seederTtiMs: 60_000,
    connState: { ...initial.connState, openConnsMax: 7, mutualConnsMax: 7 },
    dispatch: { ...initial.dispatch, pipelineLimit: 9, endgameThreshold: 9 }
  })
  t.same(await patch('null'), [200, ''])
  t.same(await patch('{'), [400, 'json decode: unexpected EOF'])
  t.same(await patch(''), [400, 'json decode: EOF'])
  for (const wrong of ['[]', '{"SeederTTI":"soon"}', '{"ConnState":5}', '{"Dispatch":{"PieceRequestPolicy":"first"}}', '{"ConnTTL":-1}']) {
    t.match(await patch(wrong), [400, /^json decode: /], wrong)
  }
})

t.test('anything else is 404, another method too', async t => {
  const { call } = agent()
  for (const [method, path] of [['GET', '/nope'], ['POST', '/health'], ['GET', '/health/'], ['GET', '/tags/a/b']] as const) {
    const reply = await call(method, path)
    t.same([reply.status, await textOf(reply)], [404, '404 page not found\n'])
  }
})

t.test('HEAD through the registry asks for the size only, however long an origin fetches', async t => {
  const { origins, state, pull } = agent()
  origins.add(BLOB)
  state.pending = 3
  const reply = await pull('HEAD', `/v2/team/app/blobs/${DIGEST}`)
  t.match(reply, { status: 200, headLengthBytes: 3000 })
  t.same([state.slept, state.opened], [3, 0])
  state.pending = 1000
  t.match(await pull('HEAD', `/v2/team/app/blobs/${DIGEST}`), { status: 503, headers: { 'Retry-After': '1' } })
})

t.test('a pull of what the tracker does not know is 404, and of what it cannot tell 503', async t => {
  const { tags, state, pull } = agent()
  tags.tags.set('team/app:v1', DIGEST)
  const targets = [`/v2/team/app/blobs/${DIGEST}`, '/v2/team/app/manifests/v1', `/v2/team/app/manifests/${DIGEST}`]
  for (const target of targets) for (const method of ['GET', 'HEAD']) t.equal((await pull(method, target)).status, 404, `${method} ${target}`)
  for (const code of ['TIMED_OUT', 'UNAVAILABLE', 'NETWORK', 'CANCELLED'] as const) {
    state.failure = new AppError(code, 'not now')
    for (const target of targets) for (const method of ['GET', 'HEAD']) t.equal((await pull(method, target)).status, 503, `${code} ${method} ${target}`)
  }
})

t.test('a manifest that was damaged is not served', async t => {
  const { origins, tags, state, pull } = agent()
  tags.tags.set('team/app:v1', DIGEST)
  origins.blobs.set(DIGEST, BLOB.map(byte => byte ^ 1))
  t.equal((await pull('GET', '/v2/team/app/manifests/v1')).status, 500)
  t.equal(state.openBlobs, 0)
})
