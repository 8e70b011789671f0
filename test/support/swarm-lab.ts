import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readlinkSync } from 'node:fs'
import fs from 'node:fs/promises'
import path from 'node:path'
import { crc32 } from 'node:zlib'
import { type Test } from 'tap'
import { type SchedulerConfig } from '../../runtime/config/sections/scheduler.js'
import { hexOf } from '../../runtime/core/digest.js'
import { MetaInfo } from '../../runtime/core/metainfo.js'
import { type PeerInfo } from '../../runtime/core/peer.js'
import { type PeerId } from '../../runtime/core/peer-id.js'
import { DownloadStore } from '../../runtime/store/download.js'
import { blobDir, dataIn } from '../../runtime/store/paths.js'
import { type SwarmStats } from '../../workers/jobs.js'
import { Swarm } from '../../workers/swarm-door.js'
import { KrakenListener, type Misbehaviour, seedTo, type SharedBlob } from './kraken-peer.js'
import { until } from './manual-time.js'
import { randomBlob } from './random-blob.js'
import { schedulerConfig } from './scheduler-config.js'
import { SmallTracker } from './small-tracker.js'
import { temporaryFolder } from './system.js'

export interface LabBlob extends SharedBlob { readonly digest: MetaInfo['digest'] }

export type LabOptions = Partial<Parameters<typeof Swarm.start>[0]>

/** Less patience than is shipped, so that tests which wait for it to end are short. */
export const hasty: SchedulerConfig = {
  ...schedulerConfig,
  connTtiMs: 5_000,
  preemptionIntervalMs: 1_000,
  connState: { ...schedulerConfig.connState, blacklistMs: 400 },
  conn: { handshakeTimeoutMs: 1_000 },
  dispatch: { ...schedulerConfig.dispatch, pieceRequestTimeoutMinMs: 1_500, pieceRequestTimeoutPerMbMs: 1_500 }
}

/** Real swarms around one tracker, all in this process and on loopback. Everything ends with the test. */
export class SwarmLab {
  private constructor (readonly t: Test, readonly root: string, readonly tracker: SmallTracker) {}

  static async start (t: Test): Promise<SwarmLab> {
    // First, so that it is removed when all else has ended.
    const root = temporaryFolder(t)
    const tracker = await SmallTracker.start()
    t.teardown(async () => { await tracker.close() })
    return new SwarmLab(t, root, tracker)
  }

  /** A directory of its own for a node's files. */
  dir (name: string): string { return path.join(this.root, name) }

  /** Starts a node whose files lie below `dir(name)`. */
  async swarm (name: string, mode: 'leecher' | 'seeder', options: LabOptions = {}): Promise<Swarm> {
    const swarm = await Swarm.start({
      mode,
      ip: '127.0.0.1',
      port: 0,
      peerIdPolicy: 'random',
      store: storeDirs(this.dir(name)),
      scheduler: hasty,
      slotCount: 64,
      hashThreads: 1,
      tracker: mode === 'leecher' ? this.tracker.upstream : undefined,
      ...options
    })
    this.t.teardown(async () => { await swarm.close() })
    return swarm
  }

  /** Starts a seeder of these blobs and makes the tracker hand it out as their origin. */
  async origin (name: string, blobs: readonly LabBlob[], options: LabOptions = {}): Promise<Swarm> {
    for (const blob of blobs) await putIntoCache(this.dir(name), blob)
    const swarm = await this.swarm(name, 'seeder', options)
    for (const blob of blobs) this.tracker.know(blob.metaInfo).peers.push(peerInfo(swarm, { isOrigin: true, isComplete: true }))
    return swarm
  }

  /** A scripted seeder; the tracker hands it out for this blob. */
  async scriptedSeeder (blob: LabBlob, misbehaviour: Misbehaviour = {}, kind: 'origin' | 'agent' = 'agent'): Promise<KrakenListener> {
    const id = randomPeerId()
    return await this.scripted(blob, async peer => { await seedTo(peer, blob, id, misbehaviour) }, kind, id)
  }

