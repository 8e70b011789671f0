import t from 'tap'
import { type Millis } from '../../../runtime/core/clock.js'
import { type Prng } from '../../../runtime/core/prng.js'
import { OriginRestraint } from '../../../runtime/torrent/origin-restraint.js'

const at = (ms: number): Millis => ms as Millis
/** No chance: patience is 100 ms for small pieces. */
const prng: Prng = { next: () => 0, below: () => 0 }
const PIECE_BYTES = 20

t.test('first origins are spared, then after some patience they are not', async t => {
  const restraint = new OriginRestraint(PIECE_BYTES)
  t.notOk(restraint.allows(at(0), false, prng))
  t.notOk(restraint.allows(at(100), false, prng))
  t.ok(restraint.allows(at(102), false, prng))
  t.ok(restraint.allows(at(1_000), false, prng))
})

t.test('while origins still owe us our share nothing is lost by waiting', async t => {
  const restraint = new OriginRestraint(PIECE_BYTES)
  t.notOk(restraint.allows(at(0), true, prng))
  t.notOk(restraint.allows(at(5_000), true, prng))
  t.ok(restraint.allows(at(5_001), false, prng))
})

/** Ten pieces in ten milliseconds each, with the origins' help; then they are spared. */
function measured (): OriginRestraint {
  const restraint = new OriginRestraint(PIECE_BYTES)
  for (let ms = 0; ms <= 100; ms += 10) restraint.stored(at(ms), ms % 20 === 0, true, prng)
  restraint.allows(at(100), false, prng)
  t.ok(restraint.isHeld)
  t.equal(restraint.gapMs, 10)
  return restraint
}

t.test('agents that deliver a fifth as fast as all did before keep the origins spared', async t => {
  const restraint = measured()
  for (let ms = 150; ms <= 5_000; ms += 50) {
    restraint.stored(at(ms), false, false, prng)
    t.notOk(restraint.allows(at(ms), false, prng), `at ${ms}`)
  }
})

t.test('agents that deliver at a tenth of the speed do not', async t => {
  const restraint = measured()
  let freeAt = 0
  for (let ms = 200; ms <= 5_000 && freeAt === 0; ms += 100) {
    restraint.stored(at(ms), false, false, prng)
    if (restraint.allows(at(ms), false, prng)) freeAt = ms
  }
  t.ok(freeAt > 200 && freeAt < 3_000, `free at ${freeAt}`)
})

t.test('where pieces take long, the agents are waited for longer', async t => {
  const restraint = new OriginRestraint(PIECE_BYTES)
  for (let ms = 0; ms <= 1_000; ms += 100) restraint.stored(at(ms), true, true, prng)
  t.equal(restraint.gapMs, 100)
  t.notOk(restraint.allows(at(1_000), false, prng))
  t.notOk(restraint.allows(at(2_599), false, prng), 'sixteen times what a piece took')
  t.ok(restraint.allows(at(2_600), false, prng))
})

t.test('each vain attempt to spare them is followed by a longer time in which they are not', async t => {
  const restraint = new OriginRestraint(PIECE_BYTES)
  let now = 0
  const free: number[] = []
  for (let round = 0; round < 6; round++) {
    while (!restraint.allows(at(now), false, prng)) now++
    const since = now
    while (restraint.allows(at(now), false, prng)) now++
    free.push(now - since)
  }
  t.same(free, [1_000, 2_000, 4_000, 8_000, 16_000, 16_000])
})

t.test('after ten seconds the speed with their help is measured anew', async t => {
  const restraint = measured()
  let freeAt = 0
  for (let ms = 110; ms <= 20_000 && freeAt === 0; ms += 10) {
    restraint.stored(at(ms), false, false, prng)
    if (restraint.allows(at(ms), false, prng)) freeAt = ms
  }
  t.equal(freeAt, 10_100)
})
