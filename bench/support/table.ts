/** One line of a bench's result. Undefined cells are left empty. */
export interface Row {
  readonly case: string
  readonly subject: string
  readonly MBps?: number
  readonly perSecond?: number
  /** Compared with the baseline of the same case in the same run; more is better. */
  readonly ratio?: number
  readonly cpuSecondsPerGB?: number
  readonly rssPeakMB?: number
  readonly p50Ms?: number
  readonly p99Ms?: number
  readonly note?: string
}

const COLUMNS: ReadonlyArray<{ key: keyof Row, title: string, digits?: number }> = [
  { key: 'case', title: 'case' },
  { key: 'subject', title: 'subject' },
  { key: 'MBps', title: 'MB/s', digits: 0 },
  { key: 'perSecond', title: 'per second', digits: 0 },
  { key: 'ratio', title: 'x baseline', digits: 2 },
  { key: 'cpuSecondsPerGB', title: 'CPU s/GB', digits: 2 },
  { key: 'rssPeakMB', title: 'peak MB', digits: 0 },
  { key: 'p50Ms', title: 'p50 ms', digits: 2 },
  { key: 'p99Ms', title: 'p99 ms', digits: 2 },
  { key: 'note', title: 'note' }
]

/** The rows as aligned text; columns that no row fills are left out. */
export function tableOf (rows: readonly Row[]): string {
  const columns = COLUMNS.filter(({ key }) => rows.some(row => row[key] !== undefined))
  const lines = [columns.map(({ title }) => title), ...rows.map(row => columns.map(column => cellOf(row, column)))]
  const widths = columns.map((_, i) => Math.max(...lines.map(line => line[i]?.length ?? 0)))
  return lines.map(line => line.map((cell, i) => isNumeric(columns[i]) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)).join('  ').trimEnd())
    .join('\n')
}

function cellOf (row: Row, { key, digits }: { key: keyof Row, digits?: number }): string {
  const value = row[key]
  if (value === undefined) return ''
  return typeof value === 'number' ? value.toFixed(digits ?? 0) : value
}

function isNumeric (column: { digits?: number } | undefined): boolean { return column?.digits !== undefined }

export function median (values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] ?? Number.NaN : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2
}

/** The value below which the share `p` (0 to 1) of the values lies. */
export function percentile (values: readonly number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? Number.NaN
}
