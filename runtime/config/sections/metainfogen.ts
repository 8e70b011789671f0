import { PIECE_BYTES_MAX } from '../../core/metainfo.js'
import { type Infer, map, section } from '../schema.js'
import { sizeShape } from '../shapes.js'

/** In which pieces a blob is cut; part of its info hash (p2p specification 3.2). */
export const metainfogen = section({
  piece_lengths: map({
    as: 'pieceLengths',
    key: sizeShape({ min: 0 }),
    value: sizeShape({ min: 1, max: PIECE_BYTES_MAX }),
    min: 1,
    doc: 'Piece length by the smallest blob that gets it, such as `0: 4MB`. All origins of a cluster must have the same.'
  })
}, ({ pieceLengths }) => pieceLengths
  .map(([minBlobBytes, pieceBytes]) => ({ minBlobBytes, pieceBytes }))
  .sort((a, b) => a.minBlobBytes - b.minBlobBytes))

/** In ascending order of `minBlobBytes`, at least one. */
export type PieceLengthConfig = Readonly<Infer<typeof metainfogen>[number]>
