import { type IHasher } from 'hash-wasm'

/**
 * Lets any number of running hashes share one WebAssembly instance, since making one is asynchronous and costs its own
 * memory. The instance holds the state of the hash that was used last; a change of hash saves and loads a few hundred bytes.
 */
export class SharedHasher {
  #current: SharedHash | undefined
  constructor (readonly instance: IHasher) {}

  create (): SharedHash { return new SharedHash(this) }

  /** Puts the state of `hash` into the instance and that of the one before back where it belongs. */
  enter (hash: SharedHash): IHasher {
    if (this.#current === hash) return this.instance
    if (this.#current !== undefined) this.#current.saved = this.instance.save()
    if (hash.saved === undefined) this.instance.init()
    else this.instance.load(hash.saved)
    this.#current = hash
    return this.instance
  }

  /** The instance's state is spent: whoever comes next starts from its own. */
  leave (): void { this.#current = undefined }
}

/** One running hash. */
export class SharedHash {
  /** The state while another hash has the instance; undefined before the first byte. */
  saved: Uint8Array | undefined
  constructor (readonly owner: SharedHasher) {}

  update (bytes: Uint8Array): void { this.owner.enter(this).update(bytes) }

  /** The sum so far; more bytes may follow. */
  digest (): Uint8Array {
    const instance = this.owner.enter(this)
    this.saved = instance.save()
    const sum = instance.digest('binary')
    this.owner.leave()
    return sum
  }
}