  /** A scripted acceptor, handed out for this blob. */
  async scripted (blob: LabBlob, talk: Parameters<typeof KrakenListener.start>[0], kind: 'origin' | 'agent' = 'agent', id = randomPeerId()): Promise<KrakenListener> {
    const listener = await KrakenListener.start(talk)
    this.t.teardown(async () => { await listener.close() })
    this.tracker.know(blob.metaInfo).peers.push({ id, ip: '127.0.0.1', port: listener.port, isOrigin: kind === 'origin', isComplete: true })
    return listener
  }
}

/** A blob whose bytes follow from its seed; `withDigests`: the tracker tells the SHA-256 of each piece too. */
export function labBlob (sizeBytes: number, pieceBytes: number, seed: string, { withDigests = true } = {}): LabBlob {
  const { bytes, digest } = randomBlob(sizeBytes, seed)
  const pieces = Array.from({ length: Math.ceil(sizeBytes / pieceBytes) }, (_, i) => bytes.subarray(i * pieceBytes, (i + 1) * pieceBytes))
  const digests = withDigests ? new Uint8Array(Buffer.concat(pieces.map(piece => createHash('sha256').update(piece).digest()))) : undefined
  return { bytes, digest, metaInfo: new MetaInfo(hexOf(digest), sizeBytes, pieceBytes, Uint32Array.from(pieces, piece => crc32(piece)), digests) }
}

export function peerInfo (swarm: Swarm, { isOrigin = false, isComplete = false } = {}): PeerInfo {
  return { id: swarm.peerId, ip: '127.0.0.1', port: swarm.port, isOrigin, isComplete }
}

export function randomPeerId (): PeerId { return randomBytes(20).toString('hex') as PeerId }

export function storeDirs (root: string): { downloadDir: string, cacheDir: string } {
  return { downloadDir: path.join(root, 'download'), cacheDir: path.join(root, 'cache') }
}

export async function putIntoCache (root: string, { metaInfo, bytes }: LabBlob): Promise<void> {
  const dirs = storeDirs(root)
  const dir = blobDir(dirs.cacheDir, metaInfo.name)
  await fs.mkdir(dir, { recursive: true })
  await fs.writeFile(dataIn(dir), bytes)
  // A blob in the cache that has no metainfo is given its own.
  const stored = await new DownloadStore(dirs).create(metaInfo)
  await stored.close()
}

/** Leaves a download behind of which some pieces are on record as stored. */
export async function putIntoDownloads (root: string, { metaInfo, bytes }: SharedBlob, indices: readonly number[]): Promise<void> {
  const stored = await new DownloadStore(storeDirs(root)).create(metaInfo)
  const { lengths } = metaInfo
  const file = await fs.open(stored.path, 'r+')
  try {
    for (const n of indices) {
      const piece = lengths.index(n)
      if (piece === undefined) throw new Error(`there is no piece ${n}`)
      await file.write(bytes, lengths.offsetOf(piece), lengths.sizeOf(piece), lengths.offsetOf(piece))
      await stored.markStored(piece)
    }
  } finally {
    await file.close()
  }
  await stored.close()
}

/** The whole blob as a client reads it. */
export async function readAll (swarm: Swarm, { digest }: LabBlob): Promise<Buffer> {
  const opened = await swarm.open('ns', digest)
  try {
    const parts: Buffer[] = []
    for await (const chunk of opened.chunks()) parts.push(Buffer.from(chunk))
    return Buffer.concat(parts)
  } finally {
    await opened.close()
  }
}

/** Waits until the stats are as wanted; every look is a round trip to the swarm's thread. */
export async function statsWhen (swarm: Swarm, isWanted: (stats: SwarmStats) => boolean): Promise<SwarmStats> {
  let stats = await swarm.stats()
  await until(async () => isWanted(stats = await swarm.stats()), 100_000)
  return stats
}

/** Nothing is left of connections and pieces under way. */
export async function quiet (swarm: Swarm): Promise<SwarmStats> {
  return await statsWhen(swarm, stats => stats.conns === 0 && stats.slotsLeased === 0)
}

/** The files of this process that are open below a directory; none can be seen where there is no /proc. */
export function openFilesBelow (dir: string): string[] {
  try {
    return readdirSync('/proc/self/fd').map(linkOf).filter(file => file.startsWith(dir))
  } catch {
    return []
  }
}

function linkOf (fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return ''
  }
}
