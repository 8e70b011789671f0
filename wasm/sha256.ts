import { createHash, type Hash } from 'node:crypto'
import { createSHA256 } from 'hash-wasm'
import { type HashEngine } from './engine.js'
import { type SharedHash, SharedHasher } from './shared-hasher.js'

/** A running SHA-256. */
export interface Sha256 {
  update (bytes: Uint8Array): this
  /** The 32 bytes of the sum of all bytes so far; more may follow. */
  digest (): Uint8Array
}

export interface Sha256Kernel {
  readonly engine: 'native' | 'wasm'
  create (): Sha256
}

/** Every Node.js has a native SHA-256, so `auto` is `native`. */
export async function loadSha256 (engine: HashEngine): Promise<Sha256Kernel> {
  if (engine !== 'wasm') return { engine: 'native', create: () => new Native() }
  const shared = new SharedHasher(await createSHA256())
  return { engine: 'wasm', create: () => new Wasm(shared.create()) }
}

class Native implements Sha256 {
  readonly #hash: Hash = createHash('sha256')

  update (bytes: Uint8Array): this {
    this.#hash.update(bytes)
    return this
  }

  digest (): Uint8Array { return this.#hash.copy().digest() }
}

class Wasm implements Sha256 {
  constructor (readonly hash: SharedHash) {}

  update (bytes: Uint8Array): this {
    this.hash.update(bytes)
    return this
  }

  digest (): Uint8Array { return this.hash.digest() }
}
