import { request } from 'undici'
import { AppError } from '../core/errors.js'
import { field, parseJson } from '../core/json.js'
import { type SystemPlan } from '../up/layout.js'
import { type Image, makeImage } from './image.js'
import { Progress, type Screen } from './progress.js'
import { RegistryClient } from './registry-client.js'

const HOST = '127.0.0.1'
const REPOSITORY = 'shoal/demo'
const LAYERS = 4
const MIB = 1024 * 1024
const CALL_TIMEOUT_MS = 10_000

export interface DemoOptions {
  readonly plan: Pick<SystemPlan, 'proxy' | 'agents'>
  /** Of all layers together. */
  readonly sizeBytes: number
  readonly screen: Screen
  readonly signal?: AbortSignal
}

/**
 * Makes an image, pushes it to the proxy, pulls it from all agents at the same time, checks every digest, and shows from
 * whom each agent had its bytes.
 * @throws AppError of the first thing that went wrong
 */
export async function demonstrate ({ plan, sizeBytes, screen, signal }: DemoOptions): Promise<void> {
  const say = (line: string): void => { screen.write(`${line}\n`) }
  const image = await timed(say, `made an image of ${mib(sizeBytes)} in ${LAYERS} layers`, async () => await makeImage({ layerBytes: layerSizes(sizeBytes) }))
  const totalBytes = image.blobs.reduce((sum, blob) => sum + blob.sizeBytes, 0)
  const tag = image.top.digest.slice('sha256:'.length, 'sha256:'.length + 12)
  const agents = plan.agents.map(({ registryPort, serverPort }, i) => ({ name: `agent-${i + 1}`, registryPort, serverUrl: `http://${HOST}:${serverPort}` }))

  say(`\npushing to the proxy, ${HOST}:${plan.proxy.port}/${REPOSITORY}:${tag}`)
  await timed(say, 'pushed', async () => { await push(`http://${HOST}:${plan.proxy.port}`, tag, image, totalBytes, { screen, signal }) })

  // A system that was running before may know the image from an earlier demonstration.
  await Promise.all(agents.map(async agent => { await forget(agent.serverUrl, image, signal) }))
  const before = await Promise.all(agents.map(async agent => await statsOf(agent.serverUrl, signal)))

  say(`\npulling from ${agents.length === 1 ? 'the agent' : `all ${agents.length} agents at the same time`}`)
  const progress = new Progress(screen)
  await timed(say, 'pulled, and every digest is right', async () => {
    await Promise.all(agents.map(async ({ name, registryPort }) => {
      const onBytes = progress.add(name, totalBytes)
      await pull(`http://${HOST}:${registryPort}`, tag, image, { onBytes, signal })
    }))
    progress.end()
  })

  say('\nwhere the bytes came from')
  for (const [i, agent] of agents.entries()) {
    const after = await statsOf(agent.serverUrl, signal)
    const drawn = (key: keyof Stats): string => mib(after[key] - (before[i]?.[key] ?? 0))
    say(`  ${agent.name}: ${drawn('bytesFromOrigins')} from origins, ${drawn('bytesFromAgents')} from other agents; gave ${drawn('bytesServed')} to others`)
  }
}

async function push (
  url: string, tag: string, image: Image, totalBytes: number, { screen, signal }: { screen: Screen, signal: AbortSignal | undefined }
): Promise<void> {
  const client = new RegistryClient(url)
  const progress = new Progress(screen)
  try {
    await client.push(REPOSITORY, tag, image, { onBytes: progress.add('push', totalBytes), signal })
    progress.end()
  } finally {
    await client.close()
  }
}

async function pull (
  url: string, tag: string, image: Image, options: { onBytes: (byteCount: number) => void, signal: AbortSignal | undefined }
): Promise<void> {
  const client = new RegistryClient(url)
  try {
    const { digest } = await client.pull(REPOSITORY, tag, options)
    if (digest !== image.top.digest) throw new AppError('DIGEST_MISMATCH', `${url} answered ${digest} for the tag that points at ${image.top.digest}`)
  } finally {
    await client.close()
  }
}

/** Drops the image's blobs from an agent. */
async function forget (serverUrl: string, image: Image, signal: AbortSignal | undefined): Promise<void> {
  for (const { digest } of [...image.blobs, ...image.manifests]) await call('DELETE', `${serverUrl}/blobs/${digest}`, signal)
}

interface Stats { readonly bytesFromOrigins: number, readonly bytesFromAgents: number, readonly bytesServed: number }

async function statsOf (serverUrl: string, signal: AbortSignal | undefined): Promise<Stats> {
  const stats = parseJson(await call('GET', `${serverUrl}/x/stats`, signal), 'statistics')
  const count = (key: keyof Stats): number => {
    const value = field(stats, key)
    return typeof value === 'number' ? value : 0
  }
  return { bytesFromOrigins: count('bytesFromOrigins'), bytesFromAgents: count('bytesFromAgents'), bytesServed: count('bytesServed') }
}

async function call (method: 'GET' | 'DELETE', url: string, signal: AbortSignal | undefined): Promise<string> {
  const timeout = AbortSignal.timeout(CALL_TIMEOUT_MS)
  const either = signal === undefined ? timeout : AbortSignal.any([signal, timeout])
  const { statusCode, body } = await request(url, { method, reset: true, signal: either })
  const text = await body.text()
  if (statusCode !== 200) throw new AppError('UNAVAILABLE', `${method} ${url} was answered ${statusCode}: ${text.slice(0, 200)}`)
  return text
}

/** Layers of different sizes, as in real images: 40, 30, 20 and 10 percent. */
function layerSizes (sizeBytes: number): number[] {
  return Array.from({ length: LAYERS }, (_, i) => Math.round(sizeBytes * (LAYERS - i) / 10))
}

async function timed<T> (say: (line: string) => void, what: string, work: () => Promise<T>): Promise<T> {
  const startedAt = performance.now()
  const result = await work()
  say(`${what} in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`)
  return result
}

function mib (bytes: number): string { return `${(bytes / MIB).toFixed(bytes < 10 * MIB ? 1 : 0)} MiB` }
