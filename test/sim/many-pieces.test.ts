import t from 'tap'
import { finish, seeds } from '../support/sim/seeds.js'
import { SimSwarm, simConfig } from '../support/sim/swarm.js'

for (const policy of ['default', 'rarest_first'] as const) {
  t.test(`10,000 pieces, policy ${policy}: the work per step does not grow with their number`, async t => {
    const [seed = 1] = seeds(1)
    const stepsOf = (pieceCount: number): { steps: number, cpuMs: number } => {
      const config = simConfig({ policy })
      const swarm = new SimSwarm({ seed, origins: 2, leechers: 4, pieceCount, pieceBytes: 64 * 1024, checkEvery: Infinity, config })
      const before = process.cpuUsage()
      t.equal(finish(swarm, { faultyMs: 0, withinMs: 60_000 }), undefined)
      return { steps: swarm.stepCount, cpuMs: process.cpuUsage(before).user / 1_000 }
    }
    const few = stepsOf(1_000)
    const many = stepsOf(10_000)
    t.ok(many.steps < 15 * few.steps, `${few.steps} steps for 1,000 pieces, ${many.steps} for 10,000`)
    t.comment(`${few.cpuMs.toFixed(0)} ms of CPU for 1,000 pieces, ${many.cpuMs.toFixed(0)} ms for 10,000`)
  })
}
