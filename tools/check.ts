import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/*
 * `npm run check`: everything that can be said about the source without running it.
 *   node dist/tools/check.js
 */

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

interface Check { readonly name: string, readonly command: string, readonly args: readonly string[] }

const CHECKS: readonly Check[] = [
  { name: 'types', command: bin('tsc'), args: ['--project', '.', '--noEmit', '--pretty', 'false'] },
  { name: 'lint', command: bin('eslint'), args: ['--max-warnings', '0', '.'] },
  { name: 'import direction', command: process.execPath, args: [join(root, 'dist', 'tools', 'check-imports.js')] }
]

function bin (name: string): string { return join(root, 'node_modules', '.bin', name) }

/** Runs one check and prints its name, its time and, if it fails, what it said. True if it passed. */
async function passes ({ name, command, args }: Check): Promise<boolean> {
  const started = performance.now()
  const { isOk, output } = await run(command, args)
  const took = ((performance.now() - started) / 1000).toFixed(1)
  console.log(`${isOk ? 'ok    ' : 'NOT OK'} ${name} (${took} s)`)
  if (!isOk) console.log(output.trimEnd())
  return isOk
}

async function run (command: string, args: readonly string[]): Promise<{ isOk: boolean, output: string }> {
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output += text })
  return new Promise(resolve => {
    child.on('error', error => { resolve({ isOk: false, output: `${command}: ${error.message}` }) })
    child.on('close', code => { resolve({ isOk: code === 0, output }) })
  })
}

const results = await Promise.all(CHECKS.map(passes))
const failed = results.filter(isOk => !isOk).length
console.log(`${results.length - failed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
