import { Bitfield } from '../core/bitfield.js'
import { isAppError } from '../core/errors.js'
import { MetaInfo } from '../core/metainfo.js'
import { readIfPresent, replaceFile } from './files.js'
import { sidecarIn, SIDECARS, type SidecarName } from './paths.js'

/*
 * The small files beside a blob (cluster specification 1.3, A.6) as values.
 */

const ACCESS_TIME_BYTES = 8
const STATUS_STORED = 1
/** A blob of 64 GiB in pieces of 4 KiB has a text of about 180 MB; everything realistic is far below. */
const SIDECAR_BYTES_MAX = 256 << 20

/** A sidecar's bytes, or undefined if the entry has none. */
export async function readSidecar (dir: string, name: SidecarName): Promise<Buffer | undefined> {
  return await readIfPresent(sidecarIn(dir, name), SIDECAR_BYTES_MAX)
}

/** Replaces a sidecar as a whole; the entry's directory must exist. */
export async function writeSidecar (dir: string, name: SidecarName, bytes: Uint8Array | string, isDurable = false): Promise<void> {
  await replaceFile(sidecarIn(dir, name), typeof bytes === 'string' ? Buffer.from(bytes) : bytes, { isDurable })
}

/** Writes a metainfo in Kraken's form, and the digests of its pieces beside it if there are any. */
export async function writeMetaInfo (dir: string, metaInfo: MetaInfo, isDurable = false): Promise<void> {
  if (metaInfo.pieceDigests !== undefined) await writeSidecar(dir, SIDECARS.pieceSha256, metaInfo.pieceDigests, isDurable)
  await writeSidecar(dir, SIDECARS.torrentMeta, metaInfo.serialize(), isDurable)
}

/** A metainfo that was found: good, absent, or damaged and then why. Damaged piece digests are left out and reported too. */
export interface FoundMetaInfo { readonly metaInfo: MetaInfo | undefined, readonly damage: string | undefined }

/** Reads what `writeMetaInfo` or Kraken wrote. */
export async function readMetaInfo (dir: string): Promise<FoundMetaInfo> {
  const text = await readSidecar(dir, SIDECARS.torrentMeta)
  if (text === undefined) return { metaInfo: undefined, damage: undefined }
  let plain: MetaInfo
  try {
    plain = MetaInfo.parse(text.toString())
  } catch (error) {
    if (!isAppError(error)) throw error
    return { metaInfo: undefined, damage: error.message }
  }
  const bytes = await readSidecar(dir, SIDECARS.pieceSha256)
  if (bytes === undefined) return { metaInfo: plain, damage: undefined }
  // No Buffer, whose `slice` would not copy.
  const pieceDigests = new Uint8Array(bytes)
  try {
    const { name, lengths, pieceSums } = plain
    return { metaInfo: new MetaInfo(name, lengths.totalBytes, lengths.pieceBytes, pieceSums, pieceDigests), damage: undefined }
  } catch (error) {
    if (!isAppError(error)) throw error
    return { metaInfo: plain, damage: error.message }
  }
}

/** Unix seconds, -(2^52) to 2^52 - 1, as a zig-zag varint (7 bits a byte, the lowest first), padded with zeros to 8 bytes. */
export function encodeAccessTime (unixSeconds: number): Uint8Array {
  const bytes = new Uint8Array(ACCESS_TIME_BYTES)
  let rest = unixSeconds < 0 ? -2 * unixSeconds - 1 : 2 * unixSeconds
  for (let at = 0; at < ACCESS_TIME_BYTES; at++) {
    const low = rest % 128
    rest = Math.floor(rest / 128)
    bytes[at] = rest > 0 ? low | 0x80 : low
    if (rest === 0) break
  }
  return bytes
}

/** Unix seconds, or undefined for bytes that are no such number. */
export function decodeAccessTime (bytes: Uint8Array): number | undefined {
  let zigZag = 0
  let scale = 1
  for (const byte of bytes.subarray(0, ACCESS_TIME_BYTES)) {
    zigZag += (byte & 0x7f) * scale
    scale *= 128
    if (byte < 0x80) return Number.isSafeInteger(zigZag) ? (zigZag % 2 === 0 ? zigZag / 2 : -(zigZag + 1) / 2) : undefined
  }
  return undefined
}

export function encodePersist (isPersisted: boolean): string { return isPersisted ? 'true' : 'false' }

/** Any spelling that Go's boolean parser takes; undefined for the rest. */
export function decodePersist (bytes: Uint8Array): boolean | undefined {
  const text = Buffer.from(bytes).toString()
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false
  return undefined
}

/** One byte for each piece: 1 stored, 0 not. */
export function encodeStatus (have: Bitfield): Uint8Array {
  const bytes = new Uint8Array(have.length)
  for (const piece of have) bytes[piece] = STATUS_STORED
  return bytes
}

/** Any byte but 1 means not stored. Undefined if there is not one byte for each piece. */
export function decodeStatus (bytes: Uint8Array, pieceCount: number): Bitfield | undefined {
  if (bytes.length !== pieceCount) return undefined
  const have = new Bitfield(pieceCount)
  for (const [piece, byte] of bytes.entries()) if (byte === STATUS_STORED) have.add(piece)
  return have
}

/** RFC 3339 in UTC. */
export function encodeStartedAt (unixMs: number): string { return new Date(unixMs).toISOString() }

/** Unix milliseconds, or undefined for text that is no time. */
export function decodeStartedAt (bytes: Uint8Array): number | undefined {
  const text = Buffer.from(bytes).toString()
  const unixMs = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/.test(text) ? Date.parse(text) : NaN
  return Number.isNaN(unixMs) ? undefined : unixMs
}
