import { createHash } from 'node:crypto'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import readline from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type Digest, digestFromSum } from '../runtime/core/digest.js'
import { startSystem, type System } from '../runtime/up/up.js'
import { median, percentile, type Row } from './support/table.js'
import { resetPeak, usageOf } from './support/usage.js'

const MIB = 1024 * 1024
const HTTP_READER = fileURLToPath(new URL('./support/http-reader.js', import.meta.url))
const RAW_COPY = fileURLToPath(new URL('./baselines/raw-copy.js', import.meta.url))

interface Setting { readonly blobBytes: number, readonly rounds: number }

/** One measured run of something that moves `bytes`. */
interface Run { readonly seconds: number, readonly bytes: number, readonly cpuSeconds: number | undefined }

/**
 * A whole blob from process to process, over loopback and a memory file system where there is one: a raw copy as the
 * baseline, one origin to one agent's disk and to a reader, one origin to four agents, and a push through the proxy. The subjects
 * take turns in every round and the medians are shown; the first round warms up and is not counted.
 */
export async function transfer (isSmoke: boolean): Promise<Row[]> {
  const setting: Setting = isSmoke ? { blobBytes: 9 * MIB, rounds: 1 } : { blobBytes: 1024 * MIB, rounds: 5 }
  const folder = fs.mkdtempSync(path.join(fs.existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir(), 'shoal-bench-'))
  const blob = makeBlob(path.join(folder, 'blob'), setting.blobBytes)
  const raw = await RawCopy.start(blob.file, path.join(folder, 'copy'))
  const system = await startSystem({
    dataDir: path.join(folder, 'data'), origins: 1, agents: 4, portOffset: 0, isOnFreePorts: true, onEvent: () => {}
  })
  const readers = system.plan.agents.map(({ serverPort }) => new HttpReader(serverPort))
  try {
    return await measure(system, readers, raw, blob, setting)
  } finally {
    for (const reader of readers) reader.stop()
    await system.stop()
    raw.stop()
    fs.rmSync(folder, { recursive: true, force: true })
  }
}

async function measure (system: System, readers: readonly HttpReader[], raw: RawCopy, blob: Blob, { rounds, blobBytes }: Setting): Promise<Row[]> {
  const runs: Record<'raw' | 'disk' | 'one' | 'four' | 'push', Run[]> = { raw: [], disk: [], one: [], four: [], push: [] }
  const healthMs: number[] = []
  const agents = system.plan.agents.map((_, i) => pidOf(system, `agent-${i + 1}`))
  const origin = pidOf(system, 'origin-1')
  for (let round = 0; round <= rounds; round++) {
    const isWarmUp = round === 0
    const keep = (name: keyof typeof runs, run: Run): void => { if (!isWarmUp || rounds === 1) runs[name].push(run) }
    await forget(system, blob.digest, [0, 1, 2, 3])
    await deleteFromOrigin(system, blob.digest)
    keep('push', await timed([origin, pidOf(system, 'proxy')], blobBytes, async () => await push(system, blob)))
    keep('raw', await timed(raw.pids, blobBytes, async () => await raw.copy()))
    keep('disk', await timed([origin, ...agents.slice(0, 1)], blobBytes, async () => await pull(system, 0, blob.digest)))
    await forget(system, blob.digest, [0])
    resetPeak(agents[0] ?? 0)
    const watch = watchHealth(system.plan.agents[0]?.serverPort ?? 0)
    keep('one', await timed([origin, ...agents.slice(0, 1)], blobBytes, async () => { await readers[0]?.read(blob) }))
    const answered = await watch.stop()
    if (!isWarmUp) healthMs.push(...answered)
    await forget(system, blob.digest, [0])
    keep('four', await timed([origin, ...agents], 4 * blobBytes, async () => { await Promise.all(readers.map(async reader => { await reader.read(blob) })) }))
  }
  const size = `${Math.round(blobBytes / MIB)} MiB`
  const rssPeakMB = (usageOf(agents.slice(0, 1))?.rssPeakBytes ?? 0) / 1e6
  return [
    rowOf(`${size} from process to process`, 'raw copy: file, socket, file', runs.raw, runs.raw),
    rowOf(`${size} from process to process`, '1 origin, 1 agent, verified, on disk', runs.disk, runs.raw),
    { ...rowOf(`${size} from process to process`, '1 origin, 1 agent, verified, to a reader', runs.one, runs.raw), rssPeakMB },
    rowOf(`${size} from process to process`, '1 origin, 4 agents at once, to 4 readers', runs.four, runs.raw),
    rowOf(`${size} from process to process`, 'push through the proxy to 1 origin', runs.push, runs.raw),
    { case: 'health of the busy agent', subject: 'GET /health', p50Ms: median(healthMs), p99Ms: percentile(healthMs, 0.99) }
  ]
}

