/** Lets one piece of work run at a time for each key, in the order of asking. Keys without work take no memory. */
export class KeyedLock<Key> {
  readonly #tails = new Map<Key, Promise<unknown>>()

  async run<T> (key: Key, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve()
    const result = before.then(work)
    const tail = result.catch(() => {}).finally(() => { if (this.#tails.get(key) === tail) this.#tails.delete(key) })
    this.#tails.set(key, tail)
    return await result
  }
}
