/*
 * One bit for each piece. The serialised form is that of the reference's bitset library (p2p specification 5.4):
 *
 *   0              8                16
 *   +--------------+----------------+----
 *   | bit count    | word 0         | word 1 ...     all u64 big-endian; bit i is bit (i mod 64) of word floor(i / 64)
 *   +--------------+----------------+----
 *
 * so bit i lives in byte 8 + 8 * floor(i / 64) + 7 - floor((i mod 64) / 8), and no 64-bit arithmetic is needed. The
 * memory below is exactly that form: sending a bitfield costs a copy and nothing else.
 */
const HEADER_BYTES = 8

/** A set of piece indices from 0 to `length - 1`. */
export class Bitfield {
  readonly #bytes: Uint8Array
  #count = 0

  constructor (readonly length: number) {
    this.#bytes = new Uint8Array(serializedBytes(length))
    new DataView(this.#bytes.buffer).setBigUint64(0, BigInt(length))
  }

  static full (length: number): Bitfield {
    const full = new Bitfield(length)
    for (let i = 0; i < length; i++) full.add(i)
    return full
  }

  /**
   * Reads the serialised form of a bitfield that must have `length` bits. The claimed count is compared before anything
   * is allocated. Returns undefined for another count, for missing words, and for bits set beyond the end, all of which
   * bring the reference down (5.9). Bytes after the last word are ignored, as the reference does.
   */
  static parse (bytes: Uint8Array, length: number): Bitfield | undefined {
    const needed = serializedBytes(length)
    if (bytes.length < needed || bitCountOf(bytes) !== length) return undefined
    const parsed = new Bitfield(length)
    for (let at = HEADER_BYTES; at < needed; at++) parsed.#bytes[at] = bytes[at] ?? 0
    for (let i = 0; i < length; i++) if (parsed.has(i)) parsed.#count++
    return popCount(bytes, needed) === parsed.#count ? parsed : undefined
  }

  /** How many bits are set. */
  get count (): number { return this.#count }
  get isFull (): boolean { return this.#count === this.length }
  get isEmpty (): boolean { return this.#count === 0 }

  has (i: number): boolean {
    return i >= 0 && i < this.length && ((this.#bytes[byteOf(i)] ?? 0) & (1 << (i & 7))) !== 0
  }

  /** Sets bit `i`; true if it was clear. */
  add (i: number): boolean {
    if (!(i >= 0 && i < this.length) || this.has(i)) return false
    const at = byteOf(i)
    this.#bytes[at] = (this.#bytes[at] ?? 0) | (1 << (i & 7))
    this.#count++
    return true
  }

  /** Clears bit `i`; true if it was set. */
  delete (i: number): boolean {
    if (!this.has(i)) return false
    const at = byteOf(i)
    this.#bytes[at] = (this.#bytes[at] ?? 0) & ~(1 << (i & 7))
    this.#count--
    return true
  }

  clone (): Bitfield {
    const copy = new Bitfield(this.length)
    copy.#bytes.set(this.#bytes)
    copy.#count = this.#count
    return copy
  }

  /** The set indices in ascending order; whole empty bytes are skipped. */
  * [Symbol.iterator] (): Generator<number> {
    for (let base = 0; base < this.length; base += 8) {
      if (this.#bytes[byteOf(base)] === 0) continue
      for (let i = base; i < Math.min(base + 8, this.length); i++) if (this.has(i)) yield i
    }
  }

  /** The serialised form, a copy. */
  serialize (): Uint8Array { return this.#bytes.slice() }
}

/** Size in bytes of the serialised form of `length` bits. */
export function serializedBytes (length: number): number { return HEADER_BYTES + 8 * Math.ceil(length / 64) }

/**
 * True if `bytes` is a bitset that the reference can decode: a count and all the words that it promises. Nothing is
 * allocated on the word of the count.
 */
export function isBitset (bytes: Uint8Array): boolean {
  if (bytes.length < HEADER_BYTES) return false
  const length = bitCountOf(bytes)
  return length !== undefined && bytes.length >= serializedBytes(length)
}

/** The count in the header, or undefined if there is none or it exceeds what a double holds exactly. */
function bitCountOf (bytes: Uint8Array): number | undefined {
  if (bytes.length < HEADER_BYTES) return undefined
  const count = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES).getBigUint64(0)
  return count <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(count) : undefined
}

function byteOf (i: number): number { return HEADER_BYTES + 8 * Math.floor(i / 64) + 7 - ((i & 63) >> 3) }

function popCount (bytes: Uint8Array, end: number): number {
  let count = 0
  for (let at = HEADER_BYTES; at < end; at++) {
    for (let byte = bytes[at] ?? 0; byte !== 0; byte &= byte - 1) count++
  }
  return count
}
