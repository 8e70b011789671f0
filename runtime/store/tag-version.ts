import { type Digest, digestFromHex, isDigest, parseDigestHex } from '../core/digest.js'

/**
 * When a tag was pointed at a digest, on a clock that is the wall clock of some host as long as that moves on, and counts
 * where it does not: a later write of a tag always has a later stamp, also after clocks were set back.
 */
export interface Stamp {
  /** Unix milliseconds. */
  readonly ms: number
  readonly count: number
}

/** What a tag points at, since when. */
export interface TagVersion {
  readonly digest: Digest
  readonly stamp: Stamp
}

/** What a deleted tag points at: no content has this digest, so whoever takes it for one finds nothing. */
export const DELETED: Digest = digestFromHex(parseDigestHex('0'.repeat(64)))

export function isDeletion (version: TagVersion | undefined): boolean { return version?.digest === DELETED }

/** Farther ahead no clock is believed: 24 h. One that is wrong by more must not keep a tag from moving for as long. */
const AHEAD_MAX_MS = 24 * 3_600_000
const STAMP = /^(\d{1,15})\.(\d{1,9})$/

/** Negative if `a` is older; 0 only for the same version. Two writes of the same instant have an order too, any. */
export function compareVersions (a: TagVersion, b: TagVersion): number {
  if (a.stamp.ms !== b.stamp.ms) return a.stamp.ms - b.stamp.ms
  if (a.stamp.count !== b.stamp.count) return a.stamp.count - b.stamp.count
  return a.digest < b.digest ? -1 : a.digest > b.digest ? 1 : 0
}

export function newerOf (a: TagVersion | undefined, b: TagVersion | undefined): TagVersion | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return compareVersions(a, b) >= 0 ? a : b
}

/** The stamp of a write that happens now, after all that are `seen`. */
export function stampAfter (wallMs: number, seen: ReadonlyArray<Stamp | undefined>): Stamp {
  let next: Stamp = { ms: Math.max(0, Math.floor(wallMs)), count: 0 }
  for (const stamp of seen) {
    if (stamp === undefined) continue
    if (stamp.ms > next.ms || (stamp.ms === next.ms && stamp.count >= next.count)) next = { ms: stamp.ms, count: stamp.count + 1 }
  }
  return next
}

/** The first instant after `stamp`: what has it is older than every other write that came after that one. */
export function successorOf ({ ms, count }: Stamp): Stamp { return { ms, count: count + 1 } }

/** Whether a stamp that somebody sent can be true. */
export function isCredible (stamp: Stamp, wallMs: number): boolean { return stamp.ms <= wallMs + AHEAD_MAX_MS }

/** `<ms>.<count>` */
export function formatStamp ({ ms, count }: Stamp): string { return `${ms}.${count}` }

export function parseStamp (text: string): Stamp | undefined {
  const [, ms, count] = STAMP.exec(text) ?? []
  return ms === undefined || count === undefined ? undefined : { ms: Number(ms), count: Number(count) }
}

/** `<ms>.<count> <digest>` */
export function formatVersion ({ stamp, digest }: TagVersion): string { return `${formatStamp(stamp)} ${digest}` }

export function parseVersion (text: string): TagVersion | undefined {
  const [stampText = '', digest = ''] = text.trim().split(' ')
  const stamp = parseStamp(stampText)
  return stamp === undefined || !isDigest(digest) ? undefined : { stamp, digest }
}
