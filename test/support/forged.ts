/** The generator of CRC-32, x^32 first, in the order in which the bits of a message go through it: each byte from its lowest. */
const GENERATOR_BITS = (0x104c11db7).toString(2)

/** Other bytes of the same length with the same CRC-32: a multiple of the generator is added, which leaves no remainder. */
export function forgedCrc (bytes: Uint8Array, at = 0): Buffer {
  const forged = Buffer.from(bytes)
  for (const [i, bit] of [...GENERATOR_BITS].entries()) {
    if (bit === '1') forged.writeUInt8(forged.readUInt8(at + (i >> 3)) ^ 1 << (i & 7), at + (i >> 3))
  }
  return forged
}
