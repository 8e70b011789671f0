import t from 'tap'
import { decodeFrame } from '../../net/wire/kraken/decode.js'
import { encodeMessage } from '../../net/wire/kraken/encode.js'
import { fromHex, toHex } from '../support/hex.js'
import { FRAME_VECTORS } from './vectors/frames.js'

for (const { what, message, hex } of FRAME_VECTORS) {
  t.test(`the frame of ${what}`, async t => {
    const frame = fromHex(hex)
    t.equal(toHex(encodeMessage(message)), toHex(frame))
    t.same(decodeFrame(frame, 0, frame.length), { status: 'message', message, bytesRead: frame.length })
  })

  t.test(`the frame of ${what}, cut anywhere, asks for more`, async t => {
    const frame = fromHex(hex)
    for (let end = 0; end < frame.length; end++) {
      if (decodeFrame(frame, 0, end).status !== 'more') t.fail(`not at ${end} of ${frame.length} bytes`)
    }
  })
}
