import t from 'tap'
import { selectTests } from '../../../tools/run-tests.js'
import { TapDigest, type Totals } from '../../../tools/tap-digest.js'

const PATHS = ['dist/test/unit/b.test.js', 'dist/test/unit/a.test.js', 'dist/test/unit/a.test.js.map', 'dist/test/support/tap.js', 'dist/test/real/pull.test.js']

t.test('tests are chosen by parts of their paths', async t => {
  t.same(selectTests(PATHS, [], false), ['dist/test/unit/a.test.js', 'dist/test/unit/b.test.js'])
  t.same(selectTests(PATHS, [], true), ['dist/test/real/pull.test.js'])
  t.same(selectTests(PATHS, ['test/unit/a.test.ts'], false), ['dist/test/unit/a.test.js'])
  t.same(selectTests(PATHS, ['./dist/test/unit/b.test.js', 'nothing'], false), ['dist/test/unit/b.test.js'])
  t.same(selectTests(PATHS, ['pull'], false), [])
})

const STREAM = `TAP version 14
# Subtest: dist/test/a.test.js
    # Subtest: one
        ok 1 - inner
        1..1
    ok 1 - one # time=1ms
    1..1
ok 1 - dist/test/a.test.js # time=12.5ms

# Subtest: dist/test/b.test.js
    not ok 1 - wrong
      ---
      why: because
      ...
    1..1
not ok 2 - dist/test/b.test.js # time=3ms
  ---
  exitCode: 1
  ...

1..2
# { total: 5, pass: 2, fail: 1, todo: 1, skip: 1 }
# time=30ms`

function digest (stream: string, fault: string, fileCount: number): { totals: Totals, lines: string[] } {
  const lines: string[] = []
  const reader = new TapDigest(line => lines.push(line))
  for (const line of stream.split('\n')) reader.line(line)
  return { totals: reader.end(fault, fileCount), lines }
}

t.test('a run in short', async t => {
  const { totals, lines } = digest(STREAM, 'ended with exit code 1', 2)
  t.same(totals, { passed: 2, failed: 1, skipped: 2 })
  t.same(lines.map(line => line.trim()).filter(line => line !== ''), [
    'ok     dist/test/a.test.js (12.5ms)',
    'not ok 1 - wrong', '---', 'why: because', '...',
    'NOT OK dist/test/b.test.js (3ms)', '---', 'exitCode: 1', '...',
    '1..2', '# time=30ms'
  ])
})

t.test('a run that broke off is no success', async t => {
  t.same(digest('TAP version 14', 'could not be started: ENOENT', 2).totals, { passed: 0, failed: 3, skipped: 0 })
  t.same(digest('# { total: 2, pass: 2 }', 'ended with exit code 1', 0).totals, { passed: 2, failed: 1, skipped: 0 })
  t.same(digest('ok 1 - a # time=1ms\n# { total: 2, pass: 2 }', '', 2).totals, { passed: 2, failed: 1, skipped: 0 }, 'one file is missing')
  t.same(digest('not ok 1 - a # time=1ms\n# { total: 2, pass: 2 }', '', 1).totals, { passed: 2, failed: 1, skipped: 0 }, 'a file failed, its assertions did not')
  t.same(digest('ok 1 - a # time=1ms\n# { total: 2, pass: 2 }', '', 1).totals, { passed: 2, failed: 0, skipped: 0 })
})
