import fc from '../../support/fc.js'
import t from 'tap'
import { type Millis } from '../../../runtime/core/clock.js'
import { RateLimit } from '../../../runtime/proxy/rate-limit.js'

const at = (ms: number): Millis => ms as Millis
const admitted = (limit: RateLimit, count: number, ms: number): number =>
  Array.from({ length: count }, () => limit.admits('10.0.0.1', at(ms))).filter(isAdmitted => isAdmitted).length

t.test('a burst on top of one, then as many as time allows', async t => {
  const limit = new RateLimit({ perSecond: 100, burst: 20 })
  t.equal(admitted(limit, 130, 0), 21)
  t.equal(admitted(limit, 1, 9), 0)
  t.equal(admitted(limit, 5, 10), 1, 'one every 10 ms')
  t.equal(admitted(limit, 50, 1000), 21, 'a pause gives no more than the burst back')
})

t.test('addresses do not share', async t => {
  const limit = new RateLimit({ perSecond: 1, burst: 0 })
  t.same(['a', 'b', 'a'].map(address => limit.admits(address, at(0))), [true, true, false])
})

t.test('the address that asked least lately is forgotten', async t => {
  const limit = new RateLimit({ perSecond: 1, burst: 0, addressesMax: 2 })
  t.same(['a', 'b', 'c', 'b', 'a'].map(address => limit.admits(address, at(0))), [true, true, true, false, true])
})

t.test('over any time no more get through than the burst, one, and what time allows', async () => {
  fc.assert(fc.property(fc.array(fc.nat(50), { maxLength: 200 }), gaps => {
    const limit = new RateLimit({ perSecond: 100, burst: 5 })
    let now = 0
    let count = 0
    for (const gap of gaps) {
      now += gap
      if (limit.admits('a', at(now))) count++
    }
    return count <= 6 + now / 10
  }))
})
