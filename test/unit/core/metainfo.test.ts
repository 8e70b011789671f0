import { createHash } from 'node:crypto'
import t from 'tap'
import { parseDigestHex } from '../../../runtime/core/digest.js'
import { MetaInfo, PIECE_BYTES_MAX } from '../../../runtime/core/metainfo.js'

const NAME = parseDigestHex('2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824')
const TEXT = `{"Info":{"PieceLength":4,"PieceSums":[1,4294967295],"Name":"${NAME}","Length":5}}`

function textWith (changes: Record<string, unknown>): string {
  return JSON.stringify({ Info: { PieceLength: 4, PieceSums: [1, 2], Name: NAME, Length: 5, ...changes } })
}

t.test('it is written as it was read', async t => {
  const metaInfo = MetaInfo.parse(TEXT)
  t.equal(metaInfo.serialize(), TEXT)
  t.equal(metaInfo.serializeWithDigests(), TEXT, 'there are no digests to add')
  t.equal(metaInfo.digest, `sha256:${NAME}`)
  t.equal(metaInfo.lengths.pieceCount, 2)
  t.same([...metaInfo.pieceSums], [1, 0xffffffff])
})

t.test('no pieces are written as null, and read in any of three ways', async t => {
  const empty = new MetaInfo(NAME, 0, 4, new Uint32Array(0))
  t.match(empty.serialize(), '"PieceSums":null')
  for (const sums of [null, [], undefined]) {
    t.equal(MetaInfo.parse(textWith({ PieceSums: sums, Length: 0 })).infoHash, empty.infoHash)
  }
})

t.test('keys match in any case, and unknown ones are ignored', async t => {
  const text = `{"Announce":"x","info":{"piecelength":4,"PIECESUMS":[1,4294967295],"name":"${NAME}","length":5,"More":{}},"CreatedBy":null}`
  t.equal(MetaInfo.parse(text).serialize(), TEXT)
})

t.test('an upper-case name is kept', async t => {
  const upper = NAME.toUpperCase()
  t.equal(MetaInfo.parse(textWith({ Name: upper })).name, upper)
})

t.test('the sums of the pieces travel in a key of their own', async t => {
  const sums = Buffer.concat(['hell', 'o'].map(piece => createHash('sha256').update(piece).digest()))
  const metaInfo = new MetaInfo(NAME, 5, 4, Uint32Array.of(1, 2), sums)
  const text = metaInfo.serializeWithDigests()
  t.match(text, `},"PieceSHA256":"${sums.toString('base64')}"}`)
  const parsed = MetaInfo.parse(text)
  t.same(Buffer.from(parsed.pieceDigests ?? []), sums)
  t.equal(parsed.infoHash, metaInfo.infoHash, 'the info hash does not depend on them')
  t.equal(parsed.serialize(), metaInfo.serialize())
})

for (const [what, text] of [
  ['no text', ''],
  ['no JSON', 'metainfo'],
  ['a text that is cut off', TEXT.slice(0, -1)],
  ['a list', '[]'],
  ['no Info', '{}'],
  ['an Info that is no object', '{"Info":[]}'],
  ['no Name', '{"Info":{"PieceLength":4,"PieceSums":[1,2],"Length":5}}'],
  ['a Name that is a number', textWith({ Name: 5 })],
  ['too few sums', textWith({ PieceSums: [1] })],
  ['too many sums', textWith({ PieceSums: [1, 2, 3] })],
  ['no sums for a blob that has bytes', textWith({ PieceSums: null })],
  ['sums that are no list', textWith({ PieceSums: '1,2' })],
  ['a negative sum', textWith({ PieceSums: [1, -2] })],
  ['a sum of 33 bits', textWith({ PieceSums: [1, 2 ** 32] })],
  ['a fraction of a sum', textWith({ PieceSums: [1, 1.5] })],
  ['a sum that is a text', textWith({ PieceSums: [1, '2'] })],
  ['a length that is a text', textWith({ Length: '5' })],
  ['a length below zero', textWith({ Length: -5 })],
  ['a length beyond what a double holds', textWith({ Length: 2 ** 53, PieceLength: PIECE_BYTES_MAX })],
  ['a piece length of zero', textWith({ PieceLength: 0 })],
  ['a piece length of 2 GiB', textWith({ PieceLength: 2 ** 31 })],
  ['a piece length that is true', textWith({ PieceLength: true })],
  ['digests for other pieces', TEXT.replace(/}$/, ',"PieceSHA256":"AAAA"}')]
] as const) {
  t.test(`refuses ${what}`, async t => {
    t.throws(() => MetaInfo.parse(text), { name: 'AppError', code: 'BODY_INVALID' })
  })
}

t.test('a name that is no digest is refused as one', async t => {
  t.throws(() => MetaInfo.parse(textWith({ Name: 'abcd' })), { code: 'DIGEST_INVALID' })
})
