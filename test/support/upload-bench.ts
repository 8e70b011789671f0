import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test } from 'tap'
import { type Clock, systemClock } from '../../runtime/core/clock.js'
import { type Digest, hexOf } from '../../runtime/core/digest.js'
import { Slab } from '../../runtime/core/slab.js'
import { blobDir, dataIn } from '../../runtime/store/paths.js'
import { type UploadOptions } from '../../workers/jobs.js'
import { UploadService } from '../../workers/upload.js'
import { must } from './must.js'

const SLOT_BYTES = 16

/** An upload service without its thread, on tiny poisoned slots, and a sender of chunks. */
export class UploadBench {
  private constructor (readonly options: UploadOptions, readonly slab: Slab, readonly service: UploadService) {}

  static async create (t: Test, options: Partial<UploadOptions> = {}, clock: Clock = systemClock): Promise<UploadBench> {
    const root = t.testdir({})
    const slab = Slab.create(64, SLOT_BYTES, { poison: true })
    const all: UploadOptions = {
      uploadDir: join(root, 'upload'),
      cacheDir: join(root, 'cache'),
      slab: slab.memory,
      isPoisoned: true,
      pieceLengths: [{ minBlobBytes: 0, pieceBytes: 4 }, { minBlobBytes: 100, pieceBytes: 32 }],
      uploadTtlMs: Infinity,
      reserveBytes: 0,
      isDurable: false,
      hashEngine: 'auto',
      ...options
    }
    return new UploadBench(all, slab, await UploadService.create(all, clock))
  }

  /** The same directories under a new service, as after a crash of the process. */
  async restarted (clock: Clock = systemClock): Promise<UploadBench> {
    return new UploadBench(this.options, this.slab, await UploadService.create(this.options, clock))
  }

  get calls (): UploadService['handlers'] { return this.service.handlers }

  async start (sizeBytesHint?: number): Promise<string> { return (await this.calls.start({ sizeBytesHint }, context)).upload }

  async status (upload: string): Promise<number | undefined> { return (await this.calls.status({ upload }, context))?.sizeBytes }

  /** Sends bytes slot by slot without waiting in between; resolves when all are answered. */
  async append (upload: string, bytes: Uint8Array, offset: number): Promise<void> {
    const answers: Array<Promise<unknown>> = []
    for (let at = 0; at < bytes.length; at += SLOT_BYTES) {
      const part = bytes.subarray(at, at + SLOT_BYTES)
      const lease = must(this.slab.lease(), 'a free slot')
      lease.bytes.set(part)
      const { slot, generation } = this.slab.seal(lease, part.length)
      answers.push(Promise.resolve(this.calls.append({ upload, slot, generation, lengthBytes: part.length, offset: offset + at }, context)))
    }
    const failed = (await Promise.allSettled(answers)).find(answer => answer.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  async truncate (upload: string, sizeBytes: number): Promise<void> { await this.calls.truncate({ upload, sizeBytes }, context) }

  async commit (upload: string, digest: Digest): Promise<number> { return (await this.calls.commit({ upload, digest }, context)).sizeBytes }

  async cancel (upload: string): Promise<boolean> { return (await this.calls.cancel({ upload }, context)).existed }

  dirOf (digest: Digest): string { return blobDir(this.options.cacheDir, hexOf(digest)) }

  /** The blob's content if it is in the cache. */
  cached (digest: Digest): Buffer | undefined {
    const path = dataIn(this.dirOf(digest))
    return existsSync(path) ? readFileSync(path) : undefined
  }

  get uploadsOnDisk (): string[] { return readdirSync(this.options.uploadDir) }
}

const context = { signal: new AbortController().signal }