function rowOf (name: string, subject: string, runs: readonly Run[], baseline: readonly Run[]): Row {
  const speed = (run: Run): number => run.bytes / 1e6 / run.seconds
  const cpu = runs.flatMap(run => run.cpuSeconds === undefined ? [] : [run.cpuSeconds / (run.bytes / 1e9)])
  return {
    case: name,
    subject,
    MBps: median(runs.map(speed)),
    ratio: median(runs.map(speed)) / median(baseline.map(speed)),
    cpuSecondsPerGB: cpu.length > 0 ? median(cpu) : undefined
  }
}

async function timed (pids: readonly number[], bytes: number, act: () => Promise<void>): Promise<Run> {
  const before = usageOf(pids)
  const started = performance.now()
  await act()
  const seconds = (performance.now() - started) / 1000
  const after = usageOf(pids)
  return { seconds, bytes, cpuSeconds: before === undefined || after === undefined ? undefined : after.cpuSeconds - before.cpuSeconds }
}

interface Blob { readonly file: string, readonly digest: Digest, readonly sizeBytes: number }

/** Bytes that do not repeat: every block is the one before, encrypted by its number. */
function makeBlob (file: string, sizeBytes: number): Blob {
  const fd = fs.openSync(file, 'w')
  const hash = createHash('sha256')
  const block = Buffer.alloc(MIB)
  for (let i = 0; i < block.length; i += 4) block.writeUInt32LE(Math.imul(i + 1, 2654435761) >>> 0, i)
  for (let at = 0; at < sizeBytes; at += block.length) {
    block.writeUInt32LE(at / block.length, 0)
    const part = block.subarray(0, Math.min(block.length, sizeBytes - at))
    fs.writeSync(fd, part)
    hash.update(part)
  }
  fs.closeSync(fd)
  return { file, digest: digestFromSum(hash.digest()), sizeBytes }
}

/** The two processes of the baseline. */
class RawCopy {
  private constructor (readonly server: ChildProcess, readonly client: ChildProcess, readonly lines: AsyncIterableIterator<string>) {}

  static async start (source: string, target: string): Promise<RawCopy> {
    const server = spawn(process.execPath, [RAW_COPY, 'serve', source], { stdio: ['ignore', 'pipe', 'inherit'] })
    const port = await firstLine(server)
    const client = spawn(process.execPath, [RAW_COPY, 'fetch', port, target], { stdio: ['pipe', 'pipe', 'inherit'] })
    return new RawCopy(server, client, linesOf(client))
  }

  get pids (): number[] { return [this.server.pid ?? 0, this.client.pid ?? 0] }

  async copy (): Promise<void> {
    this.client.stdin?.write('go\n')
    await this.lines.next()
  }

  stop (): void {
    this.server.kill()
    this.client.kill()
  }
}

/** A process that reads blobs of one agent and does nothing with them. */
class HttpReader {
  readonly #child = spawn(process.execPath, [HTTP_READER], { stdio: ['pipe', 'pipe', 'inherit'] })
  readonly #lines = linesOf(this.#child)

  constructor (readonly port: number) {}

  async read ({ digest, sizeBytes }: Blob): Promise<void> {
    this.#child.stdin.write(`${this.port} ${pathOf(digest)}\n`)
    const { value } = await this.#lines.next() as { value: string }
    if (value !== `200 ${sizeBytes}`) throw new Error(`the agent on port ${this.port} answered with status and bytes ${value}`)
  }

