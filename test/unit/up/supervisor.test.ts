import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { AppError } from '../../../runtime/core/errors.js'
import { type ProcessEvent, type ProcessSpec, type RestartPolicy } from '../../../runtime/up/supervised-process.js'
import { Supervisor } from '../../../runtime/up/supervisor.js'

const POLICY: RestartPolicy = { backoffMs: () => 1, stableMs: 60_000, attemptsMax: 2, stopMs: 30_000 }
const TIMEOUT = { timeoutMs: 60_000 }

/** Says that it is ready, and lives until it is told to end. */
const STEADY = "process.on('SIGTERM', () => process.exit(0)); setInterval(() => {}, 1e6); console.log('ready')"
/** Lives on when it is told to end. */
const STUBBORN = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1e6); console.log('ready')"
const FAILING = "console.error('the port is taken'); process.exitCode = 3"

function specOf (folder: string, name: string, script: string): ProcessSpec {
  const logFile = join(folder, `${name}.log`)
  const args = ['-e', script]
  return { name, command: process.execPath, args, logFile, isHealthy: async () => existsSync(logFile) && readFileSync(logFile, 'utf8').includes('ready') }
}

/** Events in order, and a way to await the next one of a kind. */
class Watcher {
  readonly events: ProcessEvent[] = []
  readonly #waiting: Array<{ type: ProcessEvent['type'], resolve: () => void }> = []

  readonly push = (event: ProcessEvent): void => {
    this.events.push(event)
    for (const waiter of this.#waiting.splice(0)) {
      if (waiter.type === event.type) waiter.resolve()
      else this.#waiting.push(waiter)
    }
  }

