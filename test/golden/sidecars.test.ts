import t from 'tap'
import { Bitfield } from '../../runtime/core/bitfield.js'
import { MetaInfo } from '../../runtime/core/metainfo.js'
import {
  decodeAccessTime, decodePersist, decodeStatus, encodeAccessTime, encodePersist, encodeStatus
} from '../../runtime/store/sidecars.js'
import { fromHex, toHex } from '../support/hex.js'

/* Cluster specification A.6. */

for (const [unixSeconds, hex] of [[1700000000, '80c49fd50c000000'], [1786665600, '80eaf2a70d000000']] as const) {
  t.test(`last access at ${unixSeconds}`, async t => {
    t.equal(toHex(encodeAccessTime(unixSeconds)), hex)
    t.equal(decodeAccessTime(fromHex(hex)), unixSeconds)
  })
}

t.test('persist', async t => {
  t.equal(toHex(Buffer.from(encodePersist(true))), '74727565')
  t.equal(decodePersist(fromHex('74727565')), true)
})

t.test('the status of three pieces, the middle one complete', async t => {
  const have = new Bitfield(3)
  have.add(1)
  t.equal(toHex(encodeStatus(have)), '000100')
  t.same([...decodeStatus(fromHex('000100'), 3) ?? []], [1])
})

t.test('the metainfo of hello', async t => {
  const text = '{"Info":{"PieceLength":4194304,"PieceSums":[907060870],"Name":"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","Length":5}}'
  t.equal(MetaInfo.parse(text).serialize(), text)
})
