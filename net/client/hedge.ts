import { type Sleep } from './upstream.js'

/** How long somebody who says nothing is waited for before another one is asked beside him. */
const HEDGE_MS = 400

export interface Hedge<Host, T> {
  /** Asks one host. `heard` is to be called when it answers anything, since somebody who talks is not doubled. */
  readonly ask: (host: Host, heard: () => void) => Promise<T>
  /** Whether this answer is what was looked for; default any is. One that is not counts like a failure. */
  readonly isGood?: ((answer: T) => boolean) | undefined
  /** Whether after this failure nobody else has to be asked. */
  readonly isFinal: (error: unknown) => boolean
  /** Called with good answers that come when there is one already. */
  readonly onSpare?: (answer: T) => void
  readonly sleep: Sleep
  /** Default 400; Infinity: nobody is asked beside another one. */
  readonly afterMs?: number
}

/** What became of asking everybody, if nobody had a good answer. */
export interface Asked<T> { readonly answers: readonly T[], readonly failures: readonly unknown[] }

export type Hedged<T> = { readonly isGood: true, readonly answer: T } | ({ readonly isGood: false } & Asked<T>)

/**
 * Asks hosts in order until one has a good answer: the next one when one has failed, and also beside one that says nothing
 * for a moment. The first good answer counts. Those that are not needed any more go on, so that it is noticed who is gone.
 * Only for what may be done twice. @throws a failure that is final
 */
export async function hedged<Host, T> (hosts: readonly Host[], hedge: Hedge<Host, T>): Promise<Hedged<T>> {
  return await new Promise((resolve, reject) => { new Asking(hosts, hedge, resolve, reject).next() })
}

class Asking<Host, T> {
  readonly #rest: Host[]
  readonly #over = new AbortController()
  readonly #answers: T[] = []
  readonly #failures: unknown[] = []
  #running = 0

  constructor (
    hosts: readonly Host[], readonly hedge: Hedge<Host, T>, readonly resolve: (outcome: Hedged<T>) => void, readonly reject: (error: unknown) => void
  ) {
    this.#rest = [...hosts]
  }

  next (): void {
    const host = this.#rest.shift()
    if (host !== undefined) void this.#askOne(host)
    else if (this.#running === 0) this.#end(() => { this.resolve({ isGood: false, answers: this.#answers, failures: this.#failures }) })
  }

  /** Never rejects. */
  async #askOne (host: Host): Promise<void> {
    const { ask, isGood, isFinal } = this.hedge
    const heard = new AbortController()
    let isFollowed = false
    const follow = (): void => {
      if (isFollowed && this.#running > 0) return
      isFollowed = true
      this.next()
    }
    this.#running++
    this.#whenSilent(heard.signal, follow)
    try {
      const answer = await ask(host, () => { heard.abort() })
      if (isGood?.(answer) !== false) return this.#found(answer)
      this.#answers.push(answer)
    } catch (error) {
      if (isFinal(error)) return this.#end(() => { this.reject(error) })
      this.#failures.push(error)
    } finally {
      this.#running--
      heard.abort()
    }
    if (!this.#over.signal.aborted) follow()
  }

  #whenSilent (heard: AbortSignal, follow: () => void): void {
    const { sleep, afterMs = HEDGE_MS } = this.hedge
    if (this.#rest.length === 0 || afterMs === Infinity) return
    const either = AbortSignal.any([this.#over.signal, heard])
    sleep(afterMs, either).then(() => { if (!either.aborted) follow() }, () => {})
  }

  #found (answer: T): void {
    if (this.#over.signal.aborted) this.hedge.onSpare?.(answer)
    else this.#end(() => { this.resolve({ isGood: true, answer }) })
  }

  #end (outcome: () => void): void {
    if (this.#over.signal.aborted) return
    this.#over.abort()
    outcome()
  }
}
