/** What a `Recency` can hold: it carries its own links, so that moving it costs no allocation. */
export interface Aged<T> {
  older: T | undefined
  newer: T | undefined
}

/**
 * Items in the order in which they were last touched.
 *
 *   oldest <-> ... <-> newest          a touched item moves to the right end; the left end is what goes first
 *
 * A `Map` would do the same by delete and set, but finding its first key walks over every deleted one.
 */
export class Recency<T extends Aged<T>> {
  #oldest: T | undefined
  #newest: T | undefined

  /** The item that was not touched for the longest time. */
  get oldest (): T | undefined { return this.#oldest }

  /** Enters an item that is in no other list, as the newest one. */
  add (item: T): void {
    item.older = this.#newest
    item.newer = undefined
    if (this.#newest === undefined) this.#oldest = item
    else this.#newest.newer = item
    this.#newest = item
  }

  /** Makes an item of this list the newest one. */
  touch (item: T): void {
    if (item === this.#newest) return
    this.remove(item)
    this.add(item)
  }

  /** Takes an item out of this list. */
  remove (item: T): void {
    if (item.older === undefined) this.#oldest = item.newer
    else item.older.newer = item.newer
    if (item.newer === undefined) this.#newest = item.older
    else item.newer.older = item.older
    item.older = undefined
    item.newer = undefined
  }
}
