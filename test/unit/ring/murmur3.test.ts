import t from 'tap'
import { HIGH, LOW, murmur3, newWord } from '../../../runtime/ring/murmur3.js'

function hexOf (bytes: Uint8Array): string {
  const word = newWord()
  murmur3(bytes, word)
  return [word[HIGH], word[LOW]].map(half => (half ?? 0).toString(16).padStart(8, '0')).join('')
}

t.test('it agrees with a plain implementation in 64-bit arithmetic for all lengths up to four blocks', async t => {
  for (let length = 0; length <= 64; length++) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 167 + length * 59) & 0xff)
    t.equal(hexOf(bytes), oracle(bytes).toString(16).padStart(16, '0'), `${length} bytes`)
  }
})

t.test('so it does for bytes that carry through every half', async t => {
  for (const byte of [0x00, 0x7f, 0x80, 0xff]) {
    const bytes = new Uint8Array(47).fill(byte)
    t.equal(hexOf(bytes), oracle(bytes).toString(16).padStart(16, '0'), `${byte}`)
  }
})

t.test('a view into a larger buffer is hashed by itself', async t => {
  const whole = Uint8Array.from({ length: 60 }, (_, i) => i)
  t.equal(hexOf(whole.subarray(7, 42)), hexOf(whole.slice(7, 42)))
})

/** The published algorithm, word for word. */
function oracle (bytes: Uint8Array): bigint {
  const MASK = (1n << 64n) - 1n
  const c1 = 0x87c37b91114253d5n
  const c2 = 0x4cf5ad432745937fn
  const rotl = (x: bigint, bits: bigint): bigint => ((x << bits) | (x >> (64n - bits))) & MASK
  const mul = (x: bigint, y: bigint): bigint => (x * y) & MASK
  const add = (x: bigint, y: bigint): bigint => (x + y) & MASK
  const read = (start: number, end: number): bigint => {
    let word = 0n
    for (let at = Math.min(end, bytes.length) - 1; at >= start; at--) word = (word << 8n) | BigInt(bytes[at] ?? 0)
    return word
  }
  const fmix = (k: bigint): bigint => {
    k = mul(k ^ (k >> 33n), 0xff51afd7ed558ccdn)
    k = mul(k ^ (k >> 33n), 0xc4ceb9fe1a85ec53n)
    return k ^ (k >> 33n)
  }
  const mix1 = (k: bigint): bigint => mul(rotl(mul(k, c1), 31n), c2)
  const mix2 = (k: bigint): bigint => mul(rotl(mul(k, c2), 33n), c1)

  let h1 = 0n
  let h2 = 0n
  let at = 0
  for (; at + 16 <= bytes.length; at += 16) {
    h1 = add(mul(add(rotl(h1 ^ mix1(read(at, at + 8)), 27n), h2), 5n), 0x52dce729n)
    h2 = add(mul(add(rotl(h2 ^ mix2(read(at + 8, at + 16)), 31n), h1), 5n), 0x38495ab5n)
  }
  h2 ^= mix2(read(at + 8, at + 16))
  h1 ^= mix1(read(at, at + 8))
  h1 ^= BigInt(bytes.length)
  h2 ^= BigInt(bytes.length)
  h1 = add(h1, h2)
  h2 = add(h2, h1)
  return add(fmix(h1), fmix(h2))
}
