/** The bytes that hex digits spell; blanks and line ends are for reading. */
export function fromHex (hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex.replaceAll(/\s/g, ''), 'hex'))
}

export function toHex (bytes: Uint8Array): string { return Buffer.from(bytes).toString('hex') }

/** An envelope with the four bytes of its length in front. */
export function framed (envelope: Uint8Array): Uint8Array {
  const frame = new Uint8Array(4 + envelope.length)
  new DataView(frame.buffer).setUint32(0, envelope.length)
  frame.set(envelope, 4)
  return frame
}
