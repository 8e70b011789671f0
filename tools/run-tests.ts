import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { TapDigest } from './tap-digest.js'

/*
 * Runs the compiled tests through tap and says in one plain line how they went.
 *   node dist/tools/run-tests.js [--real] [filter ...]
 * A filter is any part of a test's path, of the source or the compiled one. --real runs the suites below test/real
 * instead, which need other programs installed and more time.
 */

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const TESTS = 'dist/test'
const REAL_SUITES = `${TESTS}/real/`
/** Suites that start many processes or drive other programs have the machine to themselves: one after the other. */
const HEAVY_SUITES = [`${TESTS}/e2e/`, `${TESTS}/faults/`, `${TESTS}/hostile/`, REAL_SUITES]
const HEAVY_OPTIONS = ['--jobs=1', '--timeout=600']

/** The test files that `filters` select, by their paths from the root; all of them if there is no filter. */
export function selectTests (paths: readonly string[], filters: readonly string[], wantsReal: boolean): string[] {
  const wanted = filters.map(filter => filter.replace(/^\.\//, '').replace(/\.ts$/, '.js'))
  return paths
    .filter(path => path.endsWith('.test.js') && path.startsWith(REAL_SUITES) === wantsReal)
    .filter(path => wanted.length === 0 || wanted.some(filter => path.includes(filter)))
    .sort()
}

function listFiles (folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map(name => relative(root, join(folder, name)).split(sep).join('/'))
}

/** Runs the light files side by side and the heavy ones one by one, prints the totals, and resolves to the number of failures. */
async function runAll (files: readonly string[]): Promise<number> {
  const isHeavy = (path: string): boolean => HEAVY_SUITES.some(suite => path.startsWith(suite))
  const totals = { passed: 0, failed: 0, skipped: 0 }
  for (const [group, options] of [[files.filter(path => !isHeavy(path)), []], [files.filter(isHeavy), HEAVY_OPTIONS]] as const) {
    if (group.length === 0) continue
    const { passed, failed, skipped } = await runTap(group, options)
    totals.passed += passed
    totals.failed += failed
    totals.skipped += skipped
  }
  if (totals.skipped > 0) console.log(`${totals.skipped} skipped or still to be written`)
  console.log(`${totals.passed} passed, ${totals.failed} failed`)
  return totals.failed
}

/** Runs tap and prints what it says in short. */
async function runTap (files: readonly string[], options: readonly string[]): Promise<{ passed: number, failed: number, skipped: number }> {
  const tap = join(root, 'node_modules', '.bin', 'tap')
  const child = spawn(tap, ['run', '--reporter=tap', '--no-color', ...options, ...files], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise<string>(resolve => {
    child.on('error', error => { resolve(`could not be started: ${error.message}`) })
    child.on('close', (code, signal) => { resolve(code === 0 ? '' : `ended with ${signal ?? `exit code ${code}`}`) })
  })
  const digest = new TapDigest(line => { console.log(line) })
  for await (const line of createInterface({ input: child.stdout, crlfDelay: Infinity })) digest.line(line)
  return digest.end(await ended, files.length)
}

async function main (args: readonly string[]): Promise<number> {
  const wantsReal = args.includes('--real')
  const unknown = args.find(arg => arg.startsWith('-') && arg !== '--real')
  const filters = args.filter(arg => !arg.startsWith('-'))
  const files = selectTests(listFiles(join(root, TESTS)), filters, wantsReal)
  if (unknown === undefined && files.length > 0) return await runAll(files)
  console.error(unknown === undefined ? `no test matches ${filters.join(' ') || 'at all'}` : `unknown option ${unknown}; there is only --real`)
  console.log('0 passed, 1 failed')
  return 1
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main(process.argv.slice(2)) === 0 ? 0 : 1
