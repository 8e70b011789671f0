import { type PieceLengthConfig } from '../config/types.js'

/**
 * The piece length for a blob: that of the last entry whose minimum the size reaches, and the first one's below all of
 * them (p2p specification 3.2).
 * @param table - in ascending order of `minBlobBytes`; undefined is returned only for an empty one
 */
export function pieceBytesFor (table: readonly PieceLengthConfig[], sizeBytes: number): number | undefined {
  return (table.findLast(entry => entry.minBlobBytes <= sizeBytes) ?? table[0])?.pieceBytes
}
