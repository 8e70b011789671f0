import { createHash } from 'node:crypto'
import t from 'tap'
import { digestOf, parseDigest, shardKey, type Digest } from '../../runtime/core/digest.js'
import { HIGH, LOW, murmur3, newWord } from '../../runtime/ring/murmur3.js'
import { contestOf, orderByScore, rankOf, rankOfHash, scoreOf } from '../../runtime/ring/rendezvous.js'
import { Ring } from '../../runtime/ring/ring.js'
import {
  FIVE_ORIGINS, FIVE_ORIGINS_FIRST_OWNERS, FIVE_ORIGINS_LOCATIONS, FIVE_ORIGINS_RANKS, FIVE_ORIGINS_ROWS, HASHES, REHASHED, TABLES,
  THREE_ORIGINS, THREE_ORIGINS_ROWS, TRACKERS, TRACKERS_ROWS, VOLUMES, VOLUMES_ROWS, VOLUMES_WINS
} from './vectors/ring.js'

const WEIGHT = 100

function digestInShard (shard: string): Digest { return parseDigest(`sha256:${shard}${'0'.repeat(60)}`) }

function contest (shard: string, label: string): Uint8Array { return contestOf(Buffer.from(shard, 'hex'), label) }

function hashOf (bytes: Uint8Array): string {
  const word = newWord()
  murmur3(bytes, word)
  return [word[HIGH], word[LOW]].map(half => (half ?? 0).toString(16).padStart(8, '0')).join('')
}

/** Logarithms may differ in their last bit between languages. */
function isNear (a: number, b: number): boolean { return Math.abs(a - b) <= Math.abs(b) * 1e-13 }

for (const vector of HASHES) {
  t.test(`the hash of ${vector.key} ${JSON.stringify(vector.text)}`, async t => {
    t.equal(hashOf(contest(vector.key, vector.text)), vector.hash)
    if ('rank' in vector) t.equal(rankOf(contest(vector.key, vector.text)), vector.rank)
  })
}

for (const { high, low, rank } of REHASHED) {
  t.test(`a hash of ${high.toString(16)} and 53 zero bits is hashed again`, async t => {
    const word = newWord()
    word[HIGH] = high
    word[LOW] = low
    t.equal(rankOfHash(word), Number.parseInt(rank, 16))
  })
}

for (const { content, shard, order, scores } of FIVE_ORIGINS_ROWS) {
  t.test(`five origins for ${JSON.stringify(content)}`, async t => {
    const digest = digestOf(content)
    const owners = new Ring(FIVE_ORIGINS).ownersOf(digest)
    t.equal(Buffer.from(shardKey(digest)).toString('hex'), shard)
    t.same(owners, order.map(n => `origin${n}:15002`))
    for (const [i, owner] of owners.entries()) {
      const score = scoreOf(rankOf(contest(shard, owner)), WEIGHT)
      t.ok(isNear(score, scores[i] ?? 0), `${owner}: ${score}`)
    }
  })
}

t.test('the ranks of five origins', async t => {
  t.same(FIVE_ORIGINS.map(origin => rankOf(contest('e3b0', origin))), FIVE_ORIGINS_RANKS)
})

for (const { healthy, replicasMax, locations } of FIVE_ORIGINS_LOCATIONS) {
  t.test(`locations of shard e3b0 with ${healthy.length === 0 ? 'nobody' : healthy.join()} healthy, at most ${replicasMax}`, async t => {
    const isHealthy = (member: string): boolean => healthy.some(n => member === `origin${n}:15002`)
    t.same(new Ring(FIVE_ORIGINS).locationsOf(digestInShard('e3b0'), isHealthy, replicasMax), locations.map(n => `origin${n}:15002`))
  })
}

for (const { shard, order, hashes } of THREE_ORIGINS_ROWS) {
  t.test(`three origins for shard ${shard}`, async t => {
    const owners = new Ring(THREE_ORIGINS).ownersOf(digestInShard(shard))
    t.same(owners, order.map(n => `10.0.0.${n}:80`))
    t.same(owners.map(owner => hashOf(contest(shard, owner))), hashes)
  })
}

t.test('the whole tables', async t => {
  for (const { members, sha256 } of TABLES) {
    const ring = new Ring(members)
    const hash = createHash('sha256')
    for (let i = 0; i < 65_536; i++) {
      const shard = i.toString(16).padStart(4, '0')
      hash.update(`${shard} ${ring.ownersOf(digestInShard(shard)).join(',')}\n`)
    }
    t.equal(hash.digest('hex'), sha256, `${members.length} members`)
  }
})

t.test('how many shards each of five origins owns first', async t => {
  const ring = new Ring(FIVE_ORIGINS)
  const counts = new Map<string, number>()
  for (let i = 0; i < 65_536; i++) {
    const [first = ''] = ring.ownersOf(digestInShard(i.toString(16).padStart(4, '0')))
    counts.set(first, (counts.get(first) ?? 0) + 1)
  }
  t.same(FIVE_ORIGINS.map(origin => counts.get(origin)), FIVE_ORIGINS_FIRST_OWNERS)
})

for (const { key, winner, scores } of VOLUMES_ROWS) {
  t.test(`volumes for key ${key}`, async t => {
    const order = orderByScore(Buffer.from(key, 'hex'), VOLUMES)
    t.equal(order[0]?.label, winner)
    for (const [i, { label, weight }] of order.entries()) {
      const score = scoreOf(rankOf(contest(key, label)), weight)
      t.ok(isNear(score, scores[i] ?? 0), `${label}: ${score}`)
    }
  })
}

t.test('how many keys each volume wins', async t => {
  const wins: Record<string, number> = {}
  for (let i = 0; i < 256; i++) {
    const [first] = orderByScore(Uint8Array.of(i), VOLUMES)
    if (first !== undefined) wins[first.label] = (wins[first.label] ?? 0) + 1
  }
  t.same(wins, VOLUMES_WINS)
})

for (const { shard, order } of TRACKERS_ROWS) {
  t.test(`trackers for shard ${shard}`, async t => {
    t.same(new Ring(Object.values(TRACKERS)).ownersOf(digestInShard(shard)), order.map(([name]) => TRACKERS[name]))
    for (const [name, hash, score] of order) {
      t.equal(hashOf(contest(shard, TRACKERS[name])), hash)
      t.equal(scoreOf(rankOf(contest(shard, TRACKERS[name])), WEIGHT).toFixed(6), score.toFixed(6))
    }
  })
}
