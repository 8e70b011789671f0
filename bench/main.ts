import fs from 'node:fs'
import os from 'node:os'
import { parseArgs } from 'node:util'
import { durability } from './durability.bench.js'
import { micro } from './micro.bench.js'
import { transfer } from './transfer.bench.js'
import { type Row, tableOf } from './support/table.js'

/*
 * npm run bench [-- --only micro,durability,transfer] [--smoke] [--json FILE]
 *
 * Every speed is shown as a ratio to a baseline that ran in the same run, since machines differ and this one may be busy.
 */
const BENCHES: Readonly<Record<string, (isSmoke: boolean) => Promise<Row[]>>> = { micro, durability, transfer }

const { values: options } = parseArgs({
  options: { only: { type: 'string' }, smoke: { type: 'boolean', default: false }, json: { type: 'string' } }
})

const wanted = options.only?.split(',') ?? Object.keys(BENCHES)
const unknown = wanted.filter(name => BENCHES[name] === undefined)
if (unknown.length > 0) {
  process.stderr.write(`no bench is called ${unknown.join(', ')}; there are: ${Object.keys(BENCHES).join(', ')}\n`)
  process.exit(2)
}

process.stdout.write(`${os.cpus()[0]?.model ?? 'unknown CPU'}, ${os.availableParallelism()} CPUs, ${os.type()} ${os.release()}, Node.js ${process.version}\n\n`)
const rows: Row[] = []
for (const name of wanted) {
  const measured = await BENCHES[name]?.(options.smoke) ?? []
  rows.push(...measured)
  process.stdout.write(options.smoke ? `${name}: ran\n` : `${tableOf(measured)}\n\n`)
}
if (options.json !== undefined) fs.writeFileSync(options.json, `${JSON.stringify(rows, undefined, 2)}\n`)
