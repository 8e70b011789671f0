import t from 'tap'
import { formatDuration, formatSize, parseDuration, parseSize } from '../../../runtime/config/values.js'

for (const [raw, ms] of [
  ['300ms', 300], ['1h30m', 5_400_000], ['1.5s', 1_500], ['.5s', 500], ['5m', 300_000], ['0', 0], ['0s', 0], ['-2s', -2_000], ['+2s', 2_000],
  ['10us', 0.01], ['10µs', 0.01], ['1000000ns', 1], ['1m1m', 120_000],
  [1_000_000, 1], [30_000_000_000, 30_000], [0, 0]
] as const) {
  t.test(`${JSON.stringify(raw)} is ${ms} ms`, async t => { t.equal(parseDuration(raw), ms) })
}

for (const raw of ['', '5', '5 m', '5M', 'm', '1h30', '1d', '1,5s', 's5', '--1s', 1.5, NaN, Infinity, true, null, [], {}, '1s'.repeat(40)]) {
  t.test(`${JSON.stringify(raw).slice(0, 40)} is no duration`, async t => { t.equal(parseDuration(raw), undefined) })
}

for (const [ms, text] of [[0, '0s'], [1, '1ms'], [1_500, '1s500ms'], [5_400_000, '1h30m'], [30_000, '30s']] as const) {
  t.test(`${ms} ms are written ${text}`, async t => { t.equal(formatDuration(ms), text) })
}

for (const [raw, bytes] of [
  ['4MB', 4_194_304], ['4M', 4_194_304], ['4MiB', 4_194_304], ['4mb', 4_194_304], ['1KB', 1024], ['2G', 2 ** 31], ['1TB', 2 ** 40], ['7B', 7],
  ['50 GB', 50 * 2 ** 30], [' 1K ', 1024], ['0', 0], [4_194_304, 4_194_304], [0, 0]
] as const) {
  t.test(`${JSON.stringify(raw)} is ${bytes} bytes`, async t => { t.equal(parseSize(raw), bytes) })
}

for (const raw of ['', 'MB', '-1', '1.5MB', '4XB', '4MBB', '9007199254740993', '99999PB', -1, 1.5, NaN, true, null, [], '1'.repeat(33)]) {
  t.test(`${JSON.stringify(raw)} is no size`, async t => { t.equal(parseSize(raw), undefined) })
}

for (const [bytes, text] of [[0, '0'], [1023, '1023'], [1024, '1KB'], [4_194_304, '4MB'], [1_536, '1536'], [2 ** 31, '2GB']] as const) {
  t.test(`${bytes} bytes are written ${text}`, async t => { t.equal(formatSize(bytes), text) })
}
