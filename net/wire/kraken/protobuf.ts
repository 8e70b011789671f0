import { isUtf8 } from 'node:buffer'

/*
 * As much of the protobuf encoding as the dialect needs. A message is a row of fields:
 *
 *   +-----+-------------------------+     tag = number * 8 + wire type, a varint
 *   | tag | value                   |     wire type 0: varint, at most 10 bytes      1: 8 bytes      5: 4 bytes
 *   +-----+-------------------------+                2: length (varint), bytes       3 ... 4: group of fields
 */
const WIRE_TYPE_MASK = 7
const TYPE_VARINT = 0
const TYPE_FIXED64 = 1
const TYPE_BYTES = 2
const TYPE_GROUP_START = 3
const TYPE_GROUP_END = 4
const TYPE_FIXED32 = 5

/**
 * Walks over the fields of one message. Nothing is thrown, nothing is copied, and no length is followed beyond the end of
 * the message.
 *
 *     while (reader.next()) switch (reader.tag) ...
 *     if (reader.isMalformed) ...
 */
export class FieldReader {
  /** Of the current field. */
  tag = 0
  /** Where the content of the current length-delimited field lies in `bytes`. */
  start = 0
  end = 0
  /** True once the bytes made no sense; `next` has returned false then. */
  isMalformed = false

  readonly #bytes: Uint8Array
  readonly #messageEnd: number
  #at: number
  #low = 0
  #isWide = false

  constructor (bytes: Uint8Array, at: number, end: number) {
    this.#bytes = bytes
    this.#at = at
    this.#messageEnd = end
  }

  /** Moves to the next field, known or not; false at the end of the message and at the first malformed byte. */
  next (): boolean {
    if (this.#at === this.#messageEnd || this.isMalformed) return false
    this.isMalformed = !this.#readTag() || !this.#readValue()
    return !this.isMalformed
  }

  /** The varint cut to 32 bits, as enums are read. */
  get enumValue (): number { return this.#low }

  /** The varint as a non-negative int32; anything else, however large, reads as a negative number. */
  get int32 (): number { return this.#isWide ? -1 : this.#low }

  /** A reader of the submessage in the current field. */
  enter (): FieldReader { return new FieldReader(this.#bytes, this.start, this.end) }

  /** The text in the current field, or undefined if it is not UTF-8. */
  text (): string | undefined {
    const copy = Buffer.from(this.#bytes.subarray(this.start, this.end))
    return isUtf8(copy) ? copy.toString('utf8') : undefined
  }

  /** A copy of the bytes in the current field; not by `slice`, which is a view if `bytes` is a Buffer. */
  copy (): Uint8Array { return new Uint8Array(this.#bytes.subarray(this.start, this.end)) }

  #readTag (): boolean {
    if (!this.#readVarint() || this.#isWide) return false
    this.tag = this.#low >>> 0
    return this.tag > WIRE_TYPE_MASK
  }

  #readValue (): boolean {
    switch (this.tag & WIRE_TYPE_MASK) {
      case TYPE_VARINT: return this.#readVarint()
      case TYPE_FIXED64: return this.#skip(8)
      case TYPE_BYTES: return this.#readVarint() && !this.#isWide && this.#low >= 0 && this.#skip(this.#low)
      case TYPE_FIXED32: return this.#skip(4)
      case TYPE_GROUP_START: return this.#skipGroup(this.tag)
      default: return false
    }
  }

  /** Keeps the low 32 bits, and whether there were others. */
  #readVarint (): boolean {
    this.#low = 0
    this.#isWide = false
    for (let shift = 0; shift < 70 && this.#at < this.#messageEnd; shift += 7) {
      const byte = this.#bytes[this.#at++] ?? 0
      if (shift <= 28) this.#low |= (byte & 0x7f) << shift
      if (shift === 28 ? (byte & 0x70) !== 0 : shift > 28 && (byte & 0x7f) !== 0) this.#isWide = true
      // The tenth byte holds the 64th bit and nothing else.
      if (byte < 0x80) return shift < 63 || byte <= 1
    }
    return false
  }

  #skip (count: number): boolean {
    if (count > this.#messageEnd - this.#at) return false
    this.start = this.#at
    this.end = this.#at += count
    return true
  }

  /** Groups nest, so the open ones are kept in a list and not on the call stack; each takes a byte of the frame at least. */
  #skipGroup (opened: number): boolean {
    const open = [opened]
    while (open.length > 0) {
      if (!this.#readTag()) return false
      const wireType = this.tag & WIRE_TYPE_MASK
      if (wireType === TYPE_GROUP_START) open.push(this.tag)
      else if (wireType !== TYPE_GROUP_END) {
        if (!this.#readValue()) return false
      } else if (open.pop() !== this.tag - TYPE_GROUP_END + TYPE_GROUP_START) return false
    }
    this.tag = opened
    return true
  }
}

/** Writes fields into `bytes`. Writes beyond the end are dropped and counted: see `isOverflown`. */
export class FieldWriter {
  constructor (readonly bytes: Uint8Array, public at: number) {}

  /** True if `bytes` was too short for what has been written. */
  get isOverflown (): boolean { return this.at > this.bytes.length }

  /** A number that is left out if it is zero. Negative ones are written as 64-bit, as enums are. */
  number (tag: number, value: number): void {
    if (value === 0) return
    this.#byte(tag)
    this.#varint(value >>> 0, value < 0)
  }

  /** A text that is left out if it is empty. */
  text (tag: number, text: string): void {
    if (text !== '') this.raw(tag, Buffer.from(text, 'utf8'))
  }

  /** Bytes, also if there are none. */
  raw (tag: number, content: Uint8Array): void {
    this.#byte(tag)
    this.#varint(content.length, false)
    if (this.at + content.length <= this.bytes.length) this.bytes.set(content, this.at)
    this.at += content.length
  }

  /** Begins a submessage; what is written until `close` belongs to it. Returns the mark that `close` takes. */
  open (tag: number): number {
    this.#byte(tag)
    // Room for a length of one byte, which most have; `close` makes more room if need be.
    this.at++
    return this.at
  }

  close (mark: number): void {
    const contentBytes = this.at - mark
    const lengthBytes = varintBytes(contentBytes)
    if (lengthBytes > 1) this.bytes.copyWithin(mark + lengthBytes - 1, mark, this.at)
    this.at = mark - 1
    this.#varint(contentBytes, false)
    this.at += contentBytes
  }

  #byte (byte: number): void { this.bytes[this.at++] = byte }

  #varint (unsigned32: number, isNegative: boolean): void {
    let rest = unsigned32
    for (; rest > 0x7f; rest >>>= 7) this.#byte(0x80 | (rest & 0x7f))
    if (!isNegative) return this.#byte(rest)
    // Sign extension of the fifth byte to the tenth: all bits above the 32nd are set.
    this.#byte(0xf0 | rest)
    for (let i = 0; i < 4; i++) this.#byte(0xff)
    this.#byte(0x01)
  }
}

function varintBytes (unsigned32: number): number {
  let count = 1
  for (let rest = unsigned32; rest > 0x7f; rest >>>= 7) count++
  return count
}
