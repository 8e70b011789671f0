import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock } from '../core/clock.js'
import { isAbsent, removeEntry, statIfPresent } from '../store/files.js'
import { dataIn } from '../store/paths.js'

/** An entry that changed more recently may be one that is just being made. */
const AGE_MIN_MS = 60 * 60_000

/**
 * Removes the entries of a cache directory that have no data, such as a crash between two steps leaves behind, and returns
 * how many there were. Slow and easy: one entry at a time.
 */
export async function clearLeftovers (cacheDir: string, clock: Clock, signal: AbortSignal): Promise<number> {
  let count = 0
  for (const first of await namesIn(cacheDir)) {
    for (const second of await namesIn(join(cacheDir, first))) {
      for (const name of await namesIn(join(cacheDir, first, second))) {
        if (signal.aborted) return count
        const entry = join(cacheDir, first, second, name)
        if (await isLeftover(entry, clock) && await removeEntry(entry)) count++
      }
    }
  }
  return count
}

async function isLeftover (entry: string, clock: Clock): Promise<boolean> {
  if (await statIfPresent(dataIn(entry)) !== undefined) return false
  const found = await statIfPresent(entry)
  return found !== undefined && found.isDirectory() && clock.wall() - found.mtimeMs > AGE_MIN_MS
}

async function namesIn (dir: string): Promise<string[]> {
  try {
    return await readdir(dir)
  } catch (error) {
    if (isAbsent(error)) return []
    throw error
  }
}
