import { type Test } from 'tap'
import { digestOf } from '../../runtime/core/digest.js'
import { idFromJson } from '../../runtime/core/id-bytes.js'
import { makePeerId } from '../../runtime/core/peer-id.js'
import { peerInfoToJson, type PeerInfo } from '../../runtime/core/peer.js'
import { noLog } from '../../runtime/observe/log.js'
import { startTracker } from '../../runtime/tracker/component.js'
import { call } from './http-call.js'
import { until } from './manual-time.js'
import { must } from './must.js'
import { SmallOrigin } from './small-origin.js'

/** A Redis as the tests need it. */
export interface TestRedis {
  readonly address: string
  stop (): Promise<void>
  /** On the same port, empty or not. */
  start (): Promise<void>
  /** Takes connections and says nothing. */
  freeze (): void
  thaw (): void
  members (key: string): Promise<string[]>
}

export const INFO_HASH = 'ab'.repeat(20)
const WINDOW_MS = 3_600_000

export function announcing (n: number, isComplete = false): PeerInfo {
  const ip = `10.0.0.${n}`
  return { id: makePeerId('addr_hash', ip, 16001), ip, port: 16001, isOrigin: false, isComplete }
}

interface HandedOut { readonly ip: string, readonly complete: boolean, readonly origin: boolean, readonly peer_id: unknown }

/** A tracker on this Redis. */
export async function trackerOn (t: Test, redis: TestRedis) {
  const origin = await SmallOrigin.start()
  const component = await startTracker({
    port: 0,
    announceIntervalMs: 3000,
    announceLimit: 50,
    handoutPolicy: 'completeness',
    peerTtlMs: 3_600_000,
    redis: { address: redis.address, connectMs: 5_000, replyMs: 1_000, windowMs: WINDOW_MS, windows: 5 },
    originStore: { locationsTtlMs: 10_000, locationsErrorTtlMs: 1000, contextTtlMs: 10_000, unavailableTtlMs: 60_000 },
    origin: origin.upstream
  }, noLog)
  t.teardown(async () => {
    await component.stop()
    await origin.stop()
  })
  const port = must(component.ports.port)
  const readiness = async (): Promise<string> => {
    const { status, body } = await call(port, 'GET', '/readiness')
    return `${status} ${body.toString().trim()}`
  }
  return {
    ready: async () => { await until(async () => (await readiness()).startsWith('200')) },
    readiness,
    /** The addresses handed out, sorted, complete ones with a mark. */
    announce: async (peer: PeerInfo): Promise<string[] | null> => {
      const body = JSON.stringify({ digest: digestOf('x'), peer: peerInfoToJson(peer) })
      const answer = await call(port, 'POST', `/announce/${INFO_HASH}`, { body })
      const { peers }: { peers: HandedOut[] | null } = JSON.parse(answer.body.toString())
      for (const { peer_id: id } of peers ?? []) idFromJson(id, 'peer_id')
      return peers?.map(({ ip, complete, origin: isOrigin }) => isOrigin ? 'origin' : ip + (complete ? '!' : '')).sort() ?? null
    }
  }
}

/** What trackers on Redis promise; `redis` is started. */
export async function redisSuite (t: Test, redis: TestRedis): Promise<void> {
  const [one, two] = [await trackerOn(t, redis), await trackerOn(t, redis)]
  await one.ready()
  await two.ready()
  t.same(await one.announce(announcing(1)), ['origin'])
  t.same(await two.announce(announcing(2)), ['10.0.0.1', 'origin'], 'what one tracker was told the other one knows')
  t.equal(await one.announce(announcing(1, true)), null)
  await until(async () => (await two.announce(announcing(2)))?.includes('10.0.0.1!') === true)
  t.same(await two.announce(announcing(3)), ['10.0.0.1!', '10.0.0.2', 'origin'])

  const window = Math.floor(Date.now() / WINDOW_MS) * WINDOW_MS / 1000
  const written = [1, 2, 3].map(n => `${announcing(n).id}:10.0.0.${n}:16001:${n === 1 ? 1 : 0}`).sort()
  const keys = [window, window - WINDOW_MS / 1000].map(start => `peerset:${INFO_HASH}:${start}`)
  const members = await Promise.all(keys.map(async key => await redis.members(key)))
  t.same([...new Set(members.flat())].sort(), written, 'in the form of the reference')

  await redis.stop()
  await until(async () => (await one.readiness()).startsWith('503'))
  t.match(await one.readiness(), /^503 not ready to serve traffic: peer store: redis/)
  t.same(await one.announce(announcing(4)), ['10.0.0.1!', 'origin'], 'without it, those who announced themselves here')
  await redis.start()
  await one.ready()
  await two.ready()
  await one.announce(announcing(4))
  t.ok((await two.announce(announcing(5)))?.includes('10.0.0.4'), 'it is used again as soon as it is back')

  redis.freeze()
  t.same(await one.announce(announcing(6)), ['10.0.0.1!', '10.0.0.4', 'origin'], 'one that stands still is not waited for')
  t.match(await one.readiness(), /^503/)
  redis.thaw()
  await one.ready()
}