  stop (): void { this.#child.kill() }
}

function linesOf (child: ChildProcess): AsyncIterableIterator<string> {
  if (child.stdout === null) throw new Error('the child has no output')
  return readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]()
}

async function firstLine (child: ChildProcess): Promise<string> {
  const { value } = await linesOf(child).next() as { value: string }
  return value
}

/** As a client of the registry pushes a layer: start, one streamed PATCH, closing PUT. */
async function push (system: System, blob: Blob): Promise<void> {
  const { port } = system.plan.proxy
  const started = await call({ port, method: 'POST', path: '/v2/bench/blob/blobs/uploads/' })
  const patched = await call({ port, method: 'PATCH', path: started.location, body: blob.file, headers: { 'content-type': 'application/octet-stream' } })
  const done = await call({ port, method: 'PUT', path: `${patched.location}${patched.location.includes('?') ? '&' : '?'}digest=${blob.digest}` })
  if (done.status !== 201) throw new Error(`the push ended with ${done.status}`)
}

/** Makes an agent fetch all of a blob while next to nothing of it is read. */
async function pull (system: System, agent: number, digest: Digest): Promise<void> {
  const { status } = await call({ port: serverPortOf(system, agent), method: 'GET', path: pathOf(digest), headers: { range: 'bytes=-1' } })
  if (status !== 206) throw new Error(`agent ${agent + 1} answered ${status}`)
  const hex = digest.slice('sha256:'.length)
  const cached = path.join(system.dataDir, `agent-${agent + 1}`, 'cache', hex.slice(0, 2), hex.slice(2, 4), hex, 'data')
  while (!fs.existsSync(cached)) await new Promise(resolve => setTimeout(resolve, 2))
}

function pathOf (digest: Digest): string { return `/namespace/bench%2Fblob/blobs/${digest}` }

function serverPortOf (system: System, agent: number): number { return system.plan.agents[agent]?.serverPort ?? 0 }

async function forget (system: System, digest: Digest, agents: readonly number[]): Promise<void> {
  for (const agent of agents) await call({ port: serverPortOf(system, agent), method: 'DELETE', path: `/blobs/${digest}` })
}

async function deleteFromOrigin (system: System, digest: Digest): Promise<void> {
  await call({ port: system.plan.origins[0]?.port ?? 0, method: 'DELETE', path: `/internal/blobs/${digest}` })
}

interface Call {
  readonly port: number
  readonly method: string
  readonly path: string
  /** A file. */
  readonly body?: string
  readonly headers?: Record<string, string>
}

async function call ({ port, method, path: target, body, headers }: Call): Promise<{ status: number, location: string, bytes: number }> {
  const request = http.request({ host: '127.0.0.1', port, method, path: target, headers })
  if (body === undefined) request.end()
  else fs.createReadStream(body, { highWaterMark: MIB }).pipe(request)
  const [response] = await once(request, 'response') as [http.IncomingMessage]
  let bytes = 0
  response.on('data', (chunk: Buffer) => { bytes += chunk.length })
  await once(response, 'end')
  const expected = response.headers['content-length']
  if (expected !== undefined && method === 'GET' && Number(expected) !== bytes) throw new Error(`${method} ${target}: ${bytes} of ${expected} bytes`)
  return { status: response.statusCode ?? 0, location: response.headers.location ?? '', bytes }
}

/** Asks for the health of a server over and over; answers with how long each answer took, in ms. */
function watchHealth (port: number): { stop: () => Promise<number[]> } {
  const took: number[] = []
  const stopped = new AbortController()
  const run = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      const started = performance.now()
      await call({ port, method: 'GET', path: '/health' })
      took.push(performance.now() - started)
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  }
  const running = run()
  return { stop: async () => { stopped.abort(); await running; return took } }
}

function pidOf (system: System, name: string): number {
  const pid = system.pids[name]
  if (pid === undefined) throw new Error(`${name} is not running`)
  return pid
}
