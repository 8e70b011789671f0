import t from 'tap'
import { SimSwarm } from '../support/sim/swarm.js'

t.test('the same seed does the same, step for step; another seed does not', async t => {
  const traceOf = (seed: number): string => {
    const lines: string[] = []
    const swarm = new SimSwarm({
      seed, leechers: 6, pieceCount: 20, crashes: 2, partitions: 1, faults: { reset: 0.05, corrupt: 0.05 }, trace: line => { lines.push(line) }
    })
    swarm.run({ forMs: 5_000 })
    return lines.join('\n')
  }
  const first = traceOf(7)
  t.ok(first.length > 1_000)
  t.equal(traceOf(7), first)
  t.not(traceOf(8), first)
})

t.test('a broken invariant stops the run and names the seed', async t => {
  const swarm = new SimSwarm({ seed: 3, leechers: 2, pieceCount: 4 })
  swarm.violations.push('something is wrong')
  t.notOk(swarm.runUntil(s => s.allComplete, { withinMs: 10_000 }))
  t.match(swarm.replayHint, '--seed 3')
})
