import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { SimSwarm, simConfig } from '../test/support/sim/swarm.js'

/*
 * Runs one swarm in virtual time and prints how it went; --seed repeats a run step for step.
 *   node dist/tools/sim.js [--seed N] [--origins 3] [--leechers 40] [--pieces 256] ... [--trace]
 */

const NUMBERS = {
  seed: 'what decides all chance; random if left out',
  origins: 'nodes that have the blob from the start',
  leechers: 'nodes that want it',
  pieces: 'pieces of the blob',
  'piece-bytes': 'size of a piece',
  'bytes-per-ms': 'bandwidth of each node, each way',
  slow: 'leechers that have less bandwidth than that',
  'slow-bytes-per-ms': 'bandwidth of those',
  latency: 'milliseconds from node to node',
  'start-within': 'milliseconds in which the leechers start',
  reset: 'chance that a connection breaks while it sends a piece',
  corrupt: 'chance that a piece is damaged on its way',
  crashes: 'nodes that crash and come back',
  partitions: 'times that half of the nodes cannot hear the other half',
  corrupts: 'additional nodes that send damaged pieces',
  forges: 'additional nodes that send pieces with a false content and the right sum',
  refuses: 'additional nodes that claim to have everything and refuse',
  silent: 'additional nodes that claim to have everything and never answer',
  'open-conns': 'connections per node',
  within: 'milliseconds after which the run is given up'
} as const
const FALLBACK: Record<keyof typeof NUMBERS, number> = {
  seed: 0,
  origins: 3,
  leechers: 40,
  pieces: 256,
  'piece-bytes': 1024 * 1024,
  'bytes-per-ms': 100_000,
  slow: 0,
  'slow-bytes-per-ms': 5_000,
  latency: 0.5,
  'start-within': 0,
  reset: 0,
  corrupt: 0,
  crashes: 0,
  partitions: 0,
  corrupts: 0,
  forges: 0,
  refuses: 0,
  silent: 0,
  'open-conns': 10,
  within: 600_000
}

function main (args: readonly string[]): number {
  const names = Object.keys(NUMBERS) as Array<keyof typeof NUMBERS>
  const options: Record<string, { type: 'string' | 'boolean' }> = Object.fromEntries(names.map(name => [name, { type: 'string' }]))
  const { values }: { values: Record<string, unknown> } = parseArgs({ args: [...args], options: { ...options, trace: { type: 'boolean' }, help: { type: 'boolean' } } })
  if (values['help'] === true) {
    console.log(`sim [options]\n${names.map(name => `  --${name.padEnd(14)} ${NUMBERS[name]} (${name === 'seed' ? 'random' : FALLBACK[name]})`).join('\n')}\n  --trace          print everything that happens`)
    return 0
  }
  const read = (name: keyof typeof NUMBERS): number => {
    const text = values[name]
    if (typeof text !== 'string') return name === 'seed' ? randomInt(1_000_000) : FALLBACK[name]
    const n = Number(text)
    if (text === '' || !Number.isFinite(n) || n < 0) throw new Error(`--${name} must be a number of 0 or more, not "${text}"`)
    return n
  }
  const swarm = new SimSwarm({
    seed: read('seed'),
    origins: read('origins'),
    leechers: read('leechers'),
    pieceCount: read('pieces'),
    pieceBytes: read('piece-bytes'),
    bytesPerMs: read('bytes-per-ms'),
    slow: { leechers: read('slow'), bytesPerMs: read('slow-bytes-per-ms') },
    latencyMs: read('latency'),
    startWithinMs: read('start-within'),
    faults: { reset: read('reset'), corrupt: read('corrupt') },
    crashes: read('crashes'),
    partitions: read('partitions'),
    liars: { corrupts: read('corrupts'), forges: read('forges'), refuses: read('refuses'), silent: read('silent') },
    config: simConfig({ openConnsMax: read('open-conns') }),
    checkEvery: 50,
    trace: values['trace'] === true ? line => { console.log(line) } : undefined
  })
  const isDone = swarm.runUntil(s => s.allComplete, { withinMs: read('within') })
  console.log(swarm.replayHint)
  for (const [name, value] of Object.entries(swarm.summary())) console.log(`  ${name.padEnd(16)} ${value}`)
  for (const violation of swarm.violations) console.log(`VIOLATION ${violation}`)
  if (!isDone) console.log('NOT FINISHED: some leechers lack pieces')
  return isDone && swarm.violations.length === 0 ? 0 : 1
}

try {
  process.exitCode = main(process.argv.slice(2))
} catch (error) {
  console.error(`sim: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 2
}
