import { type Digest, digestFromSum } from '../runtime/core/digest.js'
import { SHA256_BYTES } from '../runtime/core/metainfo.js'
import { type Crc32, type Crc32Kernel, loadCrc32 } from '../wasm/crc32.js'
import { type HashEngine } from '../wasm/engine.js'
import { loadSha256, type Sha256, type Sha256Kernel } from '../wasm/sha256.js'

/** The two kernels that all sums are made with. */
export interface Kernels { readonly crc32: Crc32Kernel, readonly sha256: Sha256Kernel }

export async function loadKernels (engine: HashEngine): Promise<Kernels> {
  const [crc32, sha256] = await Promise.all([loadCrc32(engine), loadSha256(engine)])
  return { crc32, sha256 }
}

/** What there is to know about some bytes. The lists are empty where no piece length was given. */
export interface Sums {
  readonly sizeBytes: number
  readonly digest: Digest
  readonly crcs: Uint32Array
  /** 32 bytes for each piece, in piece order. */
  readonly sha256s: Uint8Array
}

/**
 * All sums of a blob, computed in one pass over its bytes as they come. The first piece costs nothing extra, since its
 * SHA-256 is the state of the whole at its end: for blobs of one piece, which most are, that halves the work.
 */
export class RunningSums {
  readonly #whole: Sha256
  #piece: { readonly crc: Crc32, readonly sha: Sha256 } | undefined
  readonly #crcs: number[] = []
  readonly #shas: Uint8Array[] = []
  /** Bytes of the current piece that were seen. */
  #pieceAt = 0
  #sizeBytes = 0

  /** @param pieceBytes - undefined if only the whole is of interest */
  constructor (readonly kernels: Kernels, readonly pieceBytes: number | undefined) {
    this.#whole = kernels.sha256.create()
  }

  /** How many bytes were seen. */
  get sizeBytes (): number { return this.#sizeBytes }

  update (bytes: Uint8Array): void {
    this.#sizeBytes += bytes.length
    if (this.pieceBytes === undefined) {
      this.#whole.update(bytes)
      return
    }
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + this.pieceBytes - this.#pieceAt)
      this.#whole.update(part)
      this.#updatePiece(part)
      at += part.length
      this.#pieceAt += part.length
      if (this.#pieceAt === this.pieceBytes) this.#endPiece()
    }
  }

  /** The sums of what was seen; afterwards this must not be used any more. */
  finish (): Sums {
    if (this.#pieceAt > 0) this.#endPiece()
    return {
      sizeBytes: this.#sizeBytes,
      digest: digestFromSum(this.#whole.digest()),
      crcs: Uint32Array.from(this.#crcs),
      sha256s: concat(this.#shas)
    }
  }

  get #isFirstPiece (): boolean { return this.#crcs.length === 0 }

  #updatePiece (part: Uint8Array): void {
    this.#piece ??= { crc: this.kernels.crc32.create(), sha: this.kernels.sha256.create() }
    this.#piece.crc.update(part)
    if (!this.#isFirstPiece) this.#piece.sha.update(part)
  }

  #endPiece (): void {
    if (this.#piece === undefined) return
    this.#shas.push(this.#isFirstPiece ? this.#whole.digest() : this.#piece.sha.digest())
    this.#crcs.push(this.#piece.crc.digest())
    this.#piece = undefined
    this.#pieceAt = 0
  }
}

function concat (sums: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(sums.length * SHA256_BYTES)
  for (const [i, sum] of sums.entries()) all.set(sum, i * SHA256_BYTES)
  return all
}
