import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AppError, systemCodeOf } from '../core/errors.js'

/**
 * Takes the folder for this process, so that two systems never write to the same files. A lock whose process is gone is
 * taken over. Returns what gives it back.
 * @throws AppError UNAVAILABLE if a running process holds it, STORAGE if the folder cannot be written to
 */
export function lockFolder (folder: string, pid = process.pid): () => void {
  const file = join(folder, 'up.pid')
  try {
    mkdirSync(folder, { recursive: true })
    if (!take(file, pid)) {
      const holder = Number(readFileSync(file, 'utf8'))
      if (holder !== pid && isRunning(holder)) {
        throw new AppError('UNAVAILABLE', `${folder} is in use by process ${holder}. Stop it, or name another folder with --data. If it is no "shoal up", delete ${file}`)
      }
      rmSync(file, { force: true })
      if (!take(file, pid)) throw new AppError('UNAVAILABLE', `${folder} was just taken by another "shoal up"`)
    }
  } catch (cause) {
    if (cause instanceof AppError) throw cause
    throw new AppError('STORAGE', `cannot write to ${folder} (${systemCodeOf(cause) ?? 'unknown reason'}). Name another folder with --data`, { cause })
  }
  return () => { rmSync(file, { force: true }) }
}

/** True if the file did not exist and is now ours. */
function take (file: string, pid: number): boolean {
  try {
    writeFileSync(file, String(pid), { flag: 'wx' })
    return true
  } catch (error) {
    if (systemCodeOf(error) === 'EEXIST') return false
    throw error
  }
}

function isRunning (pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return systemCodeOf(error) === 'EPERM'
  }
}
