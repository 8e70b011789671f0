import { once } from 'node:events'
import { createServer } from 'node:net'
import t from 'tap'
import { checkPorts, freePorts } from '../../../runtime/up/ports.js'

t.test('free ports are different and can be listened on', async t => {
  const ports = await freePorts(20)
  t.equal(new Set(ports).size, 20)
  await t.resolves(checkPorts(ports.map(port => ({ port, use: 'anything' }))))
})

for (const host of ['127.0.0.1', '0.0.0.0']) {
  t.test(`a port taken on ${host} is named, with what to do`, async t => {
    const server = createServer().listen(0, host)
    t.teardown(() => { server.close() })
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const [free = 0] = await freePorts(1)
    await t.rejects(checkPorts([{ port: free, use: 'tracker' }, { port, use: 'origin-1 HTTP' }]), {
      code: 'UNAVAILABLE',
      message: new RegExp(`^nothing was started, because port ${port} \\(origin-1 HTTP\\) is taken\\. .*--port-offset`)
    })
  })
}

t.test('a number that is no port', async t => {
  await t.rejects(checkPorts([{ port: 70_000, use: 'tracker' }]), { code: 'UNAVAILABLE', message: /70000 \(tracker\) is no port/ })
})
