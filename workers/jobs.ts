import { type ClientTls } from '../net/client/http.js'
import { type Digest, type Sha512Digest } from '../runtime/core/digest.js'
import { type PieceLengthConfig, type RingConfig, type UpstreamConfig } from '../runtime/config/types.js'
import { type SchedulerConfig } from '../runtime/config/sections/scheduler.js'
import { type ErrorCode } from '../runtime/core/errors.js'
import { type PeerId, type PeerIdPolicy } from '../runtime/core/peer-id.js'
import { type SlabMemory, type SlotId } from '../runtime/core/slab.js'
import { type NewEntry } from '../runtime/store/new-entry.js'
import { type HashEngine } from '../wasm/engine.js'

/*
 * Every message between threads, as types and nothing else. There are two kinds of worker:
 *
 *   jobs      short tasks for any free thread of a pool: hashing
 *   services  one thread each, for as long as the process lives, spoken to through a port: uploads, the swarm
 */

/** Short tasks. Bytes are named by their slots or their file, and only those of small blobs are sent. */
export interface Jobs {
  /**
   * Sums of a piece that lies in `slots` (all full but the last). Checked against `sha256` if there is one, else against `crc`.
   * `sha256` must be a copy: of a view, all the memory under it would be cloned.
   */
  verifyPiece: {
    input: { slots: readonly SlotId[], lengthBytes: number, crc: number, sha256: Uint8Array | undefined }
    output: { isGood: boolean }
  }
  /** SHA-256 of a whole file, and which pieces fail their CRC-32 or SHA-256 (to find the guilty when the whole is wrong). */
  verifyFile: {
    input: { path: string, digest: Digest, pieceBytes: number, crcs: Uint32Array, sha256s: Uint8Array | undefined }
    output: { isGood: boolean, badPieces: number[] }
  }
  /** Checks a small blob against its digest and, if it is good, puts it into the cache, whole or not at all. */
  keepBlob: { input: NewEntry & { digest: Digest }, output: { isGood: boolean } }
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
   * Checks the digest and moves the file into the cache. Where the service has a table of piece lengths, the metainfo is written
   * beside it first, so that a visible blob always has its metainfo. The upload is gone afterwards, whatever the outcome.
   * Errors: UPLOAD_UNKNOWN, BLOB_EXISTS, DIGEST_MISMATCH, STORAGE, STORAGE_FULL.
   */
  commit: { input: { upload: string, digest: Digest }, output: { sizeBytes: number } }
  cancel: { input: { upload: string }, output: { existed: boolean } }
  /** Both sums of what is written so far, from one pass over the file. Errors: UPLOAD_UNKNOWN, STORAGE. */
  digests: { input: { upload: string }, output: { sha256: Digest, sha512: Sha512Digest } }
}

/** What the upload service is started with; plain data, since it crosses a thread boundary. */
export interface UploadOptions {
  /** Both must be on one file system: a blob gets into the cache by a rename. */
  readonly uploadDir: string
  readonly cacheDir: string
  /** Slots that chunks come in. */
  readonly slab: SlabMemory
  /** Overwrite released slots, so that a stale reader shows at once; for tests. */
  readonly isPoisoned: boolean
  /** Undefined if no metainfo is to be made. */
  readonly pieceLengths: readonly PieceLengthConfig[] | undefined
  /** Uploads without a write for this long are removed; Infinity keeps them for ever. */
  readonly uploadTtlMs: number
  /** So much of the disk stays free: an upload that would need it is refused at its start. */
  readonly reserveBytes: number
  /** Commit answers only when the blob would survive a power loss. */
  readonly isDurable: boolean
  readonly hashEngine: HashEngine
}

/** What the swarm service is started with; plain data, since it crosses a thread boundary. */
export interface SwarmOptions {
  /** A leecher downloads on request and seeds what it has; a seeder only serves complete blobs of the cache. */
  readonly mode: 'leecher' | 'seeder'
  /** Announced address; `port` 0 takes a free one. */
  readonly ip: string
  readonly port: number
  readonly peerIdPolicy: PeerIdPolicy
  readonly store: { readonly downloadDir: string, readonly cacheDir: string }
  readonly scheduler: SchedulerConfig
  /** Slots of 256 KiB for pieces on their way in. */
  readonly slotCount: number
  /** Threads that verify pieces. */
  readonly hashThreads: number
  /** Where to announce; a seeder has none. */
  readonly tracker: (UpstreamConfig & { readonly ring: RingConfig }) | undefined
  /** How it is asked; undefined is plain HTTP. */
  readonly clientTls?: ClientTls | undefined
  /** Blobs of at most this size are taken from the trackers if those have them; default 0. */
  readonly inlineBytesMax?: number
}

/** Calls that the swarm service answers. */
export interface SwarmCalls {
  /** Who we are among peers, once the peer port listens. */
  self: { input: object, output: { peerId: PeerId, port: number } }
  /**
   * Starts or joins the download and answers when the blob is verified and in the cache.
   * Errors: BLOB_UNKNOWN (the tracker knows no such blob), TIMED_OUT, CANCELLED (removed meanwhile), UNAVAILABLE, STORAGE.
   */
  download: { input: { namespace: string, digest: Digest }, output: { sizeBytes: number } }
  /**
   * Starts or joins the download and answers as soon as it is known how large the blob is. `path` is the data file, which
   * stays readable through an open descriptor when it moves to the cache; progress follows as `verified` events.
   */
  open: { input: { namespace: string, digest: Digest }, output: OpenedBlob }
  /** Where a reader begins to read a blob that is not complete: those pieces are fetched first. */
  read: { input: { digest: Digest, reader: number, offset: number }, output: object }
  /** Ends what one `open` of a blob not yet complete has asked for. */
  release: { input: { digest: Digest, reader: number }, output: object }
  /** Drops the blob from the swarm and from the disk; running downloads of it fail with CANCELLED. */
  remove: { input: { digest: Digest }, output: { existed: boolean } }
  /** Answers if the event loop of the swarm thread is alive. */
  probe: { input: object, output: object }
  blacklist: { input: object, output: Array<{ peerId: string, infoHash: string, remainingMs: number }> }
  stats: { input: object, output: SwarmStats }
}

/** `verified` are the pieces that may be read at once: none if the blob is complete, or is to be checked as a whole first. */
export interface OpenedBlob { sizeBytes: number, path: string, isComplete: boolean, reader: number, pieceBytes: number, verified: number[] }

/** What the swarm service says by itself. */
export interface SwarmEvents {
  /** One more piece of the blob may be read; sent while somebody has it open. */
  verified: { digest: Digest, piece: number }
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
  /** Memory slots that hold pieces on their way in or out at present. */
  slotsLeased: number
}

/** An error that crossed a thread boundary: structured clone would strip it of its class and code. */
export interface JobFailure { ok: false, code: ErrorCode, message: string }
export type JobResult<Output> = { ok: true, value: Output } | JobFailure
