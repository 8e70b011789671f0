import { type Clock } from '../core/clock.js'
import { decodeAccessTime, encodeAccessTime, readSidecar, writeSidecar } from './sidecars.js'
import { SIDECARS } from './paths.js'

/** Access times are exact to this much, which keeps reading from writing (cluster specification 1.5). */
const TOUCH_INTERVAL_MS = 5 * 60_000
/** How many entries are remembered as touched lately; beyond that all are forgotten and looked up again. */
const REMEMBERED_MAX = 65_536

/** When entries were last read, kept in a sidecar of each. */
export class AccessTimes {
  /** Directory -> Unix milliseconds at which it was touched or found to be touched. */
  readonly #touched = new Map<string, number>()
  constructor (readonly clock: Clock) {}

  /** Notes an access, on disk only if the last one noted there is 5 minutes old. @throws AppError STORAGE */
  async touch (dir: string): Promise<void> {
    const nowMs = this.clock.wall()
    const knownMs = this.#touched.get(dir) ?? await this.read(dir)
    if (knownMs !== undefined && nowMs - knownMs < TOUCH_INTERVAL_MS) {
      this.#remember(dir, knownMs)
      return
    }
    await writeSidecar(dir, SIDECARS.lastAccess, encodeAccessTime(Math.floor(nowMs / 1000)))
    this.#remember(dir, nowMs)
  }

  /** Unix milliseconds of the last access on record, or undefined. */
  async read (dir: string): Promise<number | undefined> {
    const bytes = await readSidecar(dir, SIDECARS.lastAccess)
    const unixSeconds = bytes === undefined ? undefined : decodeAccessTime(bytes)
    return unixSeconds === undefined ? undefined : unixSeconds * 1000
  }

  forget (dir: string): void { this.#touched.delete(dir) }

  #remember (dir: string, unixMs: number): void {
    if (this.#touched.size >= REMEMBERED_MAX) this.#touched.clear()
    this.#touched.set(dir, unixMs)
  }
}
