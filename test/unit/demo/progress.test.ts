import t from 'tap'
import { Progress } from '../../../runtime/demo/progress.js'

const MIB = 1024 * 1024

function screen (isTTY: boolean): { written: string[], isTTY: boolean, write: (text: string) => void } {
  const written: string[] = []
  return { written, isTTY, write: text => { written.push(text) } }
}

t.test('a plain line at each quarter, once', async t => {
  const out = screen(false)
  const grow = new Progress(out).add('agent-1', 100)
  for (let i = 0; i < 100; i++) grow(1)
  t.same(out.written, [25, 50, 75, 100].map(percent => `  agent-1: ${percent} %\n`))
})

t.test('a jump says where it landed', async t => {
  const out = screen(false)
  const grow = new Progress(out).add('push', 100)
  grow(80)
  grow(40)
  t.same(out.written, ['  push: 75 %\n', '  push: 100 %\n'])
})

t.test('bars are drawn over each other on a terminal, not too often', async t => {
  const out = screen(true)
  let now = 0
  const progress = new Progress(out, () => now)
  const one = progress.add('a', 10 * MIB)
  const two = progress.add('long', 10 * MIB)
  one(5 * MIB)
  two(MIB)
  now = 50
  two(MIB)
  one(5 * MIB)
  progress.end()
  t.equal(out.written.length, 3)
  t.equal(out.written[0], `\x1b[2K  a    [${'#'.repeat(14)}${'.'.repeat(14)}] 5 / 10 MiB\n\x1b[2K  long [${'.'.repeat(28)}] 0 / 10 MiB\n`)
  t.match(out.written[1], '\x1b[2A')
  t.match(out.written[2], `a    [${'#'.repeat(28)}] 10 / 10 MiB`)
})

t.test('nothing at all is complete', async t => {
  const out = screen(false)
  new Progress(out).add('x', 0)(0)
  t.same(out.written, ['  x: 100 %\n'])
})
