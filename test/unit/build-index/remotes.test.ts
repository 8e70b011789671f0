import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createHttp } from '../../../net/client/http.js'
import { type Reply } from '../../../net/http/engine.js'
import { text } from '../../../net/http/reply.js'
import { type Dependency } from '../../../runtime/build-index/dependencies.js'
import { type FoundTag, Remotes } from '../../../runtime/build-index/remotes.js'
import { systemClock } from '../../../runtime/core/clock.js'
import { type Digest, digestOf } from '../../../runtime/core/digest.js'
import { AppError } from '../../../runtime/core/errors.js'
import { seededPrng } from '../../../runtime/core/prng.js'
import { noLog } from '../../../runtime/observe/log.js'
import { TaskQueue } from '../../../runtime/retry/task-queue.js'
import { type TagVersion } from '../../../runtime/store/tag-version.js'
import { systemSleep } from '../../../net/client/upstream.js'
import { until } from '../../support/manual-time.js'
import { type Asked, smallServer, type SmallServer } from '../../support/small-server.js'

const [LAYER, MANIFEST, INDEX, OTHER] = ['layer', 'manifest', 'index', 'other'].map(digestOf) as [Digest, Digest, Digest, Digest]
const NEEDED: Dependency[] = [
  { digest: LAYER, isOptional: false, height: 0 }, { digest: MANIFEST, isOptional: false, height: 1 }, { digest: INDEX, isOptional: false, height: 2 }
]
const POLICY = { workers: 2, spacingMs: 0, pauseMinMs: 1, pauseMaxMs: 2, failuresMax: Infinity }
const TAG = 'team/app:v1'

/** The build-index of another cluster, and what it was told. */
class Elsewhere {
  tag: string | undefined
  version: string | undefined
  /** As Kraken's: has no versions, and tags that exist stay as they are. */
  isKraken = false
  /** Answers so many requests with 503. */
  failures = 0
  readonly puts: string[] = []

  answer ({ method, target, header }: Asked): Reply {
    if (this.failures-- > 0) return { status: 503 }
    if (target === '/origin') return text('origin.elsewhere:80')
    if (target.startsWith('/internal/tags/')) return this.version === undefined || this.isKraken ? { status: 404 } : text(this.version)
    if (method === 'GET') return this.tag === undefined ? { status: 404 } : text(this.tag)
    this.puts.push(`${target} ${header('shoal-tag-version') ?? ''}`)
    if (!this.isKraken || this.tag === undefined) this.tag = target.split('/')[4]?.split('?')[0]
    return { status: 200 }
  }
}

