/** What has a time; lower comes first. */
export interface Dated<T> { readonly at: number, readonly item: T }

/** A binary heap: the earliest entry first. Entries are never changed; one that no longer counts is skipped by its owner. */
export class DueHeap<T> {
  readonly #entries: Array<Dated<T>> = []

  get size (): number { return this.#entries.length }

  peek (): Dated<T> | undefined { return this.#entries[0] }

  push (entry: Dated<T>): void {
    const entries = this.#entries
    let at = entries.push(entry) - 1
    while (at > 0) {
      const up = (at - 1) >> 1
      const parent = entries[up]
      if (parent === undefined || parent.at <= entry.at) break
      entries[at] = parent
      at = up
    }
    entries[at] = entry
  }

  pop (): Dated<T> | undefined {
    const entries = this.#entries
    const first = entries[0]
    const last = entries.pop()
    if (first === undefined || last === undefined || entries.length === 0) return first
    let at = 0
    for (;;) {
      const left = entries[2 * at + 1]
      const right = entries[2 * at + 2]
      if (left === undefined) break
      const isRight = right !== undefined && right.at < left.at
      const child = isRight ? right : left
      if (child.at >= last.at) break
      entries[at] = child
      at = 2 * at + (isRight ? 2 : 1)
    }
    entries[at] = last
    return first
  }
}
