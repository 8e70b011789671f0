import t from 'tap'
import { isPeerId, makePeerId, parsePeerId } from '../../../runtime/core/peer-id.js'

t.test('parsing takes 40 hex characters of either case', async t => {
  t.equal(parsePeerId('AbCdEf0123'.repeat(4)), 'abcdef0123'.repeat(4))
  for (const text of ['', 'ab', 'ab'.repeat(21), 'xy'.repeat(20), 'ab'.repeat(20) + '\n']) {
    t.notOk(isPeerId(text))
    t.throws(() => parsePeerId(text), { code: 'PARAMETER_INVALID' })
  }
})

t.test('by address it is the same every time, and different for each port', async t => {
  t.equal(makePeerId('addr_hash', '10.0.0.1', 16001), makePeerId('addr_hash', '10.0.0.1', 16001))
  t.not(makePeerId('addr_hash', '10.0.0.1', 16001), makePeerId('addr_hash', '10.0.0.1', 16002))
})

t.test('a random one is new every time', async t => {
  const [one, other] = [makePeerId('random', '10.0.0.1', 16001), makePeerId('random', '10.0.0.1', 16001)]
  t.ok(isPeerId(one))
  t.not(one, other)
})
