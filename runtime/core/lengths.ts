import { type Brand } from './brand.js'

/** The index of a piece that exists; only `Lengths.index` makes one. */
export type PieceIndex = Brand<number, 'PieceIndex'>

/** How a blob of `totalBytes` is cut into pieces of `pieceBytes`; the last piece may be shorter. */
export class Lengths {
  readonly pieceCount: number
  constructor (readonly totalBytes: number, readonly pieceBytes: number) {
    this.pieceCount = Math.ceil(totalBytes / pieceBytes)
  }

  /** The only way to obtain a PieceIndex; `undefined` for a number that no piece has. */
  index (n: number): PieceIndex | undefined {
    return Number.isInteger(n) && n >= 0 && n < this.pieceCount ? n as PieceIndex : undefined
  }

  /** Where the piece begins in the blob, in bytes. */
  offsetOf (piece: PieceIndex): number { return piece * this.pieceBytes }

  /** Exact size of the piece in bytes. */
  sizeOf (piece: PieceIndex): number {
    return piece === this.pieceCount - 1 ? this.totalBytes - this.pieceBytes * piece : this.pieceBytes
  }

  * indices (): Generator<PieceIndex> {
    for (let i = 0; i < this.pieceCount; i++) yield i as PieceIndex
  }
}
