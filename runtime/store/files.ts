import { randomUUID } from 'node:crypto'
import { mkdir, open, readFile, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { type Stats } from 'node:fs'
import { dirname } from 'node:path'
import { AppError, isAppError, messageOf, systemCodeOf } from '../core/errors.js'
import { doomedBeside, unfinishedBeside } from './paths.js'

/*
 * File operations that either happen as a whole or not at all, with errors that name the path.
 */

const DIRECTORY_MODE = 0o775

/** Turns a failed system call into STORAGE_FULL or STORAGE; what is an AppError already stays as it is. */
export function storageError (error: unknown, doing: string, path: string): AppError {
  if (isAppError(error)) return error
  const code = systemCodeOf(error)
  const isFull = code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG'
  const hint = isFull ? '; free some space or move the directory to a larger disk' : ''
  return new AppError(isFull ? 'STORAGE_FULL' : 'STORAGE', `cannot ${doing} ${path}: ${messageOf(error)}${hint}`, { cause: error })
}

/** True if a system call failed because there is no such file, or a file where its directory should be. */
export function isAbsent (error: unknown): boolean {
  const code = systemCodeOf(error)
  return code === 'ENOENT' || code === 'ENOTDIR'
}

export async function makeDir (dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: DIRECTORY_MODE }).catch(error => { throw storageError(error, 'create the directory', dir) })
}

/** Like `makeDir`, and syncs every directory that got a new entry. */
export async function makeDirDurably (dir: string): Promise<void> {
  try {
    const firstMade = await mkdir(dir, { recursive: true, mode: DIRECTORY_MODE })
    if (firstMade === undefined) return
    for (let at = dir; at.length >= firstMade.length; at = dirname(at)) await syncDir(dirname(at))
  } catch (error) {
    throw storageError(error, 'create the directory', dir)
  }
}

/** Makes renames and new names in a directory survive a power loss. */
export async function syncDir (dir: string): Promise<void> {
  const handle = await open(dir, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

export async function statIfPresent (path: string): Promise<Stats | undefined> {
  try {
    return await stat(path)
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw storageError(error, 'look at', path)
  }
}

/** A whole small file. @throws AppError STORAGE if it is larger than `bytesMax`, which is checked before anything is allocated */
export async function readIfPresent (path: string, bytesMax: number): Promise<Buffer | undefined> {
  try {
    const found = await stat(path)
    if (found.size > bytesMax) throw new AppError('STORAGE', `${path} has ${found.size} bytes, more than the ${bytesMax} that make sense`)
    return await readFile(path)
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw storageError(error, 'read', path)
  }
}

/**
 * Writes a file so that `path` has either its old content or all of the new one at any time, also after a crash. With
 * `isDurable` the content is on the disk first; the directory is left for the caller to sync. The directory must exist.
 */
export async function replaceFile (path: string, bytes: Uint8Array, { isDurable }: { isDurable: boolean }): Promise<void> {
  const unfinished = unfinishedBeside(dirname(path), randomUUID())
  try {
    const handle = await open(unfinished, 'wx')
    try {
      await handle.writeFile(bytes)
      if (isDurable) await handle.datasync()
    } finally {
      await handle.close()
    }
    await rename(unfinished, path)
  } catch (error) {
    // The first error is the one to tell; a leftover is swept with its entry.
    await rm(unfinished, { force: true }).catch(() => {})
    throw storageError(error, 'write', path)
  }
}

/**
 * Writes all of `views` at `position`, however many calls that takes.
 * @throws the system's error; how much was written before it is unknown
 */
export async function writeFully (handle: FileHandle, views: readonly Uint8Array[], position: number): Promise<void> {
  let rest = views
  let at = position
  while (rest.length > 0) {
    const { bytesWritten } = await handle.writev(rest, at)
    at += bytesWritten
    rest = dropBytes(rest, bytesWritten)
  }
}

/**
 * Deletes an entry with all that is in it. It disappears at once, by a rename, so nobody ever sees a part of it; false if
 * there is none.
 */
export async function removeEntry (dir: string): Promise<boolean> {
  const doomed = doomedBeside(dir, randomUUID())
  try {
    await rename(dir, doomed)
    await rm(doomed, { recursive: true, force: true })
    return true
  } catch (error) {
    if (isAbsent(error)) return false
    throw storageError(error, 'delete', dir)
  }
}

/** What is left of `views` without their first `count` bytes. */
function dropBytes (views: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let i = 0
  for (let view = views[i]; view !== undefined && count >= view.length; view = views[++i]) count -= view.length
  const first = views[i]
  return first === undefined || count === 0 ? views.slice(i) : [first.subarray(count), ...views.slice(i + 1)]
}
