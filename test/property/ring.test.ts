import { isDeepStrictEqual } from 'node:util'
import fc from '../support/fc.js'
import t from 'tap'
import { parseDigest } from '../../runtime/core/digest.js'
import { contestOf, orderByScore, rankOf } from '../../runtime/ring/rendezvous.js'
import { Ring } from '../../runtime/ring/ring.js'

const members = fc.uniqueArray(fc.tuple(fc.domain(), fc.integer({ min: 1, max: 65535 })).map(([host, port]) => `${host}:${port}`), { minLength: 1, maxLength: 12 })
const digest = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(sum => parseDigest(`sha256:${Buffer.from(sum).toString('hex')}`))

/** Scores in floating point, as the reference computes them. */
function oracleOrder (members: readonly string[], digest: string): string[] {
  const key = Buffer.from(digest.slice(7, 11), 'hex')
  const scored = members.map(member => ({ member, score: -100 / Math.log(rankOf(contestOf(key, member)) / 2 ** 53) }))
  return scored.sort((a, b) => b.score - a.score).map(({ member }) => member)
}

t.test('the order of ranks is the order of scores', async () => {
  fc.assert(fc.property(members, digest, (members, digest) =>
    isDeepStrictEqual(new Ring(members).ownersOf(digest), oracleOrder(members, digest))
  ), { numRuns: 300 })
})

t.test('equal weights give the order of the ring', async () => {
  fc.assert(fc.property(members, digest, (members, digest) => {
    const key = Buffer.from(digest.slice(7, 11), 'hex')
    const ordered = orderByScore(key, members.map(label => ({ label, weight: 100 }))).map(({ label }) => label)
    return isDeepStrictEqual(ordered, new Ring(members).ownersOf(digest))
  }))
})

t.test('locations are owners in order, healthy if anybody is, and never none', async () => {
  fc.assert(fc.property(members, digest, fc.infiniteStream(fc.boolean()), fc.integer({ min: 1, max: 5 }), (members, digest, health, replicasMax) => {
    const healthy = new Set(members.filter(() => health.next().value === true))
    const ring = new Ring(members)
    const owners = ring.ownersOf(digest)
    const locations = ring.locationsOf(digest, member => healthy.has(member), replicasMax)
    const positions = locations.map(location => owners.indexOf(location))
    return locations.length >= 1 && locations.length <= replicasMax &&
      positions.every((position, i) => position > (positions[i - 1] ?? -1)) &&
      (healthy.size === 0 ? locations[0] === owners[0] : locations.every(location => healthy.has(location)))
  }), { numRuns: 300 })
})

t.test('a member that joins takes shards and moves none between the others', async () => {
  fc.assert(fc.property(members, digest, (members, digest) => {
    const before = new Ring(members.slice(1)).ownersOf(digest)
    return isDeepStrictEqual(new Ring(members).ownersOf(digest).filter(owner => owner !== members[0]), before)
  }))
})
