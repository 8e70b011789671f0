import t from 'tap'
import { type Reply } from '../../../net/http/engine.js'
import { onlyFrom } from '../../../runtime/agent/allow-list.js'
import { sourceShape } from '../../../runtime/config/sections/allowed.js'
import { fakeRequest } from '../../support/registry/fake-request.js'

const read = (...raw: readonly unknown[]): Parameters<typeof onlyFrom>[0] => raw.flatMap(each => sourceShape().schema.parse(each))

t.test('who may ask', async t => {
  const status = async (sources: Parameters<typeof onlyFrom>[0], remoteAddress: string): Promise<number> => {
    const reply: Reply = await onlyFrom(sources, () => ({ status: 200 }))({ ...fakeRequest('GET', '/v2/'), remoteAddress })
    return reply.status
  }
  const sources = read('127.0.0.1', '10.1.0.0/16', 'fd00::/8', '::1')
  for (const address of ['127.0.0.1', '10.1.0.0', '10.1.255.255', 'fd12::1', '0000:0000:0000:0000:0000:0000:0000:0001']) t.equal(await status(sources, address), 200, address)
  for (const address of ['127.0.0.2', '10.2.0.0', '172.17.0.1', 'fe80::1', '::2']) t.equal(await status(sources, address), 403, address)
  for (const address of ['1.2.3.4', 'fe80::1']) {
    t.equal(await status([], address), 200, 'no list')
    t.equal(await status(read('all'), address), 200, 'all')
  }
})

t.test('what is neither an address nor a network', async t => {
  for (const raw of ['', 'localhost', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/', '10.0.0.0/8/8', '::/129', 5, null, '1'.repeat(100)]) {
    t.throws(() => read(raw), /expected an address or a network/, String(raw))
  }
})
