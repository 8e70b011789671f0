import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digestOf, type Digest } from '../runtime/core/digest.js'
import { Uploads } from '../workers/upload-door.js'
import { median, type Row } from './support/table.js'

/** Clients that upload at the same time, and how much each. */
const CLIENTS = 16
const BLOB_BYTES = 8 * 1024 * 1024
const CHUNK_BYTES = 256 * 1024
/** Rounds of each subject that count; one more of each goes before. */
const ROUNDS = 9

/** What it costs to have a blob on the disk before it is acknowledged: uploads that are synced, against the same without. */
export async function durability (isSmoke: boolean): Promise<Row[]> {
  const dir = await mkdtemp(join(tmpdir(), 'shoal-durability-'))
  const [clients, blobBytes, rounds] = isSmoke ? [2, 64 * 1024, 1] : [CLIENTS, BLOB_BYTES, ROUNDS]
  const stages = await Promise.all([false, true].map(async isDurable => await Stage.start(join(dir, String(isDurable)), isDurable)))
  try {
    const speeds = stages.map((): number[] => [])
    for (let round = 0; round <= rounds; round++) {
      // In turn, since the disk and the machine change their minds.
      for (const [i, stage] of stages.entries()) {
        const ms = await stage.round(clients, blobBytes, round)
        if (round > 0) speeds[i]?.push(clients * blobBytes / 1e3 / ms)
      }
    }
    if (isSmoke) return []
    const [base = []] = speeds
    return speeds.map((of, i) => ({
      case: `${clients} uploads of ${blobBytes / 1024 / 1024} MiB at a time`,
      subject: i === 0 ? 'not synced' : 'synced before the answer',
      MBps: median(of),
      ratio: median(of.map((speed, round) => speed / (base[round] ?? Number.NaN)))
    }))
  } finally {
    for (const stage of stages) await stage.close()
    await rm(dir, { recursive: true, force: true })
  }
}

/** An upload service on a folder of its own. */
class Stage {
  private constructor (readonly dir: string, readonly uploads: Uploads) {}

  static async start (dir: string, isDurable: boolean): Promise<Stage> {
    const uploads = await Uploads.start({
      uploadDir: join(dir, 'upload'),
      cacheDir: join(dir, 'cache'),
      slotCount: 128,
      pieceLengths: [{ minBlobBytes: 0, pieceBytes: 4 * 1024 * 1024 }],
      uploadTtlMs: Infinity,
      isDurable
    })
    return new Stage(dir, uploads)
  }

  async close (): Promise<void> { await this.uploads.close() }

  /** How long it takes until all are acknowledged, in milliseconds. */
  async round (clients: number, blobBytes: number, round: number): Promise<number> {
    const blobs = Array.from({ length: clients }, (_, i) => contentOf(blobBytes, round * clients + i))
    const startedAt = performance.now()
    await Promise.all(blobs.map(async ({ bytes, digest }) => { await this.#upload(bytes, digest) }))
    return performance.now() - startedAt
  }

  async #upload (bytes: Uint8Array, digest: Digest): Promise<void> {
    const upload = await this.uploads.start(bytes.length)
    const writer = this.uploads.writer(upload, 0)
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) await writer.write(bytes.subarray(at, at + CHUNK_BYTES))
    await writer.end()
    await this.uploads.commit(upload, digest)
  }
}

function contentOf (lengthBytes: number, number: number): { bytes: Uint8Array, digest: Digest } {
  const bytes = Buffer.alloc(lengthBytes, `blob ${number} `)
  return { bytes, digest: digestOf(bytes) }
}
