import t from 'tap'
import { FieldReader, FieldWriter } from '../../../net/wire/kraken/protobuf.js'
import { fromHex, toHex } from '../../support/hex.js'

function readerOf (hex: string): FieldReader {
  const bytes = fromHex(hex)
  return new FieldReader(bytes, 0, bytes.length)
}

for (const [hex, int32, enumValue] of [
  ['08 00', 0, 0],
  ['08 01', 1, 1],
  ['08 7f', 127, 127],
  ['08 8001', 128, 128],
  ['08 8000', 0, 0],
  ['08 ffffffff07', 0x7fffffff, 0x7fffffff],
  ['08 8080808008', -0x80000000, -0x80000000],
  ['08 ffffffff0f', -1, -1],
  ['08 8080808010', -1, 0],
  ['08 ffffffffffffffffff01', -1, -1],
  ['08 feffffffffffffffff01', -1, -2],
  ['08 8180808080808080807f', undefined, undefined],
  ['08 81808080808080808001', -1, 1],
  ['08 81808080808080808000', 1, 1],
  ['08 80', undefined, undefined],
  ['08 8080808080808080808000', undefined, undefined],
  ['08', undefined, undefined]
] as const) {
  t.test(`the varint in ${hex}`, async t => {
    const reader = readerOf(hex)
    t.equal(reader.next(), int32 !== undefined)
    t.equal(reader.isMalformed, int32 === undefined)
    if (int32 === undefined) return
    t.equal(reader.int32, int32)
    t.equal(reader.enumValue, enumValue)
    t.notOk(reader.next())
    t.notOk(reader.isMalformed)
  })
}

for (const [what, hex] of [
  ['field number 0', '0000'],
  ['field number 0 in a group', '0b0000 0c'],
  ['a tag of more than 32 bits', '8880808010 00'],
  ['wire type 6', '0e00'],
  ['wire type 7', '0f00'],
  ['7 of 8 fixed bytes', '09 00000000000000'],
  ['3 of 4 fixed bytes', '0d 000000'],
  ['a length beyond the end', '0a 02 00'],
  ['a length that is negative', '0a ffffffff0f'],
  ['a length of 64 bits', '0a 8080808010'],
  ['no length', '0a'],
  ['a group that does not end', '0b'],
  ['a group that ends as another', '0b 14'],
  ['an end without a group', '0c'],
  ['a group with something malformed inside', '0b 0a05 0c'],
  ['a nested group that does not end', '0b 13 0c']
] as const) {
  t.test(`${what} is malformed`, async t => {
    const reader = readerOf(hex)
    t.notOk(reader.next())
    t.ok(reader.isMalformed)
    t.notOk(reader.next(), 'and stays so')
  })
}

for (const [what, hex] of [
  ['a varint', '80a301 8001'],
  ['8 bytes', '81a301 0001020304050607'],
  ['some bytes', '82a301 02 ff00'],
  ['an empty group', '83a301 84a301'],
  ['a group of groups', '83a301 0b 1001 12021400 13 14 0c 84a301'],
  ['4 bytes', '85a301 00010203']
] as const) {
  t.test(`a field of ${what} is stepped over as a whole`, async t => {
    const reader = readerOf(`${hex} 0805`)
    t.ok(reader.next())
    t.equal(reader.tag >>> 3, 2608)
    t.ok(reader.next())
    t.equal(reader.tag, 0x08)
    t.equal(reader.int32, 5)
    t.notOk(reader.next())
    t.notOk(reader.isMalformed)
  })
}

t.test('groups may nest as deeply as a frame is long', async t => {
  const depth = 16_000
  const reader = readerOf('0b'.repeat(depth) + '0c'.repeat(depth))
  t.ok(reader.next())
  t.notOk(reader.next())
  t.notOk(reader.isMalformed)
})

t.test('texts are UTF-8 or nothing', async t => {
  for (const [hex, text] of [
    ['00', ''],
    ['03 efbbbf', '\ufeff'],
    ['02 c3a9', 'é'],
    ['04 f09f909f', '🐟'],
    ['01 ff', undefined],
    ['02 c080', undefined],
    ['03 eda080', undefined],
    ['04 f4908080', undefined],
    ['01 c3', undefined]
  ] as const) {
    const reader = readerOf(`0a ${hex}`)
    t.ok(reader.next())
    t.equal(reader.text(), text, hex)
  }
})

t.test('a submessage is read within its bounds, and copies are copies', async t => {
  const bytes = fromHex('0a 03 0a01ff 0805')
  const reader = new FieldReader(bytes, 0, bytes.length)
  t.ok(reader.next())
  const inner = reader.enter()
  t.ok(inner.next())
  const copy = inner.copy()
  bytes.fill(0)
  t.same([...copy], [0xff])
  t.notOk(inner.next())
  t.notOk(inner.isMalformed)
})

function written (write: (writer: FieldWriter) => void): string {
  const writer = new FieldWriter(new Uint8Array(70_000), 0)
  write(writer)
  return toHex(writer.bytes.subarray(0, writer.at))
}

t.test('numbers are written in as few bytes as they need, and zero not at all', async t => {
  for (const [value, hex] of [
    [0, ''], [1, '0801'], [127, '087f'], [128, '088001'], [0x7fffffff, '08ffffffff07'], [-1, '08ffffffffffffffffff01'],
    [-0x80000000, '0880808080f8ffffffff01']
  ] as const) t.equal(written(writer => writer.number(0x08, value)), hex)
})

t.test('empty texts are left out, empty bytes and submessages are not', async t => {
  t.equal(written(writer => writer.text(0x0a, '')), '')
  t.equal(written(writer => writer.text(0x0a, 'é')), '0a02c3a9')
  t.equal(written(writer => writer.raw(0x0a, new Uint8Array(0))), '0a00')
  t.equal(written(writer => writer.close(writer.open(0x0a))), '0a00')
})

for (const size of [0, 126, 127, 128, 129, 16_383, 16_384, 32_768]) {
  t.test(`a submessage of ${size} bytes is read as it was written`, async t => {
    const content = Uint8Array.from({ length: size }, (_, i) => i)
    const writer = new FieldWriter(new Uint8Array(size + 64), 3)
    const mark = writer.open(0x0a)
    writer.raw(0x12, content)
    writer.close(mark)
    writer.number(0x08, 7)
    const reader = new FieldReader(writer.bytes, 3, writer.at)
    t.ok(reader.next())
    const inner = reader.enter()
    t.ok(inner.next())
    t.same(inner.copy(), content)
    t.ok(reader.next())
    t.equal(reader.int32, 7)
    t.notOk(reader.next())
    t.notOk(writer.isOverflown)
  })
}

t.test('what does not fit is counted and not written', async t => {
  const writer = new FieldWriter(new Uint8Array(4), 0)
  writer.raw(0x0a, new Uint8Array(2))
  t.notOk(writer.isOverflown)
  const mark = writer.open(0x12)
  writer.raw(0x0a, new Uint8Array(200))
  writer.number(0x08, 300)
  writer.close(mark)
  t.ok(writer.isOverflown)
  t.equal(writer.at, 4 + 1 + 2 + 203 + 3)
})
