import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type CallOptions } from '../../../net/client/clients.js'
import { type FsConfig } from '../../config/types.js'
import { AppError, messageOf, systemCodeOf } from '../../core/errors.js'
import { type BackendClient, type DownloadOptions, type ListPage, type ObjectContent, type ObjectStat, type ObjectStream } from '../backend.js'
import { makePather, type Pather } from '../pather.js'

/** Below the root: what is on its way. Lists leave it out. */
const UPLOADS = '.shoal-uploads'
const BLOCK_BYTES = 256 * 1024

/** A folder. An object appears by a rename when it is complete and synced, so that readers see all of it or nothing. */
export class FsClient implements BackendClient {
  readonly kind = 'fs'
  readonly canUpload = true
  readonly canList = true
  readonly canResume = true
  readonly #pather: Pather

  constructor (readonly config: FsConfig) { this.#pather = makePather(config.namePath, config.root) }

  async stat (_: string, name: string): Promise<ObjectStat | undefined> {
    await this.checkReadiness()
    const found = await orAbsent(stat(this.#pather.path(name)))
    return found?.isFile() === true ? { sizeBytes: found.size } : undefined
  }

  async download (_: string, name: string, { offset = 0, signal }: DownloadOptions = {}): Promise<ObjectStream | undefined> {
    const path = this.#pather.path(name)
    const found = await this.stat('', name)
    if (found?.sizeBytes === undefined) return undefined
    const sizeBytes = Math.max(0, found.sizeBytes - offset)
    const options = { start: offset, highWaterMark: BLOCK_BYTES, ...signal === undefined ? {} : { signal } }
    return { sizeBytes, chunks: () => createReadStream(path, options) }
  }

  async upload (_: string, name: string, content: ObjectContent, { signal }: CallOptions = {}): Promise<void> {
    const target = this.#pather.path(name)
    await this.checkReadiness()
    const folder = join(this.config.root, UPLOADS)
    const staged = join(folder, randomUUID())
    try {
      await mkdir(folder, { recursive: true })
      const file = await open(staged, 'wx')
      try {
        for await (const chunkView of content.read(0, content.sizeBytes)) {
          signal?.throwIfAborted()
          await file.writeFile(chunkView)
        }
        const { size } = await file.stat()
        if (size !== content.sizeBytes) throw new AppError('CORRUPT', `${size} of ${content.sizeBytes} bytes were there to be written`)
        await file.sync()
      } finally {
        await file.close()
      }
      await mkdir(dirname(target), { recursive: true })
      await rename(staged, target)
      await syncFolder(dirname(target))
    } catch (error) {
      await rm(staged, { force: true })
      throw error
    }
  }

  async list (prefix: string, { signal }: CallOptions = {}): Promise<ListPage> {
    await this.checkReadiness()
    const folder = prefix.replace(/^\/+|\/+$/g, '')
    if (folder.split('/').some(part => part === '..' || part === '.')) return { names: [], next: undefined }
    const names: string[] = []
    await this.#walk(join(this.#pather.base, folder), names, signal)
    return { names, next: undefined }
  }

  /** The root is there, so that a file system that is not mounted is not taken for an empty one. */
  async checkReadiness (): Promise<void> {
    const found = await orAbsent(stat(this.config.root))
    if (found?.isDirectory() !== true) throw new AppError('UNAVAILABLE', `${this.config.root} is no folder: mount the file system or make the folder`)
  }

  async close (): Promise<void> {}

  async #walk (folder: string, names: string[], signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    for (const entry of await orAbsent(readdir(folder, { withFileTypes: true })) ?? []) {
      const path = `${folder}/${entry.name}`
      if (entry.isDirectory() && entry.name !== UPLOADS) await this.#walk(path, names, signal)
      else if (entry.isFile()) names.push(...[this.#pather.name(path)].filter(name => name !== undefined))
    }
  }
}

/** Undefined for what is not there; a file where a folder would have to be counts as well. */
async function orAbsent<T> (work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCodeOf(error) ?? '')) return undefined
    throw new AppError('UNAVAILABLE', messageOf(error), { cause: error })
  }
}

async function syncFolder (path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
