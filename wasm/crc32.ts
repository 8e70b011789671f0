import * as zlib from 'node:zlib'
import { createCRC32 } from 'hash-wasm'
import { type HashEngine } from './engine.js'
import { type SharedHash, SharedHasher } from './shared-hasher.js'

/** A running CRC-32 (IEEE 802.3, the one of zlib). */
export interface Crc32 {
  update (bytes: Uint8Array): this
  /** The sum of all bytes so far, unsigned; more may follow. */
  digest (): number
}

export interface Crc32Kernel {
  readonly engine: 'native' | 'wasm'
  create (): Crc32
}

/** @throws Error if `native` is asked for on a Node.js that has no `zlib.crc32` (before 20.15) */
export async function loadCrc32 (engine: HashEngine): Promise<Crc32Kernel> {
  const { crc32 } = zlib as { readonly crc32?: NativeCrc32 }
  if (engine !== 'wasm' && crc32 !== undefined) return { engine: 'native', create: () => new Native(crc32) }
  if (engine === 'native') throw new Error(`Node.js ${process.version} has no native CRC-32: use the engine "wasm" or "auto"`)
  const shared = new SharedHasher(await createCRC32())
  return { engine: 'wasm', create: () => new Wasm(shared.create()) }
}

/** Absent from the types and from the oldest versions that we run on. */
type NativeCrc32 = (bytes: Uint8Array, sum: number) => number

class Native implements Crc32 {
  #sum = 0
  constructor (readonly crc32: NativeCrc32) {}

  update (bytes: Uint8Array): this {
    this.#sum = this.crc32(bytes, this.#sum)
    return this
  }

  digest (): number { return this.#sum }
}

class Wasm implements Crc32 {
  constructor (readonly hash: SharedHash) {}

  update (bytes: Uint8Array): this {
    this.hash.update(bytes)
    return this
  }

  digest (): number {
    const sum = this.hash.digest()
    return new DataView(sum.buffer, sum.byteOffset, sum.byteLength).getUint32(0)
  }
}
