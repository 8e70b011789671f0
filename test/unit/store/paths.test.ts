import t from 'tap'
import { parseDigestHex } from '../../../runtime/core/digest.js'
import { isAppError } from '../../../runtime/core/errors.js'
import { blobDir, checkFlatName, dataIn, flatDir, isUploadEntry, uploadDir } from '../../../runtime/store/paths.js'

const HEX = '07123e1f482356c415f684407a3b8723e10b2cbbc0b8fcd6282c49d37c9c1abc'
const UPLOAD = '5f7f1c62-94a2-4c40-9ae4-6f1f5d6f9d11'

t.test('paths are those of Kraken', async t => {
  t.equal(dataIn(blobDir('/c', parseDigestHex(HEX))), `/c/07/12/${HEX}/data`)
  t.equal(dataIn(flatDir('/c', 'library/alpine:3.5')), '/c/library/alpine:3.5/data')
  t.equal(dataIn(uploadDir('/u', UPLOAD)), `/u/${UPLOAD}/data`)
})

t.test('the case of a digest is kept', async t => {
  t.equal(blobDir('/c', parseDigestHex(HEX.toUpperCase())), `/c/07/12/${HEX.toUpperCase()}`)
})

for (const name of ['a', 'a:b', 'a/b/c:1', '...', 'a/.b', `${'x'.repeat(255)}`, 'data/x:1', 'a/data/b:1']) {
  t.test(`flat name ${JSON.stringify(name.slice(0, 20))} is good`, async t => { t.equal(checkFlatName(name), name) })
}
for (const name of ['', '.', '..', '/', '/a', 'a/', 'a//b', '../a', 'a/../b', 'a/..', './a', 'a/.', 'a\0b', 'x'.repeat(256), 'a/'.repeat(600) + 'b', '.doomed-1', 'é'.repeat(128)]) {
  t.test(`flat name ${JSON.stringify(name.slice(0, 20))} is refused`, async t => {
    t.throws(() => flatDir('/c', name), { code: 'NAME_INVALID' })
  })
}

for (const id of ['', '..', '../x', `${UPLOAD}/..`, `../${UPLOAD}`, `/${UPLOAD}`, `${UPLOAD}\0`, UPLOAD.toUpperCase(), UPLOAD.slice(1), `x${UPLOAD}`, `${UPLOAD}\n`]) {
  t.test(`upload id ${JSON.stringify(id)} is refused`, async t => {
    try {
      t.fail(uploadDir('/u', id))
    } catch (error) {
      t.ok(isAppError(error, 'UPLOAD_UNKNOWN'))
    }
  })
}

t.test('only what looks like an upload may be swept', async t => {
  t.ok(isUploadEntry(UPLOAD))
  t.ok(isUploadEntry(`${HEX}.${UPLOAD}`))
  for (const name of ['home', 'x.y', `.${HEX}`, '']) t.notOk(isUploadEntry(name), name)
})
