import { AppError } from './errors.js'

/*
 * Peer ids and info hashes are 40 hex characters in text, and arrays of 20 numbers in JSON (p2p specification 4.2).
 */

/** The JSON form of an id of 40 hex characters: 20 numbers. */
export function idToJson (hex: string): number[] {
  return [...Buffer.from(hex, 'hex')]
}

/**
 * Reads the JSON form leniently, as Go does: missing or short arrays are filled with zeros, null is zero, and what follows the
 * twentieth element is not looked at.
 * @throws AppError BODY_INVALID for anything that is no array of numbers from 0 to 255
 */
export function idFromJson (value: unknown, what: string): string {
  const bytes = Buffer.alloc(20)
  if (value === undefined || value === null) return bytes.toString('hex')
  if (!Array.isArray(value)) throw new AppError('BODY_INVALID', `${what} must be an array of 20 numbers`)
  const elements: unknown[] = value
  for (let i = 0; i < Math.min(elements.length, bytes.length); i++) {
    const element = elements[i] ?? 0
    if (typeof element !== 'number' || !Number.isInteger(element) || element < 0 || element > 255) {
      throw new AppError('BODY_INVALID', `${what}[${i}] must be an integer from 0 to 255`)
    }
    bytes[i] = element
  }
  return bytes.toString('hex')
}
