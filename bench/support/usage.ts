import fs from 'node:fs'

/** What processes have used so far. */
export interface Usage { readonly cpuSeconds: number, readonly rssPeakBytes: number }

const TICKS_PER_SECOND = 100

/**
 * CPU time and peak memory of running processes, all their threads included, from /proc. The peak is since the start of
 * the process or the last `resetPeak`. Undefined where the platform has no /proc.
 */
export function usageOf (pids: readonly number[]): Usage | undefined {
  try {
    const each = pids.map(pid => ({ cpuSeconds: cpuSecondsOf(pid), rssPeakBytes: rssPeakOf(pid) }))
    return {
      cpuSeconds: each.reduce((sum, usage) => sum + usage.cpuSeconds, 0),
      rssPeakBytes: Math.max(...each.map(usage => usage.rssPeakBytes))
    }
  } catch {
    return undefined
  }
}

/** Starts the peak anew, so that a measurement does not count what came before it. */
export function resetPeak (pid: number): void {
  try {
    fs.writeFileSync(`/proc/${pid}/clear_refs`, '5')
  } catch {
    // Not allowed, or no such file: the peak then counts from the start of the process.
  }
}

function cpuSecondsOf (pid: number): number {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The command in parentheses may contain blanks; utime and stime are the 12th and 13th field behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

function rssPeakOf (pid: number): number {
  const line = /^VmHWM:\s+(\d+) kB$/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(line?.[1] ?? 0) * 1024
}
