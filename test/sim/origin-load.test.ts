import t from 'tap'
import { finish, seeds } from '../support/sim/seeds.js'
import { SimSwarm } from '../support/sim/swarm.js'

for (const seed of seeds(4)) {
  for (const startWithinMs of [0, 300]) {
    t.test(`two agents that start within ${startWithinMs} ms draw one blob together from two origins, seed ${seed}`, async t => {
      const swarm = new SimSwarm({ seed, origins: 2, leechers: 2, pieceCount: 256, startWithinMs, checkEvery: 10 })
      t.equal(finish(swarm, { faultyMs: 0, withinMs: 30_000 }), undefined)
      t.ok(swarm.originBlobs <= 1.3, `${swarm.originBlobs} blobs; ${swarm.replayHint}`)
      t.ok(swarm.summary()['slowestToIdeal'] as number < 1.3, swarm.replayHint)
    })
  }
  t.test(`a blob of 16 pieces for two agents, seed ${seed}`, async t => {
    const swarm = new SimSwarm({ seed, origins: 2, leechers: 2, pieceCount: 16, pieceBytes: 4 * 1024 * 1024 })
    t.equal(finish(swarm, { faultyMs: 0, withinMs: 30_000 }), undefined)
    t.ok(swarm.originBlobs <= 1.3, `${swarm.originBlobs} blobs; ${swarm.replayHint}`)
  })
  t.test(`40 agents and a blob of one piece: the origins send it a few times, seed ${seed}`, async t => {
    const swarm = new SimSwarm({ seed, origins: 3, leechers: 40, pieceCount: 1, pieceBytes: 1024 * 1024 })
    t.equal(finish(swarm, { faultyMs: 0, withinMs: 10_000 }), undefined)
    t.ok(swarm.originBlobs <= 15, `${swarm.originBlobs} blobs; ${swarm.replayHint}`)
    t.equal(swarm.summary()['sentPerNeeded'], 1, `nothing is sent twice; ${swarm.replayHint}`)
  })
}

for (const seed of seeds(2)) {
  t.test(`40 agents and a blob of 256 pieces, seed ${seed}`, async t => {
    const swarm = new SimSwarm({ seed, origins: 3, leechers: 40, pieceCount: 256, checkEvery: 100 })
    t.equal(finish(swarm, { faultyMs: 0, withinMs: 30_000 }), undefined)
    t.ok(swarm.originBlobs <= 3, `${swarm.originBlobs} blobs; ${swarm.replayHint}`)
    t.ok(swarm.summary()['slowestToIdeal'] as number < 2, `${swarm.summary()['slowestToIdeal']} times the ideal; ${swarm.replayHint}`)
  })
  t.test(`a slow neighbour does not slow a fast agent down, seed ${seed}`, async t => {
    const swarm = new SimSwarm({ seed, origins: 2, leechers: 2, pieceCount: 128, slow: { leechers: 1, bytesPerMs: 5_000 }, checkEvery: 10 })
    const [slow, fast] = swarm.leechers
    const idealMs = 128 * 1024 * 1024 / 100_000
    swarm.runUntil(() => fast?.isVerified === true, { withinMs: 4 * idealMs })
    t.ok((fast?.completedAt ?? Infinity) < 1.6 * idealMs, `${fast?.completedAt} ms; ideal ${idealMs}; ${swarm.replayHint}`)
    t.notOk(slow?.isVerified)
    t.same(swarm.violations, [])
  })
}
