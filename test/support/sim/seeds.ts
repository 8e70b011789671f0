import { randomInt } from 'node:crypto'
import { type SimSwarm } from './swarm.js'

/** Seeds that never change, so that a regression shows, and one that is new in every run, so that new ground is covered. */
export function seeds (count: number): number[] {
  return [...Array.from({ length: count - 1 }, (_, i) => i + 1), randomInt(1_000_000)]
}

/** Runs with all faults, then without, until every leecher is done; returns why that failed, or undefined. */
export function finish (swarm: SimSwarm, limits: { faultyMs: number, withinMs: number }): string | undefined {
  if (limits.faultyMs > 0) {
    swarm.run({ forMs: limits.faultyMs })
    swarm.heal()
  }
  const isComplete = swarm.runUntil(s => s.allComplete, { withinMs: limits.withinMs })
  if (swarm.violations.length > 0) return `${swarm.violations.join('\n')}\n${swarm.replayHint}`
  if (!isComplete) return `some leechers lack pieces: ${JSON.stringify(swarm.summary())}\n${swarm.replayHint}`
  const loud = swarm.leechers.filter(node => node.generation === 1 && node.completeAnnounces !== 1)
  return loud.length === 0 ? undefined : `${loud.map(node => node.host.name).join()} did not announce completion once\n${swarm.replayHint}`
}
