import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { portsOf, readPlan } from '../../runtime/up/layout.js'
import { checkPorts } from '../../runtime/up/ports.js'
import { Command } from '../support/command.js'
import { call } from '../support/http-call.js'
import { until } from '../support/manual-time.js'
import { must } from '../support/must.js'
import { childrenOf, isRunning, type ProcessEntry } from '../support/process-tree.js'
import { temporaryFolder } from '../support/system.js'

/* The command `shoal up` as a person uses it. */

const MAIN = fileURLToPath(new URL('../../runtime/main.js', import.meta.url))
const PROXY_PORT = 15_000
/** With it the highest port of a system of one agent, 16002, is still a port. */
const OFFSET_MAX = 40_000

function up (t: Test, ...args: string[]): Command { return new Command(t, process.execPath, [MAIN, 'up', ...args]) }

/** The child that runs one member of the system, by the name of its configuration. */
function member (command: Command, name: string): ProcessEntry {
  return must(childrenOf(command.pid).find(child => child.command.includes(`/${name}.yaml`)), `the process of ${name}`)
}

t.test('everything runs until Ctrl-C, and what is killed is started again', async t => {
  const dataDir = temporaryFolder(t)
  const command = up(t, '--free-ports', '--origins', '2', '--agents', '1', '--data', dataDir)
  await command.says(/^shoal is up: 6 processes/)
  const proxyPort = Number((await command.says(/push to +127\.0\.0\.1:(\d+)/))[1])
  t.equal((await call(proxyPort, 'GET', '/v2/')).status, 200)
  const members = childrenOf(command.pid)
  t.equal(members.length, 6)

  const victim = member(command, 'agent-1')
  process.kill(victim.pid, 'SIGKILL')
  await command.says(/agent-1 ended \(signal SIGKILL\); starting it again/)
  await command.says(/agent-1 is back/)
  const successor = member(command, 'agent-1')
  t.not(successor.pid, victim.pid)

  command.kill('SIGINT')
  const { code, text } = await command.end()
  t.equal(code, 0)
  t.match(text, /stopped/)
  t.same([...members, successor].filter(({ pid }) => isRunning(pid)), [], 'no process is left')
  await t.resolves(checkPorts(portsOf(must(readPlan(dataDir)))), 'no port is left')
})

t.test('nothing outlives it when it is killed itself', async t => {
  const command = up(t, '--free-ports', '--origins', '1', '--agents', '1', '--data', temporaryFolder(t))
  await command.says(/^shoal is up: 5 processes/)
  const members = childrenOf(command.pid)
  t.equal(members.length, 5)
  command.kill('SIGKILL')
  t.equal((await command.end()).code, 'SIGKILL')
  await t.resolves(until(() => !members.some(({ pid }) => isRunning(pid))))
})

t.test('Ctrl-C while it starts stops what was started', async t => {
  const command = up(t, '--free-ports', '--origins', '1', '--agents', '1', '--data', temporaryFolder(t))
  await command.says(/starting/)
  await until(() => childrenOf(command.pid).length > 0)
  const members = childrenOf(command.pid)
  command.kill('SIGINT')
  t.equal((await command.end()).code, 0)
  t.same(members.filter(({ pid }) => isRunning(pid)), [])
})

t.test('a port that is taken is named, with what to do, and nothing is started', async t => {
  const { server, port } = await listenWithin(PROXY_PORT, PROXY_PORT + OFFSET_MAX)
  t.teardown(() => { server.close() })
  const { code, text } = await up(t, '--port-offset', String(port - PROXY_PORT), '--agents', '1', '--data', temporaryFolder(t)).end()
  t.equal(code, 1)
  t.match(text, `port ${port} (proxy registry) is taken`)
  t.match(text, '--free-ports')
  t.notMatch(text, /shoal is up/)
})

t.test('two systems do not share a folder', async t => {
  const dataDir = temporaryFolder(t)
  const first = up(t, '--free-ports', '--origins', '1', '--agents', '1', '--data', dataDir)
  await first.says(/^shoal is up/)
  const { code, text } = await up(t, '--free-ports', '--origins', '1', '--agents', '1', '--data', dataDir).end()
  t.equal(code, 1)
  t.match(text, dataDir)
  first.kill('SIGTERM')
  t.equal((await first.end()).code, 0)
})

/** Listens on a free port of this range. */
async function listenWithin (least: number, most: number): Promise<{ server: Server, port: number }> {
  for (;;) {
    const server = createServer().listen({ port: 0, exclusive: true })
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    if (port >= least && port <= most) return { server, port }
    server.close()
  }
}