  async next (type: ProcessEvent['type']): Promise<void> {
    await new Promise<void>(resolve => { this.#waiting.push({ type, resolve }) })
  }
}

t.test('starts all, is ready when all are healthy, stops all', async t => {
  const folder = t.testdir()
  const watcher = new Watcher()
  const supervisor = new Supervisor(['a', 'b'].map(name => specOf(folder, name, STEADY)), watcher.push, POLICY)
  supervisor.start()
  await supervisor.ready(TIMEOUT)
  const pids = Object.values(supervisor.pids)
  t.ok(pids.every(pid => pid !== undefined && isRunning(pid)))
  t.same(watcher.events.map(({ type, name }) => `${name} ${type}`).sort(), ['a healthy', 'b healthy'])
  await supervisor.stop()
  t.ok(pids.every(pid => pid !== undefined && !isRunning(pid)))
  t.same(supervisor.pids, { a: undefined, b: undefined })
  t.equal(watcher.events.length, 2, 'a stop is no failure')
  await supervisor.stop()
})

t.test('a later stage starts when the earlier one is healthy, and stops first', async t => {
  const folder = t.testdir()
  const watcher = new Watcher()
  const open = join(folder, 'open')
  const early = { ...specOf(folder, 'early', STEADY), isHealthy: async () => existsSync(open) }
  const supervisor = new Supervisor([{ ...specOf(folder, 'late', STEADY), stage: 1 }, early], watcher.push, POLICY)
  supervisor.start()
  t.same(Object.entries(supervisor.pids).filter(([, pid]) => pid !== undefined).map(([name]) => name), ['early'])
  writeFileSync(open, '')
  await supervisor.ready(TIMEOUT)
  t.same(watcher.events.map(({ name }) => name), ['early', 'late'])
  const { early: earlyPid } = supervisor.pids
  const stopped = supervisor.stop()
  t.ok(earlyPid !== undefined && isRunning(earlyPid))
  await stopped
  t.same(supervisor.pids, { late: undefined, early: undefined })
})

t.test('a stop in the first stage starts no second one', async t => {
  const folder = t.testdir()
  const watcher = new Watcher()
  const never = { ...specOf(folder, 'early', STEADY), isHealthy: async () => false }
  const supervisor = new Supervisor([never, { ...specOf(folder, 'late', STEADY), stage: 1 }], watcher.push, POLICY)
  supervisor.start()
  await supervisor.stop()
  t.same(supervisor.pids, { early: undefined, late: undefined })
  t.notOk(existsSync(join(folder, 'late.log')))
})

t.test('starts again what ends, and says so', async t => {
  const folder = t.testdir()
  const watcher = new Watcher()
  const supervisor = new Supervisor([specOf(folder, 'a', STEADY)], watcher.push, POLICY)
  t.teardown(async () => { await supervisor.stop() })
  supervisor.start()
  await supervisor.ready(TIMEOUT)
  for (let round = 0; round < 3; round++) {
    const pid = supervisor.pids['a'] ?? 0
    const back = watcher.next('healthy')
    process.kill(pid, 'SIGKILL')
    await back
    t.not(supervisor.pids['a'], pid)
  }
  t.same(watcher.events.slice(1, 3), [
    { type: 'ended', name: 'a', how: 'signal SIGKILL', restartInMs: 1 },
    { type: 'healthy', name: 'a', isRestart: true }
  ])
})

t.test('waits longer after each failure', async t => {
  const folder = t.testdir()
  const watcher = new Watcher()
  const counts: number[] = []
  const policy = { ...POLICY, attemptsMax: 5, backoffMs: (failures: number) => counts.push(failures) }
  const supervisor = new Supervisor([specOf(folder, 'a', FAILING)], watcher.push, policy)
  supervisor.start()
  await t.rejects(supervisor.ready(TIMEOUT))
  t.same(counts, [1, 2, 3, 4])
  await supervisor.stop()
})

t.test('a process that was stable starts counting anew', async t => {
  const folder = t.testdir()
  const watcher = new Watcher()
  const counts: number[] = []
  const policy = { ...POLICY, stableMs: 0, backoffMs: (failures: number) => { counts.push(failures); return 1 } }
  const supervisor = new Supervisor([specOf(folder, 'a', STEADY)], watcher.push, policy)
  supervisor.start()
  await supervisor.ready(TIMEOUT)
  for (let round = 0; round < 2; round++) {
    const back = watcher.next('healthy')
    process.kill(supervisor.pids['a'] ?? 0, 'SIGKILL')
    await back
  }
  t.same(counts, [1, 1])
  await supervisor.stop()
})

t.test('gives up what never starts, and shows its log', async t => {
  const folder = t.testdir()
  const watcher = new Watcher()
  const supervisor = new Supervisor([specOf(folder, 'good', STEADY), specOf(folder, 'bad', FAILING)], watcher.push, POLICY)
  supervisor.start()
  await t.rejects(supervisor.ready(TIMEOUT), { code: 'UNAVAILABLE', message: /bad does not start \(exit code 3\)[^]*bad\.log[^]*the port is taken/ })
  t.same(watcher.events.filter(({ name }) => name === 'bad').map(({ type }) => type), ['ended', 'gaveUp'])
  await supervisor.stop()
})

t.test('a program that does not exist is a failure like any other', async t => {
  const spec = { ...specOf(t.testdir(), 'a', ''), command: '/nowhere/shoal' }
  const supervisor = new Supervisor([spec], () => {}, POLICY)
  supervisor.start()
  await t.rejects(supervisor.ready(TIMEOUT), { code: 'UNAVAILABLE', message: /ENOENT/ })
  await supervisor.stop()
})

t.test('kills what does not stop', async t => {
  const supervisor = new Supervisor([specOf(t.testdir(), 'a', STUBBORN)], () => {}, { ...POLICY, stopMs: 1 })
  supervisor.start()
  await supervisor.ready(TIMEOUT)
  const pid = supervisor.pids['a'] ?? 0
  await supervisor.stop()
  t.notOk(isRunning(pid))
})

t.test('waiting can be cancelled, and has an end', async t => {
  const spec = { ...specOf(t.testdir(), 'slow', STEADY), isHealthy: async () => false }
  const supervisor = new Supervisor([spec], () => {}, POLICY)
  supervisor.start()
  await t.rejects(supervisor.ready({ timeoutMs: 1 }), { code: 'TIMED_OUT', message: /^slow did not become healthy/ })
  await t.rejects(supervisor.ready({ ...TIMEOUT, signal: AbortSignal.abort() }), new AppError('CANCELLED', 'stopped before everything was ready'))
  await supervisor.stop()
})

t.test('nothing outlives a supervisor that is killed', async t => {
  const folder = t.testdir()
  const server = createServer()
  const url = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href)
  // The connection of the child tells when it starts and when it ends.
  const child = join(folder, 'child.mjs')
  writeFileSync(child, `
    import { connect } from 'node:net'
    import { StopRequest } from ${url('../../../runtime/cli/stop-request.js')}
    const stop = new StopRequest()
    connect(Number(process.argv[2]), '127.0.0.1')
    await stop.requested
    process.exit(0)`)
  const parent = join(folder, 'parent.mjs')
  writeFileSync(parent, `
    import { Supervisor } from ${url('../../../runtime/up/supervisor.js')}
    const spec = { name: 'a', command: process.execPath, args: [${JSON.stringify(child)}, process.argv[2]], logFile: ${JSON.stringify(join(folder, 'a.log'))}, isHealthy: async () => false }
    new Supervisor([spec], () => {}).start()`)
  const port = await listen(server)
  const connected = once(server, 'connection')
  const running = spawn(process.execPath, [parent, String(port)], { stdio: 'inherit' })
  const [socket]: Socket[] = await connected
  if (socket === undefined) throw new Error('no connection')
  const gone = once(socket.resume(), 'close')
  socket.on('error', () => {})
  running.kill('SIGKILL')
  await gone
  t.pass('the child has ended')
  server.close()
})

async function listen (server: Server): Promise<number> {
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', () => { resolve() }) })
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

function isRunning (pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
