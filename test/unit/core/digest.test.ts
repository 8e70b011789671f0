import t from 'tap'
import {
  digestFromHex, digestFromSum, digestOf, EMPTY_DIGEST, hexOf, isDigest, parseDigest, parseDigestHex, shardKey
} from '../../../runtime/core/digest.js'
import { isAppError } from '../../../runtime/core/errors.js'

const HEX = '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824'

t.test('a digest and its hex characters are parts of each other', async t => {
  const digest = parseDigest(`sha256:${HEX}`)
  t.equal(digest, digestOf('hello'))
  t.equal(hexOf(digest), HEX)
  t.equal(digestFromHex(parseDigestHex(HEX)), digest)
  t.equal(digestFromSum(Buffer.from(HEX, 'hex')), digest)
  t.equal(digestOf(new Uint8Array(0)), EMPTY_DIGEST)
})

t.test('upper-case hex is kept as it is', async t => {
  const text = `sha256:${HEX.toUpperCase()}`
  t.equal(parseDigest(text), text)
  t.ok(isDigest(text))
  t.same([...shardKey(parseDigest(text))], [0x2c, 0xf2])
})

for (const [text, message] of [
  ['', "invalid digest: expected '<algo>:<hex>'"],
  [HEX, "invalid digest: expected '<algo>:<hex>'"],
  [`sha256:${HEX}:`, "invalid digest: expected '<algo>:<hex>'"],
  [`sha512:${HEX}`, 'invalid digest algo: expected sha256'],
  [`SHA256:${HEX}`, 'invalid digest algo: expected sha256'],
  ['sha256:abcd', 'invalid sha256: expected 64 characters, got 4 from "abcd"'],
  [`sha256:${HEX}0`, `invalid sha256: expected 64 characters, got 65 from "${HEX}0"`],
  [`sha256:z${HEX.slice(1)}`, "invalid sha256: hex: encoding/hex: invalid byte: U+007A 'z'"],
  [`sha256:${HEX.slice(1)} `, "invalid sha256: hex: encoding/hex: invalid byte: U+0020 ' '"],
  [`sha256:${'é'.repeat(32)}`, "invalid sha256: hex: encoding/hex: invalid byte: U+00C3 'Ã'"],
  [`sha256:${HEX}\n`, `invalid sha256: expected 64 characters, got 65 from "${HEX}\n"`]
] as const) {
  t.test(`refuses ${JSON.stringify(text.slice(0, 24))}`, async t => {
    t.throws(() => parseDigest(text), { code: 'DIGEST_INVALID', message })
    t.notOk(isDigest(text))
  })
}

t.test('a complaint about an endless text is short', async t => {
  try {
    parseDigest(`sha256:${'a'.repeat(100_000)}`)
    t.fail('accepted')
  } catch (error) {
    t.ok(isAppError(error, 'DIGEST_INVALID') && error.message.length < 256)
  }
})

t.test('the shard key is what the first four characters spell', async t => {
  t.same([...shardKey(EMPTY_DIGEST)], [0xe3, 0xb0])
})
