import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { run } from './run.js'

/*
 * Kills, freezes and robs a cluster while clients use it, and checks that nothing acknowledged is lost.
 *   npm run faults -- --seed N --seconds S [--partitions] [--keep]
 * The same seed gives the same faults in the same order; when they strike depends on the machine. --keep leaves the data
 * and the logs of all processes where they are. --partitions also cuts members off, for which it needs root and iptables.
 */

const { values } = parseArgs({ options: { seed: { type: 'string' }, seconds: { type: 'string', default: '60' }, keep: { type: 'boolean', default: false }, partitions: { type: 'boolean', default: false } } })
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
const seconds = Number(values.seconds)
if (!Number.isSafeInteger(seed) || !(seconds > 0)) throw new Error('usage: npm run faults -- --seed N --seconds S')

/** By then every blob has to be on two origins again, after all are back. */
const COPIES_LIMIT_MS = 60_000

const startedAt = performance.now()
const say = (line: string): void => { console.log(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(7)} s  ${line}`) }
const dir = mkdtempSync(join(tmpdir(), 'shoal-faults-'))
say(`seed ${seed}, ${seconds} s, in ${dir}`)
const report = await run({ seeds: [seed], seconds, dir, say, canCutOff: values.partitions })
for (const line of report.unavailable) say(`failed: ${line}`)
for (const line of report.problems) say(line)
for (const { kind, count, medianMs, p99Ms, maxMs } of report.times) say(`${kind.padEnd(22)} ${String(count).padStart(5)} times, median ${medianMs} ms, p99 ${p99Ms} ms, max ${maxMs} ms`)
say(`${report.operationCount} operations, ${report.faultCount} faults, ${report.acknowledgedTags} tags acknowledged, ${report.problems.length} promises broken; ` +
  `${report.unavailable.length} failed although others could stand in; seed ${seed}`)
if (!values.keep) rmSync(dir, { recursive: true, force: true })
process.exit(report.problems.length === 0 && report.healedMsMax <= COPIES_LIMIT_MS ? 0 : 1)
