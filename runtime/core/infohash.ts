import { createHash } from 'node:crypto'
import { type Brand } from './brand.js'
import { AppError } from './errors.js'

/** 40 lower-case hex characters: the name of a torrent among peers. */
export type InfoHash = Brand<string, 'InfoHash'>

/** Parses 40 hex characters of either case. @throws AppError PARAMETER_INVALID with Kraken's text (http-api specification 6.2) */
export function parseInfoHash (text: string): InfoHash {
  if (text.length !== 40) {
    throw new AppError('PARAMETER_INVALID', `invalid hash: expected 40 characters, got ${text.length}`)
  }
  if (!/^[0-9a-fA-F]{40}$/.test(text)) throw new AppError('PARAMETER_INVALID', 'invalid hash: not hexadecimal')
  return text.toLowerCase() as InfoHash
}

/** The four fields that enter the hash; see `MetaInfo`. */
export interface HashedInfo {
  readonly lengthBytes: number
  readonly name: string
  readonly pieceBytes: number
  readonly pieceSums: ArrayLike<number>
}

/**
 * SHA-1 over the bencoding of the four fields in key order (p2p specification 3.4). Built piecewise, since a large blob
 * has tens of thousands of sums.
 */
export function infoHashOf (info: HashedInfo): InfoHash {
  const hash = createHash('sha1')
  hash.update(`d6:Lengthi${info.lengthBytes}e4:Name${info.name.length}:${info.name}11:PieceLengthi${info.pieceBytes}e9:PieceSumsl`)
  let part = ''
  for (let i = 0; i < info.pieceSums.length; i++) {
    part += `i${info.pieceSums[i]}e`
    if (part.length > 16_384) {
      hash.update(part)
      part = ''
    }
  }
  return hash.update(part + 'ee').digest('hex') as InfoHash
}
