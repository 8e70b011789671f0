import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Digest, isDigest } from '../core/digest.js'
import { isAbsent, removeEntry, statIfPresent } from './files.js'
import { dataIn, isUnfinished } from './paths.js'

export interface LeftoverOptions {
  readonly cacheDir: string
  /** When this process began, in Unix milliseconds: what has changed since is none. */
  readonly beganMs: number
  /** Runs work while nobody commits or deletes this blob. */
  readonly exclusively: <T>(digest: Digest, work: () => Promise<T>) => Promise<T>
}

/**
 * Removes what an earlier process left in a cache directory when it died between two steps: entries without data, and files
 * that were to replace others. Returns how many there were. Slow and easy: one entry at a time.
 */
export async function clearLeftovers (options: LeftoverOptions, signal: AbortSignal): Promise<number> {
  const { cacheDir } = options
  let count = 0
  for (const first of await namesIn(cacheDir)) {
    for (const second of await namesIn(join(cacheDir, first))) {
      for (const name of await namesIn(join(cacheDir, first, second))) {
        if (signal.aborted) return count
        const entry = join(cacheDir, first, second, name)
        const clear = async (): Promise<number> => await clearEntry(entry, options)
        const digest = `sha256:${name}`
        count += isDigest(digest) ? await options.exclusively(digest, clear) : await clear()
      }
    }
  }
  return count
}

async function clearEntry (entry: string, options: LeftoverOptions): Promise<number> {
  if (await statIfPresent(dataIn(entry)) === undefined) return await isOld(entry, options) && await removeEntry(entry) ? 1 : 0
  let count = 0
  for (const name of (await namesIn(entry)).filter(isUnfinished)) {
    const path = join(entry, name)
    if (!await isOld(path, options)) continue
    await rm(path, { force: true })
    count++
  }
  return count
}

async function isOld (path: string, { beganMs }: LeftoverOptions): Promise<boolean> {
  const found = await statIfPresent(path)
  return found !== undefined && found.mtimeMs < beganMs
}

async function namesIn (dir: string): Promise<string[]> {
  try {
    return await readdir(dir)
  } catch (error) {
    if (isAbsent(error)) return []
    throw error
  }
}
