import { type Infer, duration, section, unused } from '../schema.js'

export const conn = section({
  handshake_timeout: duration({ as: 'handshakeTimeoutMs', default: '5s', min: 1, max: 600_000, doc: 'For the dial, for sending and for receiving the handshake, each.' }),
  sender_buffer_size: unused('Messages that may wait to be sent; here a slow link holds its peer back instead.'),
  receiver_buffer_size: unused('Messages that may wait to be handled; here reading stops instead.'),
  bandwidth: unused('Rate limits of the peer port.')
})
export type ConnConfig = Infer<typeof conn>
