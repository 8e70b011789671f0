import { createHash } from 'node:crypto'
import { type Brand } from './brand.js'
import { AppError } from './errors.js'

/** The canonical text of a digest: `sha256:` and 64 hex characters. The only name by which content is trusted. */
export type Digest = Brand<string, 'Digest'>
/** `sha512:` and 128 hex characters: what clients may call content that is stored under its `Digest`. */
export type Sha512Digest = Brand<string, 'Sha512Digest'>
/** Whatever a registry's client may name content by. */
export type ContentDigest = Digest | Sha512Digest
/** The 64 hex characters of a digest, as used in file names, metainfo and on the peer wire. */
export type DigestHex = Brand<string, 'DigestHex'>

const HEX_64 = /^[0-9a-fA-F]{64}$/
const PREFIX = 'sha256:'
const SHA512 = /^sha512:[0-9a-f]{128}$/

/**
 * Parses `sha256:<64 hex>`; upper-case hex is kept as it is (p2p specification 3.1).
 * @throws AppError DIGEST_INVALID; the texts are those that Kraken's clients log (http-api specification 1.3)
 */
export function parseDigest (text: string): Digest {
  const parts = text.split(':')
  if (parts.length !== 2) throw new AppError('DIGEST_INVALID', "invalid digest: expected '<algo>:<hex>'")
  if (parts[0] !== 'sha256') throw new AppError('DIGEST_INVALID', 'invalid digest algo: expected sha256')
  parseDigestHex(parts[1] ?? '')
  return text as Digest
}

/** Parses the 64 hex characters alone. @throws AppError DIGEST_INVALID */
export function parseDigestHex (text: string): DigestHex {
  const hex = text as DigestHex
  if (HEX_64.test(text)) return hex
  // Bytes are counted and named, as the reference does, and not characters.
  const bytes = Buffer.from(text, 'utf8')
  if (bytes.length !== 64) {
    throw new AppError('DIGEST_INVALID', `invalid sha256: expected 64 characters, got ${bytes.length} from "${text.slice(0, 128)}"`)
  }
  const bad = bytes.find(byte => !/[0-9a-fA-F]/.test(String.fromCharCode(byte))) ?? 0
  const point = bad.toString(16).toUpperCase().padStart(4, '0')
  throw new AppError('DIGEST_INVALID', `invalid sha256: hex: encoding/hex: invalid byte: U+${point} '${String.fromCharCode(bad)}'`)
}

/** True for text that `parseDigest` accepts. */
export function isDigest (text: string): text is Digest {
  return text.startsWith(PREFIX) && HEX_64.test(text.slice(PREFIX.length))
}

/** True for `sha512:` and 128 lower-case hex characters. */
export function isSha512 (text: string): text is Sha512Digest { return SHA512.test(text) }

/** True for what a registry's client may name content by. */
export function isContentDigest (text: string): text is ContentDigest { return isDigest(text) || isSha512(text) }

export function hexOf (digest: Digest): DigestHex { return digest.slice(PREFIX.length) as DigestHex }

export function digestFromHex (hex: DigestHex): Digest { return (PREFIX + hex) as Digest }

/** The digest of a SHA-256 sum of 32 bytes. */
export function digestFromSum (sum: Uint8Array): Digest {
  return (PREFIX + Buffer.from(sum.buffer, sum.byteOffset, sum.byteLength).toString('hex')) as Digest
}

/** The digest of some bytes that are small enough to hash on the spot (manifests, test data). */
export function digestOf (bytes: Uint8Array | string): Digest {
  return (PREFIX + createHash('sha256').update(bytes).digest('hex')) as Digest
}

/** The digest of a SHA-512 sum of 64 bytes. */
export function sha512FromSum (sum: Buffer): Sha512Digest { return `sha512:${sum.toString('hex')}` as Sha512Digest }

/** `digestOf` by SHA-512. */
export function sha512Of (bytes: Uint8Array | string): Sha512Digest { return sha512FromSum(createHash('sha512').update(bytes).digest()) }

/** The 2 bytes spelt by the first four hex characters: the key of all rendezvous hashing (cluster specification 2.1). */
export function shardKey (digest: Digest): Uint8Array {
  return Buffer.from(digest.slice(PREFIX.length, PREFIX.length + 4), 'hex')
}

export const EMPTY_DIGEST = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' as Digest
