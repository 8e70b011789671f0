import { createHash } from 'node:crypto'
import t from 'tap'
import { infoHashOf, parseInfoHash } from '../../../runtime/core/infohash.js'

const NAME = '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824'

t.test('it is the SHA-1 of four fields in bencoding', async t => {
  const bencoded = `d6:Lengthi5e4:Name64:${NAME}11:PieceLengthi4e9:PieceSumsli1ei4294967295eee`
  t.equal(
    infoHashOf({ lengthBytes: 5, name: NAME, pieceBytes: 4, pieceSums: [1, 0xffffffff] }),
    createHash('sha1').update(bencoded).digest('hex')
  )
})

t.test('a long list of sums, hashed in parts, gives the hash of the whole', async t => {
  const pieceSums = Uint32Array.from({ length: 25_600 }, (_, i) => Math.imul(i, 2654435761))
  const bencoded = `d6:Lengthi25600e4:Name64:${NAME}11:PieceLengthi1e9:PieceSumsl${[...pieceSums].map(sum => `i${sum}e`).join('')}ee`
  t.equal(infoHashOf({ lengthBytes: 25_600, name: NAME, pieceBytes: 1, pieceSums }), createHash('sha1').update(bencoded).digest('hex'))
})

t.test('parsing takes either case and gives lower case', async t => {
  t.equal(parseInfoHash('AB'.repeat(20)), 'ab'.repeat(20))
  t.throws(() => parseInfoHash('ab'.repeat(19)), { code: 'PARAMETER_INVALID', message: 'invalid hash: expected 40 characters, got 38' })
  t.throws(() => parseInfoHash('ab'.repeat(21)), { code: 'PARAMETER_INVALID' })
  t.throws(() => parseInfoHash('xy'.repeat(20)), { code: 'PARAMETER_INVALID' })
})
