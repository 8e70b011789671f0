/** CRC-32 (IEEE 802.3) one byte at a time from a table: slow, and obviously right. */
export function crc32Oracle (bytes: Uint8Array, sum = 0): number {
  let register = ~sum
  for (const byte of bytes) register = (register >>> 8) ^ (TABLE[(register ^ byte) & 0xff] ?? 0)
  return ~register >>> 0
}

/** Entry n: what eight steps of division by the reflected polynomial make of n. */
const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = (n & 1) === 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1
  return n
})
