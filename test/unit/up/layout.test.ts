import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { checkSameOrigins, planPorts, portsOf, readPlan, replacePorts, writePlan } from '../../../runtime/up/layout.js'

const plan = planPorts({ origins: 3, agents: 2, portOffset: 0 })

t.test('the development ports', async t => {
  t.same(plan, {
    proxy: { port: 15000, serverPort: 15005 },
    origins: [{ peerPort: 15001, port: 15002 }, { peerPort: 15011, port: 15012 }, { peerPort: 15021, port: 15022 }],
    tracker: { port: 15003 },
    buildIndex: { port: 15004 },
    agents: [{ registryPort: 16000, peerPort: 16001, serverPort: 16002 }, { registryPort: 17000, peerPort: 17001, serverPort: 17002 }]
  })
  t.equal(planPorts({ origins: 1, agents: 1, portOffset: 1000 }).proxy.port, 16000)
})

t.test('no port is planned twice, however many processes there are', async t => {
  const ports = portsOf(planPorts({ origins: 9, agents: 9, portOffset: 0 })).map(({ port }) => port)
  t.equal(new Set(ports).size, ports.length)
  t.equal(ports.length, 2 + 18 + 2 + 27)
})

t.test('other ports, the same processes', async t => {
  const ports = portsOf(plan).map((_, i) => 40_000 + i)
  t.same(portsOf(replacePorts(plan, ports)).map(({ port }) => port), ports)
})

t.test('a plan is found again', async t => {
  const folder = join(t.testdir(), 'new')
  t.equal(readPlan(folder), undefined, 'a folder that is not there')
  writePlan(folder, plan)
  t.same(readPlan(folder), plan)
})

t.test('an empty folder is a new one', async t => { t.equal(readPlan(t.testdir()), undefined) })

for (const [what, files, message] of [
  ['something else', { 'photo.jpg': '' }, /is not empty and was not made by "shoal up"/],
  ['another version', { 'layout.json': '{"version":2,"plan":{"anything":1}}' }, /has layout 2, made by another version/],
  ['a broken file', { 'layout.json': '{' }, /cannot read .*layout\.json/],
  ['no version', { 'layout.json': '{}' }, /is damaged/],
  ['a plan without origins', { 'layout.json': JSON.stringify({ version: 1, plan: { ...plan, origins: [] } }) }, /is damaged/]
] as const) {
  t.test(`a folder with ${what} is refused`, async t => {
    const folder = t.testdir()
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
    t.throws(() => readPlan(folder), { code: 'CONFIG_INVALID', message })
  })
}

t.test('a folder goes on with the origins that it was made with', async t => {
  t.doesNotThrow(() => { checkSameOrigins(plan, planPorts({ origins: 3, agents: 5, portOffset: 0 }), '/data') })
  t.throws(() => { checkSameOrigins(plan, planPorts({ origins: 2, agents: 2, portOffset: 0 }), '/data') }, {
    code: 'CONFIG_INVALID', message: /ports 15002, 15012, 15022, and now they would be 15002, 15012: .*"--origins 3 --port-offset 0"/
  })
  t.throws(() => { checkSameOrigins(planPorts({ origins: 1, agents: 1, portOffset: 50 }), plan, '/data') }, { message: /"--origins 1 --port-offset 50"/ })
})
