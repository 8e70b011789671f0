import fc from '../support/fc.js'
import t from 'tap'
import { formatDuration, formatSize, parseDuration, parseSize } from '../../runtime/config/values.js'

t.test('a duration reads back as it was written', async () => {
  fc.assert(fc.property(fc.nat({ max: 2 ** 40 }), ms => parseDuration(formatDuration(ms)) === ms))
})

t.test('a size reads back as it was written', async () => {
  fc.assert(fc.property(fc.maxSafeNat(), bytes => parseSize(formatSize(bytes)) === bytes))
})

t.test('a duration is the sum of its parts', async () => {
  const part = fc.tuple(fc.nat({ max: 9999 }), fc.constantFrom(['ms', 1], ['s', 1_000], ['m', 60_000], ['h', 3_600_000] as const))
  fc.assert(fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), parts => {
    const text = parts.map(([count, [unit]]) => `${count}${unit}`).join('')
    return parseDuration(text) === parts.reduce((sum, [count, [, ms]]) => sum + count * Number(ms), 0)
  }))
})

t.test('a bare integer is nanoseconds as a duration and bytes as a size', async () => {
  fc.assert(fc.property(fc.maxSafeNat(), n => parseDuration(n) === n / 1e6 && parseSize(n) === n))
})

t.test('anything at all is a finite number or undefined', async () => {
  const isFine = (value: number | undefined): boolean => value === undefined || Number.isFinite(value)
  fc.assert(fc.property(fc.oneof(fc.anything(), fc.stringMatching(/^[0-9.a-zA-Z +-]{0,40}$/)), raw => isFine(parseDuration(raw)) && isFine(parseSize(raw))))
})
