import assert from 'node:assert/strict'
import { after, type Millis } from '../core/clock.js'
import { type InfoHash } from '../core/infohash.js'
import { type Prng } from '../core/prng.js'

/*
 *             due                    answer, failure, or none for a minute
 *   waiting ------> asking ------------------------------------------------> waiting
 */
type State =
  | { readonly type: 'waiting', readonly dueAt: Millis, readonly since: Millis }
  | { readonly type: 'asking', readonly since: Millis }
interface Entry { state: State, failures: number }

const INTERVAL_DEFAULT_MS = 5_000
const INTERVAL_MS_MAX = 60_000
/** A failed announce is repeated after one to two of these, then twice that ... up to `INTERVAL_MS_MAX`. */
const RETRY_MS = 1_000
/** An announce takes 10 s at most; one without any outcome after this long is taken for failed. */
const ANSWER_MS_MAX = 60_000

/**
 * When each torrent is announced next. Every torrent has its own rhythm: with many downloads at once each still hears of
 * new peers every interval.
 */
export class AnnounceQueue {
  readonly #entries = new Map<InfoHash, Entry>()

  get size (): number { return this.#entries.size }

  /** Enters a torrent that is due at once; nothing happens if it is here already. */
  add (infoHash: InfoHash, now: Millis): void {
    if (!this.#entries.has(infoHash)) this.#entries.set(infoHash, { state: { type: 'waiting', dueAt: now, since: now }, failures: 0 })
  }

  remove (infoHash: InfoHash): void { this.#entries.delete(infoHash) }

  /** True if the torrent may be announced now; it is then taken to be under way. False if that is so already. */
  begin (infoHash: InfoHash, now: Millis): boolean {
    const entry = this.#entries.get(infoHash)
    if (entry === undefined || entry.state.type === 'asking') return false
    entry.state = { type: 'asking', since: now }
    return true
  }

  /** Brings the next announce forward to `ms` after the last outcome. */
  hasten (infoHash: InfoHash, ms: number): void {
    const entry = this.#entries.get(infoHash)
    if (entry?.state.type !== 'waiting' || entry.failures > 0) return
    const dueAt = after(entry.state.since, ms)
    if (dueAt < entry.state.dueAt) entry.state = { ...entry.state, dueAt }
  }

  /** Puts the next announce off by an interval without having asked. */
  skip (infoHash: InfoHash, now: Millis): void { this.#wait(infoHash, now, INTERVAL_DEFAULT_MS) }

  /** @param intervalMs - as the tracker wants it; 0 and more than a minute are not believed (p2p specification 6.9) */
  answered (infoHash: InfoHash, now: Millis, intervalMs: number): void {
    const entry = this.#entries.get(infoHash)
    if (entry === undefined) return
    entry.failures = 0
    this.#wait(infoHash, now, intervalMs > 0 && intervalMs <= INTERVAL_MS_MAX ? intervalMs : INTERVAL_DEFAULT_MS)
  }

  failed (infoHash: InfoHash, now: Millis, prng: Prng): void {
    const entry = this.#entries.get(infoHash)
    if (entry === undefined) return
    const growingMs = Math.min(RETRY_MS * 2 ** entry.failures, INTERVAL_MS_MAX / 2)
    entry.failures = Math.min(entry.failures + 1, 10)
    this.#wait(infoHash, now, growingMs * (1 + prng.next()))
  }

  /** The torrents that are to be announced now, the most overdue first, at most `count`. */
  due (now: Millis, count: number): InfoHash[] {
    const due: Array<{ infoHash: InfoHash, dueAt: Millis }> = []
    for (const [infoHash, { state }] of this.#entries) {
      const dueAt = state.type === 'waiting' ? state.dueAt : after(state.since, ANSWER_MS_MAX)
      if (dueAt > now) continue
      if (state.type === 'asking') this.#wait(infoHash, now, 0)
      due.push({ infoHash, dueAt })
    }
    return due.sort((a, b) => a.dueAt - b.dueAt).slice(0, count).map(({ infoHash }) => infoHash)
  }

  #wait (infoHash: InfoHash, now: Millis, ms: number): void {
    const entry = this.#entries.get(infoHash)
    assert(entry !== undefined)
    entry.state = { type: 'waiting', dueAt: after(now, ms), since: now }
  }
}
