import { readdirSync, readFileSync } from 'node:fs'

export interface ProcessEntry {
  readonly pid: number
  readonly parentPid: number
  /** Its command line, arguments separated by blanks. */
  readonly command: string
}

/** The processes that `pid` has started and that still run, as /proc has them. Zombies are left out: they run no more. */
export function childrenOf (pid: number): ProcessEntry[] {
  return readdirSync('/proc').filter(name => /^\d+$/.test(name)).flatMap(name => entryOf(Number(name)) ?? []).filter(({ parentPid }) => parentPid === pid)
}

/** True if a process of this number runs and is no zombie. */
export function isRunning (pid: number): boolean { return entryOf(pid) !== undefined }

function entryOf (pid: number): ProcessEntry | undefined {
  try {
    // `pid (name) state parent ...`; the name may contain anything.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [state = '', parentPid = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (state === 'Z' || state === 'X') return undefined
    return { pid, parentPid: Number(parentPid), command: readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim() }
  } catch {
    return undefined
  }
}
