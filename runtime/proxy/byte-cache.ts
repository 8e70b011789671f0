/** A map of immutable bytes that forgets what was not used for the longest time, so that it never holds more than `bytesMax`. */
export class ByteCache<Key> {
  /** In the order of their last use. */
  readonly #entries = new Map<Key, Uint8Array>()
  #sizeBytes = 0

  constructor (readonly bytesMax: number) {}

  get sizeBytes (): number { return this.#sizeBytes }

  get (key: Key): Uint8Array | undefined {
    const bytes = this.#entries.get(key)
    if (bytes === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, bytes)
    return bytes
  }

  /** Bytes that alone are too many are not kept. */
  set (key: Key, bytes: Uint8Array): void {
    this.delete(key)
    if (bytes.length > this.bytesMax) return
    this.#entries.set(key, bytes)
    this.#sizeBytes += bytes.length
    for (const oldest of this.#entries.keys()) {
      if (this.#sizeBytes <= this.bytesMax) return
      this.delete(oldest)
    }
  }

  delete (key: Key): void {
    this.#sizeBytes -= this.#entries.get(key)?.length ?? 0
    this.#entries.delete(key)
  }
}
