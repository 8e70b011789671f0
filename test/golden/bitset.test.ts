import t from 'tap'
import { Bitfield } from '../../runtime/core/bitfield.js'
import { fromHex, toHex } from '../support/hex.js'
import { must } from '../support/must.js'

/** p2p specification 5.4. */
for (const [length, bits, hex] of [
  [0, [], '0000000000000000'],
  [1, [], '0000000000000001 0000000000000000'],
  [1, [0], '0000000000000001 0000000000000001'],
  [3, [0, 2], '0000000000000003 0000000000000005'],
  [64, Array.from({ length: 64 }, (_, i) => i), '0000000000000040 ffffffffffffffff'],
  [65, Array.from({ length: 65 }, (_, i) => i), '0000000000000041 ffffffffffffffff 0000000000000001'],
  [70, [0, 63, 64, 69], '0000000000000046 8000000000000001 0000000000000021']
] as const) {
  t.test(`${bits.length} of ${length} bits`, async t => {
    const bitfield = new Bitfield(length)
    for (const bit of bits) bitfield.add(bit)
    t.equal(toHex(bitfield.serialize()), toHex(fromHex(hex)))
    t.same([...must(Bitfield.parse(fromHex(hex), length))], bits)
  })
}
