/**
 * A 64-bit number as two unsigned halves. BigInt would be shorter to write, but a table of all shards needs hundreds of
 * thousands of hashes, and typed halves are an order of magnitude faster.
 */
export type Word = Uint32Array
export const HIGH = 0
export const LOW = 1

export function newWord (): Word { return new Uint32Array(2) }

/**
 * The first half of MurmurHash3 x64-128 with seed 0 over `bytes`, written to `out`. This is the half that uber/kraken's
 * ring uses (cluster specification 2.1). Not re-entrant, as JavaScript never is: the registers below are shared by all calls.
 */
export function murmur3 (bytes: Uint8Array, out: Word): void {
  set(h1, 0, 0)
  set(h2, 0, 0)
  const blocksEnd = bytes.length - bytes.length % BLOCK_BYTES
  for (let at = 0; at < blocksEnd; at += BLOCK_BYTES) {
    load(k1, bytes, at, at + 8)
    load(k2, bytes, at + 8, at + 16)
    mixFirst()
    rotateLeft(h1, 27)
    add(h1, h2)
    timesFivePlus(h1, 0x52dce729)
    mixSecond()
    rotateLeft(h2, 31)
    add(h2, h1)
    timesFivePlus(h2, 0x38495ab5)
  }
  load(k2, bytes, blocksEnd + 8, bytes.length)
  mixSecond()
  load(k1, bytes, blocksEnd, Math.min(blocksEnd + 8, bytes.length))
  mixFirst()
  finish(bytes.length)
  out.set(h1)
}

const BLOCK_BYTES = 16
const h1 = newWord()
const h2 = newWord()
const k1 = newWord()
const k2 = newWord()

/** A tail that is not there loads as zero, which mixes to zero and changes nothing. */
function mixFirst (): void {
  multiply(k1, 0x87c37b91, 0x114253d5)
  rotateLeft(k1, 31)
  multiply(k1, 0x4cf5ad43, 0x2745937f)
  xor(h1, k1)
}

function mixSecond (): void {
  multiply(k2, 0x4cf5ad43, 0x2745937f)
  rotateLeft(k2, 33)
  multiply(k2, 0x87c37b91, 0x114253d5)
  xor(h2, k2)
}

function finish (lengthBytes: number): void {
  h1[LOW] = low(h1) ^ lengthBytes
  h2[LOW] = low(h2) ^ lengthBytes
  add(h1, h2)
  add(h2, h1)
  avalanche(h1)
  avalanche(h2)
  add(h1, h2)
}

function avalanche (word: Word): void {
  foldHigh(word)
  multiply(word, 0xff51afd7, 0xed558ccd)
  foldHigh(word)
  multiply(word, 0xc4ceb9fe, 0x1a85ec53)
  foldHigh(word)
}

function high (word: Word): number { return word[HIGH] ?? 0 }
function low (word: Word): number { return word[LOW] ?? 0 }

function set (word: Word, highHalf: number, lowHalf: number): void {
  word[HIGH] = highHalf
  word[LOW] = lowHalf
}

/** Reads up to 8 bytes little-endian. */
function load (word: Word, bytes: Uint8Array, start: number, end: number): void {
  set(word, loadHalf(bytes, start + 4, end), loadHalf(bytes, start, Math.min(start + 4, end)))
}

function loadHalf (bytes: Uint8Array, start: number, end: number): number {
  let half = 0
  for (let at = end - 1; at >= start; at--) half = half << 8 | (bytes[at] ?? 0)
  return half
}

function xor (word: Word, other: Word): void { set(word, high(word) ^ high(other), low(word) ^ low(other)) }

/** `word ^= word >>> 33` */
function foldHigh (word: Word): void { word[LOW] = low(word) ^ high(word) >>> 1 }

function add (word: Word, other: Word): void {
  const sum = low(word) + low(other)
  set(word, high(word) + high(other) + (sum > 0xffffffff ? 1 : 0), sum)
}

/** By 1 to 63 bits, but not by 32. */
function rotateLeft (word: Word, bits: number): void {
  const isFar = bits > 32
  const a = isFar ? low(word) : high(word)
  const b = isFar ? high(word) : low(word)
  const near = bits % 32
  set(word, a << near | b >>> 32 - near, b << near | a >>> 32 - near)
}

function timesFivePlus (word: Word, n: number): void {
  const product = low(word) * 5 + n
  set(word, Math.imul(high(word), 5) + Math.floor(product / 0x1_0000_0000), product)
}

/** Multiplies modulo 2^64. The low halves go through 16-bit digits, whose sums of products just fit 32 bits. */
function multiply (word: Word, highFactor: number, lowFactor: number): void {
  const a = low(word)
  const a0 = a & 0xffff
  const a1 = a >>> 16
  const b0 = lowFactor & 0xffff
  const b1 = lowFactor >>> 16
  const p0 = a0 * b0
  const p1 = a1 * b0 + (p0 >>> 16)
  const p2 = a0 * b1 + (p1 & 0xffff)
  const carry = a1 * b1 + (p1 >>> 16) + (p2 >>> 16)
  set(word, carry + Math.imul(a, highFactor) + Math.imul(high(word), lowFactor), (p2 << 16) | (p0 & 0xffff))
}
