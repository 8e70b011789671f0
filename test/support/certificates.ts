import { createSign, generateKeyPairSync, type KeyObject } from 'node:crypto'

/*
 * Certificates made on the spot: X.509 version 3 in DER, with keys on the curve P-256.
 *
 *   Certificate ::= SEQUENCE { tbs, algorithm, BIT STRING of the signature over tbs }
 */

/** PEM texts. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** An authority of its own. */
export class Authority {
  readonly #keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })

  constructor (readonly name: string) {}

  get cert (): string { return this.#sign(this.name, this.#keys.publicKey, [extension(BASIC_CONSTRAINTS, sequence(TRUE))]) }

  /** A certificate for a server with these DNS names, or for a client. */
  issue (name: string, dnsNames: readonly string[] = []): Certificate {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const names = dnsNames.map(dns => tagged(0x82, Buffer.from(dns)))
    const extensions = names.length === 0 ? [] : [extension(SUBJECT_ALT_NAME, sequence(...names))]
    return { cert: this.#sign(name, publicKey, extensions), key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })) }
  }

  #sign (subject: string, key: KeyObject, extensions: readonly Buffer[]): string {
    const now = Date.now()
    const content = sequence(
      tagged(0xa0, integer(2)),
      integer(Math.floor(Math.random() * 2 ** 31)),
      ALGORITHM,
      nameOf(this.name),
      sequence(time(now - DAY_MS), time(now + DAY_MS)),
      nameOf(subject),
      key.export({ type: 'spki', format: 'der' }),
      ...extensions.length === 0 ? [] : [tagged(0xa3, sequence(...extensions))]
    )
    const signature = createSign('SHA256').update(content).sign(this.#keys.privateKey)
    const der = sequence(content, ALGORITHM, tagged(0x03, Buffer.concat([Buffer.from([0]), signature])))
    return `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/.{64}(?=.)/g, '$&\n')}\n-----END CERTIFICATE-----\n`
  }
}

const DAY_MS = 86_400_000
const TRUE = Buffer.from([0x01, 0x01, 0xff])
const SUBJECT_ALT_NAME = [0x55, 0x1d, 0x11]
const BASIC_CONSTRAINTS = [0x55, 0x1d, 0x13]
const COMMON_NAME = [0x55, 0x04, 0x03]
const ECDSA_WITH_SHA256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]
const ALGORITHM = sequence(identifier(ECDSA_WITH_SHA256))

function tagged (tag: number, content: Uint8Array): Buffer {
  const length = content.length < 128
    ? [content.length]
    : content.length < 256 ? [0x81, content.length] : [0x82, content.length >> 8, content.length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...length]), content])
}

function sequence (...parts: readonly Uint8Array[]): Buffer { return tagged(0x30, Buffer.concat(parts)) }

function identifier (bytes: readonly number[]): Buffer { return tagged(0x06, Buffer.from(bytes)) }

/** Below 2 to the power of 31. */
function integer (value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  const start = bytes.findIndex(byte => byte !== 0)
  const digits = start < 0 ? Buffer.from([0]) : bytes.subarray(start)
  return tagged(0x02, (digits[0] ?? 0) < 0x80 ? digits : Buffer.concat([Buffer.from([0]), digits]))
}

/** To the second, without its century. */
function time (ms: number): Buffer {
  return tagged(0x17, Buffer.from(new Date(ms).toISOString().slice(2, 19).replace(/[-:T]/g, '') + 'Z'))
}

function nameOf (text: string): Buffer { return sequence(tagged(0x31, sequence(identifier(COMMON_NAME), tagged(0x0c, Buffer.from(text))))) }

function extension (kind: readonly number[], content: Buffer): Buffer { return sequence(identifier(kind), tagged(0x04, content)) }
