import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Ledger } from './ledger.js'
import { digestOf } from '../../runtime/core/digest.js'
import { run } from './run.js'

/* The short form of `npm run faults`. What one of the seeds finds can be looked for again, at length, by command. */

const SEEDS = [7, 11, 42]
const SECONDS_EACH = 6

t.test('the ledger knows what may be read', async t => {
  const ledger = new Ledger()
  const [first, second, third] = [digestOf('1'), digestOf('2'), digestOf('3')]
  ledger.put('a', first, [])()
  ledger.put('a', second, [])
  ledger.read('a')(first, 'x')
  ledger.read('a')(second, 'x')
  t.same(ledger.problems, [], 'a put without an answer may have happened or not')
  const early = ledger.read('a')
  ledger.put('a', third, [])()
  early(first, 'x')
  t.same(ledger.problems, [], 'the read began before')
  ledger.read('a')(second, 'x')
  ledger.read('a')(undefined, 'x')
  ledger.read('unknown')(undefined, 'x')
  t.match(ledger.problems, [/^MOVED BACK/, /^LOST/])
  t.equal(ledger.problems.length, 2)
})

t.test('nothing acknowledged is lost, nothing wrong is sent, no tag moves back', async t => {
  t.comment(`the same faults again: npm run faults -- --seed ${SEEDS.join('|')} --seconds ${SECONDS_EACH}`)
  const dir = mkdtempSync(join(tmpdir(), 'shoal-faults-'))
  t.teardown(() => { rmSync(dir, { recursive: true, force: true }) })
  const report = await run({ seeds: SEEDS, seconds: SECONDS_EACH, dir, say: line => { t.comment(line) } })
  t.comment(`${report.operationCount} operations, ${report.unavailable.length} of them failed although others could stand in`)
  t.ok(report.acknowledgedTags > 0)
  t.ok(report.faultCount > 0)
  t.same(report.problems, [])
})
