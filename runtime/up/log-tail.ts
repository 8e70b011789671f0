import { closeSync, openSync, readSync, statSync } from 'node:fs'

const TAIL_BYTES = 4_096
const TAIL_LINES = 5

/** The last lines of a log, for a person to read; '(nothing)' if there are none. */
export function logTail (file: string): string {
  const { size } = statSync(file, { throwIfNoEntry: false }) ?? { size: 0 }
  if (size === 0) return '(nothing)'
  const fd = openSync(file, 'r')
  try {
    const tail = Buffer.alloc(Math.min(size, TAIL_BYTES))
    const read = readSync(fd, tail, 0, tail.length, size - tail.length)
    return tail.toString('utf8', 0, read).trimEnd().split('\n').slice(-TAIL_LINES).join('\n')
  } finally {
    closeSync(fd)
  }
}
