import { type Sleep } from '../../net/client/upstream.js'
import { type Clock } from '../core/clock.js'
import { AppError } from '../core/errors.js'

/** Bytes may be this far ahead of their time, so that short objects are not slowed down. */
const BURST_MS = 100

/**
 * Holds a rate in bytes per second over all who take from it, in the order of asking. What is taken is paid for by waiting,
 * chunk by chunk, so that the rate holds for objects of any size (cluster specification 11, B27).
 *
 *   free at --> | chunk | chunk |  ...        each chunk moves the time at which the line is free again
 */
export class Throttle {
  #freeAtMs = 0

  /** @param bytesPerSecond - above 0; may be changed at any time */
  constructor (public bytesPerSecond: number, readonly clock: Clock, readonly sleep: Sleep) {}

  /** Resolves when `bytes` more may pass. @throws AppError CANCELLED */
  async take (bytes: number, signal: AbortSignal): Promise<void> {
    const now = this.clock.now()
    this.#freeAtMs = Math.max(this.#freeAtMs, now - BURST_MS) + bytes / this.bytesPerSecond * 1000
    if (this.#freeAtMs <= now) return
    try {
      await this.sleep(this.#freeAtMs - now, signal)
    } catch (cause) {
      throw new AppError('CANCELLED', 'cancelled while waiting for bandwidth', { cause })
    }
  }
}

/** The same chunks at the throttle's rate. */
export async function * throttled (chunks: AsyncIterable<Uint8Array>, throttle: Throttle, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for await (const chunkView of chunks) {
    await throttle.take(chunkView.length, signal)
    yield chunkView
  }
}
