/*
 * Durations and sizes as Kraken's files spell them (cluster specification 0). Everything here is text in, number out.
 */

const MS_PER_UNIT: Readonly<Record<string, number>> = {
  ns: 1e-6, us: 1e-3, µs: 1e-3, μs: 1e-3, ms: 1, s: 1_000, m: 60_000, h: 3_600_000
}
const DURATION = /^[+-]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/
const DURATION_PART = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g
const DURATION_TEXT_MAX = 64

const SIZE = /^(\d+)\s*([kmgtp]?)(?:i?b)?$/i
const SIZE_POWERS = ['', 'k', 'm', 'g', 't', 'p']
const SIZE_TEXT_MAX = 32

/**
 * Milliseconds of a duration in Go's syntax (`300ms`, `1h30m`, `1.5s`); a bare integer is nanoseconds, as it is in
 * Kraken's files. Undefined for anything else.
 */
export function parseDuration (raw: unknown): number | undefined {
  if (typeof raw === 'number') return Number.isSafeInteger(raw) ? raw / 1e6 : undefined
  if (typeof raw !== 'string' || raw.length > DURATION_TEXT_MAX || !DURATION.test(raw)) return undefined
  let ms = 0
  for (const [, amount, unit] of raw.matchAll(DURATION_PART)) ms += Number(amount) * (MS_PER_UNIT[unit ?? ''] ?? 0)
  return raw.startsWith('-') ? -ms : ms
}

/** The shortest Go spelling of whole milliseconds: `1h30m`, `500ms`, `0s`. Reading it back gives the same number. */
export function formatDuration (ms: number): string {
  if (ms === 0) return '0s'
  let left = ms
  let text = ''
  for (const unit of ['h', 'm', 's', 'ms'] as const) {
    const count = Math.floor(left / (MS_PER_UNIT[unit] ?? 1))
    if (count === 0) continue
    text += `${count}${unit}`
    left -= count * (MS_PER_UNIT[unit] ?? 1)
  }
  return text
}

/**
 * Bytes of a size with a binary unit (`4MB` = `4M` = `4MiB` = 4194304), in any case; a bare integer is bytes.
 * Undefined for anything else, and for sizes that a double does not hold exactly.
 */
export function parseSize (raw: unknown): number | undefined {
  const text = typeof raw === 'number' ? String(raw) : raw
  if (typeof text !== 'string' || text.length > SIZE_TEXT_MAX) return undefined
  const match = SIZE.exec(text.trim())
  if (match === null) return undefined
  const bytes = Number(match[1]) * 1024 ** SIZE_POWERS.indexOf((match[2] ?? '').toLowerCase())
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** The largest unit that spells `bytes` exactly: `4MB`, `1KB`, `1500`. */
export function formatSize (bytes: number): string {
  let power = 0
  let count = bytes
  while (count !== 0 && count % 1024 === 0 && power < SIZE_POWERS.length - 1) {
    count /= 1024
    power++
  }
  return power === 0 ? String(count) : `${count}${(SIZE_POWERS[power] ?? '').toUpperCase()}B`
}
