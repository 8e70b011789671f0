import { type DigestHex, parseDigestHex, digestFromHex, type Digest } from './digest.js'
import { AppError } from './errors.js'
import { type InfoHash, infoHashOf } from './infohash.js'
import { field, isRecord, parseJson } from './json.js'
import { Lengths } from './lengths.js'

/** Pieces are addressed by a signed 32-bit length on the wire, so none may be longer (p2p specification, appendix A). */
export const PIECE_BYTES_MAX = 0x7fffffff
/** Size of one SHA-256 sum. */
export const SHA256_BYTES = 32

/**
 * The list of pieces of one blob (p2p specification 3). Immutable; the info hash is computed, never transported.
 * `pieceDigests`, where an origin of ours supplied it, holds the SHA-256 of every piece, 32 bytes each, in piece order.
 */
export class MetaInfo {
  readonly digest: Digest
  readonly lengths: Lengths
  readonly infoHash: InfoHash

  /** @throws AppError BODY_INVALID if the numbers contradict each other */
  constructor (
    readonly name: DigestHex,
    lengthBytes: number,
    pieceBytes: number,
    /** CRC-32 (IEEE) of each piece, unsigned. */
    readonly pieceSums: Uint32Array,
    readonly pieceDigests?: Uint8Array
  ) {
    if (!isWithin(pieceBytes, 1, PIECE_BYTES_MAX)) throw invalid(name, `piece length ${pieceBytes} is not between 1 and ${PIECE_BYTES_MAX}`)
    if (!isWithin(lengthBytes, 0, Number.MAX_SAFE_INTEGER)) throw invalid(name, `length ${lengthBytes} is no size`)
    this.lengths = new Lengths(lengthBytes, pieceBytes)
    if (pieceSums.length !== this.lengths.pieceCount) {
      throw invalid(name, `${pieceSums.length} piece sums for ${this.lengths.pieceCount} pieces`)
    }
    if (pieceDigests !== undefined && pieceDigests.length !== SHA256_BYTES * this.lengths.pieceCount) {
      throw invalid(name, `${pieceDigests.length} bytes of piece digests for ${this.lengths.pieceCount} pieces`)
    }
    this.digest = digestFromHex(name)
    this.infoHash = infoHashOf({ lengthBytes, name, pieceBytes, pieceSums })
  }

  /** The text that Kraken stores and sends: fixed key order, no white space, `null` for no sums (3.5). */
  serialize (): string {
    const sums = this.pieceSums.length === 0 ? 'null' : `[${this.pieceSums.join(',')}]`
    const { totalBytes, pieceBytes } = this.lengths
    return `{"Info":{"PieceLength":${pieceBytes},"PieceSums":${sums},"Name":"${this.name}","Length":${totalBytes}}}`
  }

  /** The same with our additional key `PieceSHA256` behind `Info`; readers that do not know it ignore it. */
  serializeWithDigests (): string {
    if (this.pieceDigests === undefined) return this.serialize()
    const sums = Buffer.from(this.pieceDigests.buffer, this.pieceDigests.byteOffset, this.pieceDigests.byteLength).toString('base64')
    return `${this.serialize().slice(0, -1)},"PieceSHA256":"${sums}"}`
  }

  /**
   * Reads either form: unknown keys are ignored, keys match without case, and what the reference does not check is
   * checked (number of sums, ranges).
   * @throws AppError BODY_INVALID
   */
  static parse (text: string): MetaInfo {
    const root = parseJson(text, 'metainfo')
    const info = field(root, 'Info')
    if (!isRecord(info)) throw new AppError('BODY_INVALID', 'metainfo has no Info')
    const name = field(info, 'Name')
    if (typeof name !== 'string') throw new AppError('BODY_INVALID', 'metainfo has no Name')
    return new MetaInfo(
      parseDigestHex(name),
      parseNumber(field(info, 'Length'), 'Length'),
      parseNumber(field(info, 'PieceLength'), 'PieceLength'),
      parseSums(field(info, 'PieceSums')),
      parsePieceDigests(field(root, 'PieceSHA256'))
    )
  }
}

/** The range is checked where the number is used. */
function parseNumber (value: unknown, what: string): number {
  if (value === undefined || value === null) return 0
  if (typeof value !== 'number') throw new AppError('BODY_INVALID', `metainfo ${what} must be a number`)
  return value
}

function parseSums (value: unknown): Uint32Array {
  if (value === undefined || value === null) return new Uint32Array(0)
  if (!Array.isArray(value)) throw new AppError('BODY_INVALID', 'metainfo PieceSums must be a list')
  const sums: unknown[] = value
  if (!sums.every(sum => isWithin(sum, 0, 0xffffffff))) throw new AppError('BODY_INVALID', 'metainfo PieceSums must be unsigned 32-bit numbers')
  return Uint32Array.from(sums as number[])
}

function parsePieceDigests (value: unknown): Uint8Array | undefined {
  return typeof value === 'string' ? new Uint8Array(Buffer.from(value, 'base64')) : undefined
}

function isWithin (n: unknown, min: number, max: number): boolean {
  return typeof n === 'number' && Number.isInteger(n) && n >= min && n <= max
}

function invalid (name: string, why: string): AppError { return new AppError('BODY_INVALID', `metainfo of ${name}: ${why}`) }
