import { rename } from 'node:fs/promises'
import { type Digest, hexOf } from '../../runtime/core/digest.js'
import { AppError } from '../../runtime/core/errors.js'
import { MetaInfo } from '../../runtime/core/metainfo.js'
import { isAbsent, makeDir, makeDirDurably, removeEntry, statIfPresent, storageError, syncDir } from '../../runtime/store/files.js'
import { blobDir, dataIn, SIDECARS } from '../../runtime/store/paths.js'
import { encodeAccessTime, writeMetaInfo, writeSidecar } from '../../runtime/store/sidecars.js'
import { type Sums } from '../sums.js'

/** A deletion can take the directory away while it is being filled; more often than this it does not happen by accident. */
const ATTEMPTS_MAX = 3

export interface Publication {
  readonly cacheDir: string
  readonly digest: Digest
  readonly path: string
  readonly sums: Sums
  /** Undefined if the blob gets no metainfo. */
  readonly pieceBytes: number | undefined
  readonly nowMs: number
  readonly isDurable: boolean
  /** Resolves when the file is on the disk; called if it has to be, while all that belongs to it is written. */
  readonly sync: () => Promise<void>
}

/**
 * Makes a verified file the blob of the cache. All that belongs to it is in place first and the data is renamed last, so a
 * blob that can be seen is complete.
 * @throws AppError BLOB_EXISTS if it is there already; STORAGE, STORAGE_FULL
 */
export async function publish (publication: Publication): Promise<void> {
  const dir = blobDir(publication.cacheDir, hexOf(publication.digest))
  for (let attempt = 1; ; attempt++) {
    if (await statIfPresent(dataIn(dir)) !== undefined) throw new AppError('BLOB_EXISTS', `blob ${publication.digest} is already in the cache`)
    try {
      return await fill(dir, publication)
    } catch (error) {
      // What was put there belongs to nothing now.
      await removeEntry(dir).catch(() => {})
      const cause = error instanceof AppError ? error.cause : error
      if (!isAbsent(cause) || attempt === ATTEMPTS_MAX) throw storageError(error, 'move an upload into', dir)
    }
  }
}

async function fill (dir: string, publication: Publication): Promise<void> {
  const { path, isDurable } = publication
  if (isDurable) await allDone([publication.sync(), writeSidecars(dir, publication)])
  else await writeSidecars(dir, publication)
  await rename(path, dataIn(dir))
  if (isDurable) await syncDir(dir)
}

async function writeSidecars (dir: string, { digest, sums, pieceBytes, nowMs, isDurable }: Publication): Promise<void> {
  if (isDurable) await makeDirDurably(dir)
  else await makeDir(dir)
  const metaInfo = pieceBytes === undefined ? undefined : new MetaInfo(hexOf(digest), sums.sizeBytes, pieceBytes, sums.crcs, sums.sha256s)
  const accessTime = encodeAccessTime(Math.floor(nowMs / 1000))
  await allDone([metaInfo === undefined ? undefined : writeMetaInfo(dir, metaInfo, isDurable), writeSidecar(dir, SIDECARS.lastAccess, accessTime)])
}

/** Resolves when all of it is over. @throws the first failure, when nothing goes on any more */
async function allDone (work: ReadonlyArray<Promise<void> | undefined>): Promise<void> {
  const failed = (await Promise.allSettled(work)).find(part => part.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}
