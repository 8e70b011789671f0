import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { storageError } from './files.js'
import { dataIn, sidecarIn, type SidecarName } from './paths.js'

/** A small blob with its sidecars, not yet on disk. */
export interface NewEntry {
  /** Where it is put together: not there yet, and on the file system of `dir`. */
  readonly unfinishedDir: string
  readonly dir: string
  readonly data: Uint8Array
  readonly sidecars: ReadonlyArray<{ readonly name: SidecarName, readonly bytes: Uint8Array }>
}

/**
 * Puts an entry into its place with one rename. It blocks: this is for a thread that has nothing else to do, where a dozen
 * calls for a small blob take less time than handing over the first of them.
 * @throws AppError STORAGE, STORAGE_FULL; also if there is an entry already
 */
export function publishEntry ({ unfinishedDir, dir, data, sidecars }: NewEntry): void {
  try {
    mkdirSync(unfinishedDir, { recursive: true })
    writeFileSync(dataIn(unfinishedDir), data)
    for (const { name, bytes } of sidecars) writeFileSync(sidecarIn(unfinishedDir, name), bytes)
    mkdirSync(dirname(dir), { recursive: true })
    renameSync(unfinishedDir, dir)
  } catch (error) {
    rmSync(unfinishedDir, { recursive: true, force: true })
    throw storageError(error, 'put a blob into', dir)
  }
}
