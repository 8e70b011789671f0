import { randomUUID } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { AppError, systemCodeOf } from '../../core/errors.js'

/** Beside the files and never listed: what is still being written. */
const STAGING = '.uploads'
const START_BYTES = 512

/** A folder of files by path; a path's colons are slashes on the disk. */
export class TestFiles {
  constructor (readonly root: string) {}

  /** Size of a file and where it lies, or undefined. @throws AppError NAME_INVALID */
  async stat (name: string): Promise<{ readonly path: string, readonly sizeBytes: number } | undefined> {
    const path = this.#pathOf(name)
    const found = await orAbsent(stat(path))
    return found?.isFile() === true ? { path, sizeBytes: found.size } : undefined
  }

  /** The first bytes of a file, by which its type is told. */
  async start (path: string): Promise<Uint8Array> {
    const file = await open(path, 'r')
    try {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(START_BYTES), 0, START_BYTES, 0)
      return buffer.subarray(0, bytesRead)
    } finally {
      await file.close()
    }
  }

  /** Writes a file, which is there as a whole when this resolves, instead of what was there before. */
  async write (name: string, fill: (file: FileHandle) => Promise<void>): Promise<void> {
    const target = this.#pathOf(name)
    const staged = join(this.root, STAGING, randomUUID())
    await mkdir(dirname(staged), { recursive: true })
    try {
      const file = await open(staged, 'wx')
      try {
        await fill(file)
      } finally {
        await file.close()
      }
      await mkdir(dirname(target), { recursive: true })
      await rename(staged, target)
    } catch (error) {
      await rm(staged, { force: true })
      throw error
    }
  }

  /** All files at or below a path, in the order of a walk; undefined if there is nothing at that path. */
  async list (prefix: string): Promise<string[] | undefined> {
    const at = prefix.replace(/^\/+|\/+$/g, '')
    const start = at === '' ? this.root : this.#pathOf(at)
    const found = await orAbsent(stat(start))
    if (found === undefined) return undefined
    const names: string[] = []
    if (found.isFile()) names.push(at)
    else await this.#walk(start, at.replaceAll(':', '/'), names)
    return names
  }

  async #walk (folder: string, name: string, names: string[]): Promise<void> {
    const entries = await orAbsent(readdir(folder, { withFileTypes: true })) ?? []
    for (const entry of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
      if (name === '' && entry.name === STAGING) continue
      const below = name === '' ? entry.name : `${name}/${entry.name}`
      if (entry.isDirectory()) await this.#walk(join(folder, entry.name), below, names)
      else if (entry.isFile()) names.push(below)
    }
  }

  /** @throws AppError NAME_INVALID for a path that leads out of the root */
  #pathOf (name: string): string {
    const parts = name.replaceAll(':', '/').split('/').filter(part => part !== '')
    if (parts.length === 0 || parts[0] === STAGING || name.includes('\0') || parts.some(part => part === '.' || part === '..' || part.length > 255)) {
      throw new AppError('NAME_INVALID', `${JSON.stringify(name.slice(0, 256))} is no path of a file`)
    }
    return join(this.root, ...parts)
  }
}

async function orAbsent<T> (work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCodeOf(error) ?? '')) return undefined
    throw error
  }
}
