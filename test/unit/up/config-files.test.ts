import { readFileSync } from 'node:fs'
import t from 'tap'
import { ROLES } from '../../../runtime/cli/run-role.js'
import { writeConfigs } from '../../../runtime/up/config-files.js'
import { planPorts } from '../../../runtime/up/layout.js'
import { readyPage } from '../../../runtime/up/page.js'

const HOST = { ip: '10.0.0.1', name: 'host' }
const plan = planPorts({ origins: 3, agents: 2, portOffset: 0 })

t.test('each role loads what is written for it, without a warning', async t => {
  const members = writeConfigs(plan, t.testdir())
  t.same(members.map(({ name }) => name), ['origin-1', 'origin-2', 'origin-3', 'tracker', 'build-index', 'proxy', 'agent-1', 'agent-2'])
  for (const { name, role, configFile, flags } of members) {
    const { warnings, unused } = ROLES[role].load(['--config', configFile, ...flags], HOST)
    t.same({ name, warnings, unused }, { name, warnings: [], unused: [] })
  }
})

t.test('what the roles are told', async t => {
  const dataDir = t.testdir()
  const members = writeConfigs(plan, dataDir)
  const argsOf = (wanted: string): string[] => members.filter(({ name }) => name === wanted).flatMap(({ configFile, flags }) => ['--config', configFile, ...flags])
  const { config: origin } = ROLES.origin.load(argsOf('origin-2'), HOST)
  t.match(origin, {
    peerIp: '127.0.0.1',
    peerPort: 15011,
    hostname: '127.0.0.1',
    port: 15012,
    cluster: 'local',
    members: { static: ['127.0.0.1:15002', '127.0.0.1:15012', '127.0.0.1:15022'] },
    ring: { replicasMax: 2 },
    pieceLengths: [{ minBlobBytes: 0, pieceBytes: 4_194_304 }],
    castore: { uploadDir: `${dataDir}/origin-2/upload`, cacheDir: `${dataDir}/origin-2/cache` }
  })
  const { config: agent } = ROLES.agent.load(argsOf('agent-2'), HOST)
  t.match(agent, {
    peerPort: 17001,
    registryPort: 17000,
    serverPort: 17002,
    tracker: { hosts: { static: ['127.0.0.1:15003'] } },
    buildIndex: { hosts: { static: ['127.0.0.1:15004'] } },
    scheduler: { dispatch: { pieceRequestPolicy: 'rarest_first' } }
  })
  t.match(ROLES.proxy.load(argsOf('proxy'), HOST).config, { ports: [15000], serverPort: 15005 })
  t.match(ROLES.tracker.load(argsOf('tracker'), HOST).config, { handoutPolicy: 'completeness' })
  t.equal(ROLES['build-index'].load(argsOf('build-index'), HOST).config.tagTypes[0]?.type, 'docker')
})

t.test('a single origin owns every blob alone', async t => {
  const [origin] = writeConfigs(planPorts({ origins: 1, agents: 1, portOffset: 0 }), t.testdir())
  t.equal(ROLES.origin.load(['--config', origin?.configFile ?? '', ...origin?.flags ?? []], HOST).config.ring.replicasMax, 1)
})

t.test('a file says how to run its role alone', async t => {
  for (const { role, configFile, flags } of writeConfigs(plan, t.testdir())) {
    t.match(readFileSync(configFile, 'utf8'), `#   shoal ${role} --config ${configFile} ${flags.join(' ')}\n`)
  }
})

t.test('the page names what to paste', async t => {
  const dataDir = t.testdir()
  const page = readyPage({ plan, dataDir, members: writeConfigs(plan, dataDir) }, 'oci:/data/sample:latest', 1_234)
  for (const part of [
    '8 processes, ready in 1.2 s',
    '--dest-tls-verify=false', 'podman push --tls-verify=false', 'docker push 127.0.0.1:15000/', 'docker pull 127.0.0.1:16000/',
    '127.0.0.1:17000', `${dataDir}/logs/`, 'Ctrl-C'
  ]) t.match(page, part)
})
