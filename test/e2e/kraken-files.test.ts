import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { ROLE_NAMES, type RoleName } from '../../runtime/cli/role-names.js'
import { ROLES } from '../../runtime/cli/run-role.js'
import { startTestfs } from '../../runtime/backend/testfs/server.js'
import { freePorts } from '../../runtime/up/ports.js'
import { Supervisor } from '../../runtime/up/supervisor.js'
import { isHealthy } from '../../runtime/up/up.js'
import { call } from '../support/http-call.js'
import { makeImage } from '../support/image.js'
import { writeKrakenFiles } from '../support/kraken-files.js'
import { pullImage, pushImage } from '../support/registry.js'
import { temporaryFolder } from '../support/system.js'

/* Every role starts from a Kraken's command line and files, and serves the ports that it and its front would. */

const MAIN = fileURLToPath(new URL('../../runtime/main.js', import.meta.url))
const START_LIMIT_MS = 100_000
const HOST = { ip: '127.0.0.1', name: 'host' }

t.test('a cluster from Kraken\'s command lines', async t => {
  const folder = temporaryFolder(t)
  const testfs = await startTestfs({ port: 0, root: join(folder, 'testfs'), host: '127.0.0.1' })
  t.teardown(async () => { await testfs.close() })
  const ports = await freePorts(11)
  const [origin = 0, originPeer = 0, tracker = 0, buildIndex = 0, proxy = 0, proxyToo = 0, proxyServer = 0, registry = 0, peer = 0, agent = 0] = ports
  const files = writeKrakenFiles(folder, { origin, tracker, buildIndex, testfs: testfs.port })
  const shared = (role: RoleName): string[] => ['--config', files[role], '-cluster', 'test', '--mutex-profile-fraction=0', '--secrets', '']
  const commands: Record<RoleName, string[]> = {
    origin: ['--peer-ip', '127.0.0.1', '--peer-port', `${originPeer}`, '--blobserver-hostname', '127.0.0.1', `--blobserver-port=${origin}`, '--zone', 'zone1', ...shared('origin')],
    tracker: [`-port=${tracker}`, ...shared('tracker')],
    'build-index': ['-port', `${buildIndex}`, ...shared('build-index')],
    proxy: ['-port', `${proxy}`, `--port=${proxyToo}`, '--server-port', `${proxyServer}`, ...shared('proxy')],
    agent: [
      '--peer-ip=127.0.0.1', '--peer-port', `${peer}`, '--agent-server-port', `${agent}`, '-agent-registry-port', `${registry}`, '-zone', 'zone1', ...shared('agent')
    ]
  }

  await t.test('no key is unknown', async t => {
    for (const role of ROLE_NAMES) t.same(ROLES[role].load(commands[role], HOST).warnings, [], role)
  })

  const healthPorts: Record<RoleName, number> = { origin, tracker, 'build-index': buildIndex, proxy, agent: registry }
  const supervisor = new Supervisor(ROLE_NAMES.map(role => ({
    name: role,
    command: process.execPath,
    args: [MAIN, role, ...commands[role]],
    logFile: join(folder, `${role}.log`),
    isHealthy: async (signal: AbortSignal) => await isHealthy(`http://127.0.0.1:${healthPorts[role]}/health`, signal)
  })), () => {})
  t.teardown(async () => { await supervisor.stop() })
  supervisor.start()
  await supervisor.ready({ timeoutMs: START_LIMIT_MS })

  await t.test('every port serves what it should', async t => {
    const body = async (port: number, path: string): Promise<string> => {
      const answer = await call(port, 'GET', path)
      return `${answer.status} ${answer.body.toString()}`
    }
    for (const port of [origin, tracker, buildIndex, proxy, proxyToo, proxyServer]) {
      t.equal(await body(port, '/health'), '200 OK\n')
      t.equal(await body(port, '/readiness'), '200 OK\n')
    }
    for (const port of [registry, agent]) {
      t.equal(await body(port, '/health'), '200 OK')
      t.equal(await body(port, '/readiness'), '200 OK')
    }
    for (const port of [proxy, proxyToo, registry]) t.equal(await body(port, '/v2/'), '200 {}')
    t.equal((await call(proxyServer, 'POST', '/registry/notifications', { body: '{"events":[]}' })).status, 200)
    t.match(await body(origin, '/internal/peercontext'), /"zone":"zone1","cluster":"test","origin":true/)
  })

  await t.test('an image goes through it', async t => {
    const image = await makeImage({ layerBytes: [5_000_000, 10], seed: 701 })
    await pushImage(proxyToo, 'library/app', 'v1', image)
    for (const port of [proxy, registry]) await t.resolves(pullImage(port, 'library/app', 'v1', image))
    t.equal((await call(agent, 'GET', '/tags/library%2Fapp:v1')).body.toString(), image.top.digest)
    t.equal((await call(testfs.port, 'GET', '/list/tags')).status, 200, 'write_through: the tag is in the backend')
  })
})
