import { type Millis } from '../../../runtime/core/clock.js'

interface Scheduled { readonly at: Millis, readonly order: number, readonly run: () => void }

/** The virtual clock: what is to happen, the earliest first, and what was entered first among equals. */
export class EventHeap {
  now = 0 as Millis
  readonly #heap: Scheduled[] = []
  #order = 0

  get size (): number { return this.#heap.length }

  in (ms: number, run: () => void): void { this.at(this.now + Math.max(0, ms) as Millis, run) }

  at (at: Millis, run: () => void): void {
    const heap = this.#heap
    const item: Scheduled = { at: Math.max(at, this.now) as Millis, order: this.#order++, run }
    let i = heap.length
    heap.push(item)
    while (i > 0) {
      const parent = heap[(i - 1) >> 1]
      if (parent === undefined || isBefore(parent, item)) break
      heap[i] = parent
      i = (i - 1) >> 1
    }
    heap[i] = item
  }

  /** Moves the clock to the next event and lets it happen; false if there is none up to `until`. */
  next (until: Millis): boolean {
    const [first] = this.#heap
    if (first === undefined || first.at > until) {
      this.now = until
      return false
    }
    this.#removeFirst()
    this.now = first.at
    first.run()
    return true
  }

  #removeFirst (): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      const left = heap[child]
      const right = heap[child + 1]
      if (left === undefined) break
      if (right !== undefined && isBefore(right, left)) child++
      const smaller = heap[child]
      if (smaller === undefined || isBefore(last, smaller)) break
      heap[i] = smaller
      i = child
    }
    heap[i] = last
  }
}

function isBefore (a: Scheduled, b: Scheduled): boolean { return a.at < b.at || (a.at === b.at && a.order < b.order) }
