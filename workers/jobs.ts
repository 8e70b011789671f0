import { type Digest } from '../runtime/core/digest.js'
import { type ErrorCode } from '../runtime/core/errors.js'
import { type SlotId } from '../runtime/core/slab.js'

/*
 * Every message between threads, as types and nothing else. There are two kinds of worker:
 *
 *   jobs      short tasks for any free thread of a pool: hashing
 *   services  one thread each, for as long as the process lives, spoken to through a port: uploads, the swarm
 */

/** Short tasks. Bytes are named by their slots or their file, never sent. */
export interface Jobs {
  /** Sums of a piece that lies in `slots` (all full but the last). Checked against what is given, SHA-256 before CRC-32. */
  verifyPiece: {
    input: { slots: readonly SlotId[], lengthBytes: number, crc: number, sha256: Uint8Array | undefined }
    output: { isGood: boolean }
  }
  /** SHA-256 of a whole file, and which pieces fail their CRC-32 or SHA-256 (to find the guilty when the whole is wrong). */
  verifyFile: {
    input: { path: string, digest: Digest, pieceBytes: number, crcs: Uint32Array, sha256s: Uint8Array | undefined }
    output: { isGood: boolean, badPieces: number[] }
  }
  /** All sums of a file in one pass. */
  sumFile: {
    input: { path: string, pieceBytes: number }
    output: { sizeBytes: number, digest: Digest, crcs: Uint32Array, sha256s: Uint8Array }
  }
}

/** Calls that the upload service answers. An upload is named by a UUID and lives in `<upload_dir>/<uuid>/data`. */
export interface UploadCalls {
  start: { input: { sizeBytesHint: number | undefined }, output: { upload: string } }
  /** `undefined` in the answer if there is no such upload. */
  status: { input: { upload: string }, output: { sizeBytes: number } | undefined }
  /**
   * Writes the content of a sealed slot at `offset`; the service releases the slot, also when it fails.
   * Slots of one upload arrive in the order in which they were sent.
   */
  append: { input: { upload: string, slot: SlotId, generation: number, lengthBytes: number, offset: number }, output: { sizeBytes: number } }
  /** Cuts the upload back to `sizeBytes` (a chunk that broke off midway). */
  truncate: { input: { upload: string, sizeBytes: number }, output: { sizeBytes: number } }
  /**
   * Checks the digest and moves the file into the cache. With `pieceBytes` the metainfo is written beside it first, so that a visible
   * blob always has its metainfo. The upload is gone afterwards, whatever the outcome, except after UPLOAD_UNKNOWN.
   * Errors: UPLOAD_UNKNOWN, BLOB_EXISTS, DIGEST_MISMATCH, STORAGE, STORAGE_FULL.
   */
  commit: {
    input: { upload: string, digest: Digest, pieceBytes: number | undefined, isDurable: boolean }
    output: { sizeBytes: number }
  }
  cancel: { input: { upload: string }, output: { existed: boolean } }
}

/** Calls that the swarm service answers. */
export interface SwarmCalls {
  /**
   * Starts or joins the download and answers when the blob is verified and in the cache.
   * Errors: BLOB_UNKNOWN (the tracker knows no such blob), TIMED_OUT, CANCELLED (removed meanwhile), UNAVAILABLE, STORAGE.
   */
  download: { input: { namespace: string, digest: Digest }, output: { sizeBytes: number } }
  /**
   * Starts or joins the download and answers as soon as it is known how large the blob is. `path` is the data file, which
   * stays readable through an open descriptor when it moves to the cache; progress follows as `leading` events.
   */
  open: { input: { namespace: string, digest: Digest }, output: { sizeBytes: number, path: string, leadingBytes: number, isComplete: boolean } }
  /** Drops the blob from the swarm and from the disk; running downloads of it fail with CANCELLED. */
  remove: { input: { digest: Digest }, output: { existed: boolean } }
  /** Answers if the event loop of the swarm thread is alive. */
  probe: { input: object, output: object }
  blacklist: { input: object, output: Array<{ peerId: string, infoHash: string, remainingMs: number }> }
  stats: { input: object, output: SwarmStats }
}

/** What the swarm service says by itself. */
export interface SwarmEvents {
  /** The first `leadingBytes` bytes of the blob are verified; sent while somebody has it open. */
  leading: { digest: Digest, leadingBytes: number }
  /** The download ended: complete if `error` is undefined. */
  ended: { digest: Digest, error: { code: ErrorCode, message: string } | undefined }
}

/** Counters since the start of the process. Bytes are piece bytes on the wire, framing left out. */
export interface SwarmStats {
  torrents: number
  conns: number
  bytesFromOrigins: number
  bytesFromAgents: number
  bytesServed: number
  duplicateBytes: number
  corruptPieces: number
  peersCutOff: number
}

/** An error that crossed a thread boundary: structured clone would strip it of its class and code. */
export interface JobFailure { ok: false, code: ErrorCode, message: string }
export type JobResult<Output> = { ok: true, value: Output } | JobFailure
