import t from 'tap'
import { type Manners } from '../support/sim/node.js'
import { finish, seeds } from '../support/sim/seeds.js'
import { SimSwarm } from '../support/sim/swarm.js'

const LEECHERS = 28
const LIARS = 12

/** Against silent peers there is nothing but patience; against forged sums every leecher in the end asks the origins alone. */
for (const [manners, slowestMs] of [['corrupts', 3_000], ['refuses', 3_000], ['silent', 12_000], ['forges', 40_000]] as Array<[Manners, number]>) {
  for (const seed of seeds(2)) {
    t.test(`three peers in ten are there that claim everything and ${manners === 'silent' ? 'never answer' : manners}, seed ${seed}`, async t => {
      const swarm = new SimSwarm({ seed, origins: 2, leechers: LEECHERS, pieceCount: 64, liars: { [manners]: LIARS }, checkEvery: 20 })
      t.equal(finish(swarm, { faultyMs: 0, withinMs: 120_000 }), undefined)
      const slowest = swarm.summary()['slowestMs'] ?? NaN
      t.ok(slowest < slowestMs, `the slowest took ${slowest} ms; ${swarm.replayHint}`)
      t.ok(swarm.leechers.every(node => node.forged.size === 0), `a false piece is left; ${swarm.replayHint}`)
    })
  }
}
