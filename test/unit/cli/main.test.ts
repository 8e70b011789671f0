import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { version } from '../../../runtime/cli/version.js'

const MAIN = fileURLToPath(new URL('../../../runtime/main.js', import.meta.url))

interface Outcome { readonly code: number | string | null | undefined, readonly out: string, readonly err: string }

async function shoal (...args: string[]): Promise<Outcome> {
  return await new Promise(resolve => {
    execFile(process.execPath, [MAIN, ...args], (error, out, err) => { resolve({ code: error === null ? 0 : error.code, out, err }) })
  })
}

t.test('version and help', async t => {
  t.same(await shoal('version'), { code: 0, out: `${version()}\n`, err: '' })
  t.match(version(), /^\d+\.\d+\.\d+/)
  const [help, bare, flag] = await Promise.all([shoal('help'), shoal(), shoal('--help')])
  t.match(help, { code: 0, err: '' })
  t.match(help.out, /shoal up/)
  t.same(bare, help)
  t.same(flag, help)
})

t.test('a command that nobody knows', async t => {
  const { code, out, err } = await shoal('swim')
  t.equal(code, 2)
  t.equal(out, '')
  t.match(err, /^unknown command: swim\n/)
})

t.test('a command line that cannot be used prints the usage and exits 2', async t => {
  const lines = [['agent', '--peerport', '1'], ['up', '--agents', 'many'], ['config', 'check', 'agent']]
  for (const { code, err } of await Promise.all(lines.map(async line => await shoal(...line)))) {
    t.equal(code, 2)
    t.match(err, /Usage/)
  }
  t.match(await shoal('tracker', '--help'), { code: 0, out: /^Usage of shoal tracker:\n/ })
})

t.test('a start that fails says why in one line and exits 1', async t => {
  const [noConfig, noFile, manyAgents] = await Promise.all([
    shoal('tracker', '--port', '1'), shoal('tracker', '--port', '1', '--config', '/nowhere.yaml'), shoal('up', '--agents', '99')
  ])
  t.same(noConfig, { code: 1, out: '', err: 'shoal tracker: --config is required: the YAML file of this role\n' })
  t.match(noFile, { code: 1, err: /^shoal tracker: cannot read the configuration: .*nowhere\.yaml.*\n$/ })
  t.match(manyAgents, { code: 1, err: 'shoal up: --agents 99 is out of range: expected 1 to 9\n' })
})

t.test('config check', async t => {
  const folder = t.testdir({
    'good.yaml': 'peerhandoutpolicy: {priority: default}\norigin: {hosts: {static: [a:1]}}\nnginx: {name: x}\ncolor: red\n',
    'bad.yaml': 'peerhandoutpolicy: {priority: best}\norigin: {hosts: {static: [a:1]}}\n'
  })
  const [good, bad] = await Promise.all(['good.yaml', 'bad.yaml'].map(async name => await shoal('config', 'check', 'tracker', join(folder, name))))
  t.match(good, { code: 0, out: /^warning: .*good\.yaml:4: color is no key .*\nwithout effect: nginx\n.*good\.yaml is fine for a tracker\.\n$/ })
  t.match(bad, { code: 1, err: /bad\.yaml:1: peerhandoutpolicy\.priority: expected default or completeness, got "best"\n$/ })
})