async function setUp (t: Test, { patterns = [/^team\//] } = {}) {
  const elsewhere = new Elsewhere()
  const server = await smallServer(t, asked => elsewhere.answer(asked))
  const dir = await mkdtemp(join(tmpdir(), 'shoal-remotes-'))
  const http = createHttp()
  const tags = new Map<string, FoundTag>([[TAG, found(INDEX, 10)]])
  const copies: string[] = []
  const state = { rules: [{ address: server.address, patterns }], needed: NEEDED, absent: undefined as Digest | undefined }
  const open = async (): Promise<TaskQueue> => await TaskQueue.open({ dir, clock: systemClock, sleep: systemSleep, prng: seededPrng(1), log: noLog })
  const remotesOn = (queue: TaskQueue): Remotes => new Remotes({
    rules: state.rules,
    policy: POLICY,
    auditIntervalMs: 0,
    find: async tag => tags.get(tag),
    names: async () => [...tags.keys()],
    share: async () => {},
    dependencies: { resolve: async () => state.needed },
    origins: {
      replicateToRemote: async (namespace, digest, remote) => {
        if (digest === state.absent) throw new AppError('BLOB_UNKNOWN', 'no origin has it')
        copies.push(`${namespace} ${digest} ${remote}`)
      }
    },
    http,
    queue,
    clock: systemClock,
    sleep: systemSleep,
    log: noLog
  })
  const queues = [await open()]
  t.teardown(async () => {
    for (const queue of queues) await queue.close()
    await http.close()
    await rm(dir, { recursive: true, force: true })
  })
  const [queue] = queues as [TaskQueue]
  const reopen = async (closing = queue): Promise<TaskQueue> => {
    await closing.close()
    const again = await open()
    queues.push(again)
    return again
  }
  return { elsewhere, server, tags, copies, state, queue, remotesOn, reopen }
}

function found (digest: Digest, ms: number): { digest: Digest, version: TagVersion } {
  return { digest, version: { digest, stamp: { ms, count: 0 } } }
}

function requestsTo ({ journal }: SmallServer, part: string): number { return journal.filter(line => line.includes(part)).length }

t.test('what a tag needs is copied lowest first, then the tag, with the time of its write', async t => {
  const { elsewhere, copies, queue, remotesOn } = await setUp(t)
  const remotes = remotesOn(queue)
  remotes.start()
  t.equal(await remotes.enqueue('other/app:v1', 0), false, 'no rule is for it')
  t.equal(await remotes.enqueue(TAG, 0), true)
  await until(() => queue.size === 0)
  t.same(copies, [LAYER, MANIFEST, INDEX].map(digest => `${TAG} ${digest} origin.elsewhere:80`))
  t.same(elsewhere.puts, [`/tags/team%2Fapp:v1/digest/${INDEX}?replicate=true 10.0 ${INDEX}`])
})

t.test('nothing is copied to where it is, to where it is newer, or to where it was deleted later', async t => {
  const { elsewhere, copies, queue, remotesOn, tags } = await setUp(t)
  const remotes = remotesOn(queue)
  remotes.start()
  const settles = async (): Promise<void> => {
    await remotes.enqueue(TAG, 0)
    await until(() => queue.size === 0)
    t.same([copies, elsewhere.puts], [[], []])
  }
  elsewhere.tag = INDEX
  await settles()
  elsewhere.tag = OTHER
  elsewhere.version = `11.0 ${OTHER}`
  await settles()
  elsewhere.tag = undefined
  elsewhere.version = `11.0 sha256:${'0'.repeat(64)}`
  await settles()
  elsewhere.version = undefined
  tags.delete(TAG)
  await settles()
})

t.test('a tag that moves is moved there; a remote that keeps the old value is parked, for people to see', async t => {
  const { elsewhere, queue, remotesOn, server } = await setUp(t)
  const remotes = remotesOn(queue)
  remotes.start()
  elsewhere.tag = OTHER
  elsewhere.version = `9.0 ${OTHER}`
  await remotes.enqueue(TAG, 0)
  await until(() => queue.size === 0)
  t.equal(elsewhere.tag, INDEX)
  elsewhere.tag = OTHER
  elsewhere.isKraken = true
  await remotes.enqueue(TAG, 0)
  await until(() => queue.list({ state: 'parked' }).length === 1)
  t.match(queue.list()[0]?.reason, /keeps sha256:.*: its tags do not move/)
  t.ok(requestsTo(server, '/origin') > 0)
})

t.test('what fails is done later, and what cannot be done is parked', async t => {
  const { elsewhere, queue, remotesOn, state, copies } = await setUp(t)
  const remotes = remotesOn(queue)
  remotes.start()
  elsewhere.failures = 3
  await remotes.enqueue(TAG, 0)
  await until(() => queue.size === 0)
  t.equal(elsewhere.tag, INDEX)
  elsewhere.tag = undefined
  state.absent = LAYER
  state.needed = [{ digest: LAYER, isOptional: true, height: 0 }, { digest: INDEX, isOptional: false, height: 1 }]
  copies.length = 0
  await remotes.enqueue(TAG, 0)
  await until(() => queue.size === 0)
  t.same(copies, [`${TAG} ${INDEX} origin.elsewhere:80`], 'a layer that is absent by design may be')
})

t.test('what is on record is done by the next process; what no rule is for any more is parked', async t => {
  const { elsewhere, queue, remotesOn, reopen, state } = await setUp(t)
  await remotesOn(queue).enqueue(TAG, 0)
  const second = await reopen()
  remotesOn(second).start()
  await until(() => second.size === 0)
  t.equal(elsewhere.tag, INDEX)
  await remotesOn(second).enqueue(TAG, 1_000_000)
  t.equal(second.list()[0]?.state, 'waiting')
  const key = `${state.rules[0]?.address} ${TAG}`
  const third = await reopen(second)
  state.rules = []
  remotesOn(third).start()
  t.ok(await third.retry('tag-replication', key))
  await until(() => third.list({ state: 'parked' }).length === 1)
  t.match(third.list()[0]?.reason, /^no rule sends tag/)
})

t.test('an audit puts on record what the other side lacks or has otherwise', async t => {
  const { elsewhere, queue, remotesOn, state, tags } = await setUp(t)
  const remotes = remotesOn(queue)
  const [rule] = state.rules as [typeof state.rules[number]]
  const { signal } = new AbortController()
  elsewhere.tag = INDEX
  tags.set('else/where:v1', found(INDEX, 1))
  t.equal(await remotes.compare(rule, signal), 0)
  elsewhere.tag = OTHER
  t.equal(await remotes.compare(rule, signal), 1)
  t.same(queue.list().map(({ kind, payload }) => [kind, payload]), [['tag-replication', { address: rule.address, tag: TAG }]])
  t.equal(await remotes.compare(rule, signal), 0, 'once')
})
