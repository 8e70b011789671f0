import { join } from 'node:path'
import { type DigestHex } from '../core/digest.js'
import { AppError } from '../core/errors.js'

/*
 * Where everything lies; the only file that knows (cluster specification 1.2). An entry is a directory with the file
 * `data` and sidecars:
 *
 *   <cache or download dir>/07/12/07123e1f...1abc/{data,_torrentmeta,...}   content addressed
 *   <upload dir>/<uuid>/data                                                uploads
 *   <cache dir>/library/alpine:3.5/data                                     flat: tags; names may nest
 */

const DATA_NAME = 'data'
/** Names of this shape were entries once and wait to be deleted. No digest, upload or tag has it. */
const UNFINISHED_PREFIX = '.unfinished-'
const DOOMED_PREFIX = '.doomed-'
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
/** What the usual file systems take as one name. */
const COMPONENT_BYTES_MAX = 255
const FLAT_NAME_BYTES_MAX = 1024

/** The sidecars: a file's name is its type (cluster specification 1.3). */
export const SIDECARS = {
  lastAccess: '_last_access_time',
  persist: '_persist',
  torrentMeta: '_torrentmeta',
  status: '_status',
  startedAt: '_startedat',
  /** Ours: the SHA-256 of each piece, 32 bytes each. Kraken ignores files that it does not know. */
  pieceSha256: '_piece_sha256',
  /** Ours: since when a tag points at what. */
  tagVersion: '_tag_version'
} as const
export type SidecarName = typeof SIDECARS[keyof typeof SIDECARS]

/** The directory of a blob below a content-addressed root. */
export function blobDir (root: string, hex: DigestHex): string { return join(root, hex.slice(0, 2), hex.slice(2, 4), hex) }

/** The directory of an entry below a flat root. @throws AppError NAME_INVALID */
export function flatDir (root: string, name: string): string { return join(root, checkFlatName(name)) }

/** The directory of an upload; the id comes from clients. @throws AppError UPLOAD_UNKNOWN for anything but a UUID in lower case */
export function uploadDir (root: string, upload: string): string {
  if (!isUploadId(upload)) throw new AppError('UPLOAD_UNKNOWN', `there is no upload "${upload.slice(0, 64)}": an upload id is a UUID`)
  return join(root, upload)
}

export function isUploadId (text: string): boolean { return UUID.test(text) }

/** True for what may lie below an upload directory: `<uuid>`, or Kraken's `<final name>.<uuid>`. */
export function isUploadEntry (name: string): boolean { return UUID.test(name.slice(name.lastIndexOf('.') + 1)) }

export function dataIn (dir: string): string { return join(dir, DATA_NAME) }
export function sidecarIn (dir: string, name: SidecarName): string { return join(dir, name) }

/** A name beside `path` for content that is not complete yet; `unique` keeps writers apart. */
export function unfinishedBeside (dir: string, unique: string): string { return join(dir, UNFINISHED_PREFIX + unique) }
export function isUnfinished (name: string): boolean { return name.startsWith(UNFINISHED_PREFIX) }

/** What an entry's directory is renamed to before it is deleted. */
export function doomedBeside (dir: string, unique: string): string { return join(dir, '..', DOOMED_PREFIX + unique) }
export function isDoomed (name: string): boolean { return name.startsWith(DOOMED_PREFIX) }

/**
 * Names of a flat store come from clients and become paths: they must be clean and relative, so that they can neither leave
 * the root nor alias each other.
 */
export function checkFlatName (name: string): string {
  const isClean = name.split('/').every(part => part !== '' && part !== '.' && part !== '..' && !part.includes('\0') &&
    !isDoomed(part) && Buffer.byteLength(part) <= COMPONENT_BYTES_MAX)
  if (isClean && Buffer.byteLength(name) <= FLAT_NAME_BYTES_MAX) return name
  throw new AppError('NAME_INVALID', `invalid name "${name.slice(0, 128)}": expected a clean relative path`)
}
