import t from 'tap'
import { affinity, affinitySeed } from '../../../runtime/torrent/affinity.js'
import { peerId } from '../../support/lone-scheduler.js'

t.test('every peer is drawn the most to about the same number of pieces', async t => {
  const seeds = ['a', 'b', 'c', 'd'].map(name => affinitySeed(peerId(name)))
  const owned = seeds.map(() => 0)
  for (let piece = 0; piece < 4_000; piece++) {
    const drawn = seeds.map(seed => affinity(seed, piece))
    const winner = drawn.indexOf(Math.max(...drawn))
    owned[winner] = (owned[winner] ?? 0) + 1
  }
  for (const count of owned) t.ok(count > 900 && count < 1_100, `${count} of 4000`)
})

t.test('the numbers are unsigned and depend on the whole id', async t => {
  const id = peerId('a')
  const last = (id.slice(0, 39) + (id.endsWith('0') ? '1' : '0')) as typeof id
  t.not(affinitySeed(id), affinitySeed(last))
  for (let piece = 0; piece < 100; piece++) {
    const drawn = affinity(affinitySeed(id), piece)
    t.ok(Number.isInteger(drawn) && drawn >= 0 && drawn <= 0xffff_ffff)
  }
})
