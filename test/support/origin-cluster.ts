import { tmpdir } from 'node:os'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type Test } from 'tap'
import { request } from 'undici'
import { type OriginConfig } from '../../runtime/config/types.js'
import { NO_BACKENDS } from '../../runtime/config/sections/backends.js'
import { hashring } from '../../runtime/config/sections/hashring.js'
import { scheduler } from '../../runtime/config/sections/scheduler.js'
import { type RunningComponent } from '../../runtime/core/component.js'
import { type Digest, digestOf, EMPTY_DIGEST } from '../../runtime/core/digest.js'
import { noLog } from '../../runtime/observe/log.js'
import { startOrigin } from '../../runtime/origin/component.js'
import { until } from './manual-time.js'
import { taskConfig } from './task-config.js'

export interface Answer { readonly status: number, readonly headers: Readonly<Record<string, string>>, readonly body: Buffer }

/** An origin of a test, which can be stopped and started again on its port and its folder. */
export interface TestOrigin {
  readonly address: string
  readonly config: OriginConfig
  call (method: string, path: string, options?: { headers?: Record<string, string>, body?: string | Uint8Array }): Promise<Answer>
  start (): Promise<void>
  stop (): Promise<void>
  readonly ports: Readonly<Record<string, number>>
}

/** Origins on loopback that know each other; stopped at the end of the test. */
export async function startOrigins (t: Test, count: number, overrides: Partial<OriginConfig> = {}): Promise<TestOrigin[]> {
  const ports = await freePorts(count)
  const members = ports.map(port => `127.0.0.1:${port}`)
  const root = await mkdtemp(join(tmpdir(), 'shoal-origins-'))
  const origins = ports.map((port, i) => testOrigin({ ...configOf(join(root, `origin${i}`), port, members), ...overrides }))
  t.teardown(async () => {
    await Promise.all(origins.map(async origin => { await origin.stop() }))
    await rm(root, { recursive: true, force: true, maxRetries: 5 })
  })
  await Promise.all(origins.map(async origin => { await origin.start() }))
  for (const origin of origins) await until(async () => (await ownersAt(origin)).length === count)
  return origins
}

/** The owners of some blob as an origin tells them; of a cluster of three all that are healthy. */
export async function ownersAt (origin: TestOrigin, digest: Digest = EMPTY_DIGEST): Promise<string[]> {
  return (await origin.call('GET', `/blobs/${digest}/locations`)).headers['origin-locations']?.split(',') ?? []
}

/** The three calls by which a script uploads a blob; returns the commit's answer. */
export async function push (origin: TestOrigin, bytes: Uint8Array, digest: Digest = digestOf(bytes), namespace = 'team%2Fapp'): Promise<Answer> {
  const base = `/namespace/${namespace}/blobs/${digest}/uploads`
  const started = await origin.call('POST', base)
  if (started.status !== 200) return started
  const upload = `${base}/${started.headers.location}`
  const patched = await origin.call('PATCH', upload, { headers: { 'Content-Range': `0-${bytes.length}` }, body: bytes })
  return patched.status === 200 ? await origin.call('PUT', upload) : patched
}

function testOrigin (config: OriginConfig): TestOrigin {
  const address = `127.0.0.1:${config.port}`
  let running: RunningComponent | undefined
  return {
    address,
    config,
    get ports () { return running?.ports ?? {} },
    start: async () => { running = await startOrigin(config, noLog) },
    stop: async () => {
      await running?.stop()
      running = undefined
    },
    call: async (method, path, { headers, body } = {}) => {
      const answer = await request(`http://${address}${path}`, { method, headers, body, reset: true })
      return {
        status: answer.statusCode,
        headers: Object.fromEntries(Object.entries(answer.headers).map(([name, value]) => [name, String(value)])),
        body: Buffer.from(await answer.body.arrayBuffer())
      }
    }
  }
}

function configOf (dir: string, port: number, members: readonly string[]): OriginConfig {
  return {
    peerIp: '127.0.0.1',
    peerPort: 0,
    hostname: '127.0.0.1',
    port,
    zone: '',
    cluster: '',
    castore: { uploadDir: join(dir, 'upload'), cacheDir: join(dir, 'cache'), uploadTtlMs: 3_600_000 },
    scheduler: scheduler.schema.parse({}),
    peerIdPolicy: 'addr_hash',
    members: { static: [...members], dns: undefined, ttlMs: 5_000 },
    health: { failsMax: 3, passesMin: 2, timeoutMs: 60_000, intervalMs: 100 },
    ring: hashring.schema.parse({ max_replica: 3, refresh_interval: '100ms' }),
    pieceLengths: [{ minBlobBytes: 0, pieceBytes: 4_194_304 }],
    duplicateWriteBackStaggerMs: 1_800_000,
    ...taskConfig(join(dir, 'cache')),
    refreshBytesMax: 0,
    backends: NO_BACKENDS,
    memory: { swarmSlots: 32, uploadSlots: 32 }
  }
}

/** Ports that were free a moment ago. */
async function freePorts (count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports = await Promise.all(servers.map(async server => await new Promise<number>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
  })))
  await Promise.all(servers.map(async server => await new Promise(resolve => server.close(resolve))))
  return ports
}
