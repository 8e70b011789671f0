import { after, type Millis } from '../core/clock.js'
import { type Prng } from '../core/prng.js'

/*
 *            nothing of our own share is left to ask
 *   free -----------------------------------------------> held
 *     ^                                                    |
 *     +--- the agents deliver too slowly, or for 10 s -----+
 */
type State =
  | { readonly type: 'free', readonly until: Millis }
  /** `patience` runs out unless the agents deliver. */
  | { readonly type: 'held', readonly until: Millis, readonly patience: Millis }

/** How long origins may be asked for anything before they are spared again. */
const FREE_MS = 500
/** ... which doubles with each vain attempt to spare them. */
const FREE_MS_MAX = 16_000
/** After this long the speed with the origins' help is measured again. */
const HELD_MS_MAX = 10_000
/**
 * The agents are enough if they deliver at this part of the speed that was reached with the origins' help. An agent that
 * receives at full speed itself has little time to serve, so this is far from one.
 */
const ENOUGH = 0.15
/** How long nothing may come from the agents: a pause, and the time that a piece takes at this rate ... */
const PATIENCE_MS = 100
const PATIENCE_BYTES_PER_MS = 20_000
/**
 * ... and at least that of so many pieces while the origins helped. What an agent passes on was asked for, checked and
 * announced there first; where pieces take long, on hosts with much else to do, all of that does.
 */
const PATIENCE_GAPS = 16
/** Weight of the latest piece in the mean time between pieces. */
const WEIGHT = 0.2

/**
 * Whether origins may be asked for pieces that other agents have, or are expected to fetch. Sparing the origins must not
 * slow a download down by much, and what the network can do is not known, so it is tried: as long as the agents alone deliver
 * some part of what agents and origins together did, the origins are left in peace.
 */
export class OriginRestraint {
  #state: State = { type: 'free', until: -Infinity as Millis }
  #freeMs = FREE_MS
  #gapMs: number | undefined
  #lastAt: Millis | undefined

  constructor (readonly pieceBytes: number) {}

  get isHeld (): boolean { return this.#state.type === 'held' }
  /** The mean time between two pieces while origins helped; undefined until two came. */
  get gapMs (): number | undefined { return this.#gapMs }

  /**
   * Asked when origins could take requests, but only for pieces beyond our own share.
   * @param originsAreBusy - they still owe us pieces of our share, so nothing is lost by waiting
   */
  allows (now: Millis, originsAreBusy: boolean, prng: Prng): boolean {
    if (this.#state.type === 'free') {
      if (now < this.#state.until) return true
      this.#state = { type: 'held', until: after(now, HELD_MS_MAX), patience: this.#patience(now, prng) }
      return false
    }
    if (originsAreBusy || (now < this.#state.patience && now < this.#state.until)) return false
    this.#freeMs = now < this.#state.until ? Math.min(this.#freeMs * 2, FREE_MS_MAX) : FREE_MS
    this.#state = { type: 'free', until: after(now, this.#freeMs) }
    return true
  }

  /** A piece was stored. */
  stored (now: Millis, isFromOrigin: boolean, originsAreBusy: boolean, prng: Prng): void {
    if (!this.isHeld || originsAreBusy) this.#measure(now)
    this.#lastAt = now
    if (this.#state.type !== 'held') return
    if (isFromOrigin) this.#extend(this.#patience(now, prng))
    else if (this.#gapMs !== undefined) this.#extend(Math.min(this.#state.patience + this.#gapMs / ENOUGH, this.#patience(now, prng)))
  }

  #measure (now: Millis): void {
    if (this.#lastAt === undefined) return
    const gapMs = now - this.#lastAt
    this.#gapMs = this.#gapMs === undefined ? gapMs : this.#gapMs + WEIGHT * (gapMs - this.#gapMs)
  }

  #extend (patience: number): void {
    if (this.#state.type === 'held' && patience > this.#state.patience) this.#state = { ...this.#state, patience: patience as Millis }
  }

  /** Longer for some than for others, so that not all who wait for the same piece lose patience together. */
  #patience (now: Millis, prng: Prng): Millis {
    const pauseMs = Math.max(PATIENCE_MS + this.pieceBytes / PATIENCE_BYTES_PER_MS, PATIENCE_GAPS * (this.#gapMs ?? 0))
    return after(now, pauseMs * (1 + prng.next()))
  }
}
