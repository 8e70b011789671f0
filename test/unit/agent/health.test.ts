import t from 'tap'
import { AgentHealth } from '../../../runtime/agent/health.js'
import { ManualTime } from '../../support/manual-time.js'

t.test('that it was ready is remembered for a while, that it was not is not', async t => {
  const time = new ManualTime()
  let checks = 0
  let isReady = false
  const dependency = {
    checkReadiness: async () => {
      checks++
      if (!isReady) throw new Error('not yet')
    }
  }
  const health = new AgentHealth({
    probe: async () => {}, probeTimeoutMs: 1000, buildIndex: dependency, tracker: dependency, readinessTtlMs: 500, clock: time.clock
  })
  const statuses = async (): Promise<[number, number]> => [(await health.ready()).status, checks]
  t.same(await statuses(), [503, 2])
  isReady = true
  t.same(await statuses(), [200, 4])
  isReady = false
  await time.advance(499)
  t.same(await statuses(), [200, 4])
  await time.advance(1)
  t.same(await statuses(), [503, 6])
})
