import t from 'tap'
import { finish, seeds } from '../support/sim/seeds.js'
import { SimSwarm, simConfig } from '../support/sim/swarm.js'
import { seededPrng } from '../../runtime/core/prng.js'

for (const seed of seeds(3)) {
  t.test(`40 leechers finish although connections break, pieces are damaged and nodes crash, seed ${seed}`, async t => {
    const swarm = new SimSwarm({
      seed,
      origins: 1 + seed % 3,
      leechers: 40,
      pieceCount: 128,
      faults: { reset: 0.02, corrupt: 0.01 },
      crashes: 8,
      partitions: 1,
      startWithinMs: 500,
      checkEvery: 20
    })
    t.equal(finish(swarm, { faultyMs: 8_000, withinMs: 90_000 }), undefined)
    t.ok(swarm.summary()['sentPerNeeded'] as number < 1.3, `sent ${swarm.summary()['sentPerNeeded']} times what was needed; ${swarm.replayHint}`)
  })
}

for (const seed of seeds(12)) {
  t.test(`a swarm with any mix of faults keeps its invariants and finishes, seed ${seed}`, async t => {
    const draw = seededPrng(seed)
    const swarm = new SimSwarm({
      seed,
      origins: 1 + draw.below(3),
      leechers: 2 + draw.below(16),
      pieceCount: 1 + draw.below(50),
      pieceBytes: draw.below(2) === 0 ? 64 * 1024 : 1024 * 1024,
      startWithinMs: draw.below(2_000),
      faults: { reset: draw.next() * 0.05, corrupt: draw.next() * 0.03 },
      crashes: draw.below(6),
      partitions: draw.below(3),
      liars: { corrupts: draw.below(3), refuses: draw.below(3), silent: draw.below(3), forges: draw.below(4) === 0 ? 1 : 0 },
      config: simConfig({ openConnsMax: 2 + draw.below(10), policy: draw.below(2) === 0 ? 'default' : 'rarest_first' })
    })
    t.equal(finish(swarm, { faultyMs: 10_000, withinMs: 240_000 }), undefined)
  })
}
