/** The test blob P(n): byte `i` is `i ^ (i >> 8) ^ (i >> 16)`, cut to 8 bits (p2p specification 3.6). */
export function pattern (lengthBytes: number): Uint8Array {
  const bytes = new Uint8Array(lengthBytes)
  for (let i = 0; i < lengthBytes; i++) bytes[i] = i ^ (i >> 8) ^ (i >> 16)
  return bytes
}
