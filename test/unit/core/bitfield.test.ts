import t from 'tap'
import { Bitfield, isBitset, serializedBytes } from '../../../runtime/core/bitfield.js'

function withBits (length: number, ...bits: number[]): Bitfield {
  const bitfield = new Bitfield(length)
  for (const bit of bits) bitfield.add(bit)
  return bitfield
}

t.test('adding and deleting say whether they changed anything', async t => {
  const bitfield = new Bitfield(70)
  t.ok(bitfield.isEmpty)
  t.ok(bitfield.add(64))
  t.notOk(bitfield.add(64))
  t.ok(bitfield.has(64))
  t.equal(bitfield.count, 1)
  t.ok(bitfield.delete(64))
  t.notOk(bitfield.delete(64))
  t.equal(bitfield.count, 0)
})

t.test('bits that do not exist are neither set nor there', async t => {
  const bitfield = new Bitfield(3)
  for (const i of [-1, 3, 63, 64, 2 ** 31, NaN]) {
    t.notOk(bitfield.add(i), `add ${i}`)
    t.notOk(bitfield.delete(i), `delete ${i}`)
    t.notOk(bitfield.has(i), `has ${i}`)
  }
  t.same(bitfield.serialize(), new Bitfield(3).serialize())
})

t.test('full and empty at every size around a word', async t => {
  for (const length of [0, 1, 7, 8, 63, 64, 65, 128, 129]) {
    const full = Bitfield.full(length)
    t.ok(full.isFull)
    t.equal(full.count, length)
    t.equal(full.isEmpty, length === 0)
    t.same([...full], Array.from({ length }, (_, i) => i))
    t.equal(full.serialize().length, serializedBytes(length))
  }
})

t.test('it is walked in ascending order', async t => {
  t.same([...withBits(200, 199, 0, 64, 63, 127, 8)], [0, 8, 63, 64, 127, 199])
})

t.test('a clone and a serialised form are copies', async t => {
  const bitfield = withBits(70, 1)
  const clone = bitfield.clone()
  const bytes = bitfield.serialize()
  clone.add(2)
  bytes.fill(0xff)
  t.same([...bitfield], [1])
  t.same([...clone], [1, 2])
  t.equal(clone.count, 2)
})

t.test('what is parsed counts its bits, and bytes behind it do not matter', async t => {
  const bytes = withBits(70, 0, 63, 64, 69).serialize()
  const parsed = Bitfield.parse(Uint8Array.from([...bytes, 1, 2, 3]), 70)
  t.same([...parsed ?? []], [0, 63, 64, 69])
  t.equal(parsed?.count, 4)
  const inside = new Uint8Array([9, 9, 9, ...bytes]).subarray(3)
  t.same([...Bitfield.parse(inside, 70) ?? []], [0, 63, 64, 69], 'also from the middle of a buffer')
})

for (const [what, hex, length] of [
  ['no bytes', '', 0],
  ['half a count', '00000000', 0],
  ['another count', '0000000000000003 0000000000000000', 4],
  ['a count without its word', '0000000000000003', 3],
  ['half a word', '0000000000000003 00000000', 3],
  ['a bit beyond the end', '0000000000000003 0000000000000008', 3],
  ['the top bit beyond the end', '0000000000000003 8000000000000001', 3],
  ['a count that no double holds', 'ffffffffffffffff 0000000000000000', 3]
] as const) {
  t.test(`parse refuses ${what}`, async t => {
    t.equal(Bitfield.parse(Buffer.from(hex.replaceAll(' ', ''), 'hex'), length), undefined)
  })
}

for (const [hex, expected] of [
  ['', false],
  ['00000000000000', false],
  ['0000000000000000', true],
  ['0000000000000001', false],
  ['0000000000000001 0000000000000000', true],
  ['0000000000000041 0000000000000000', false],
  ['0000010000000000 0000000000000000', false],
  ['ffffffffffffffff 0000000000000000', false],
  ['0020000000000000 0000000000000000', false]
] as const) {
  t.test(`${hex === '' ? 'nothing' : hex} is ${expected ? 'a' : 'no'} bitset`, async t => {
    t.equal(isBitset(Buffer.from(hex.replaceAll(' ', ''), 'hex')), expected)
  })
}
