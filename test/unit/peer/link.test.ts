import t, { type Test } from 'tap'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { type DigestHex } from '../../../runtime/core/digest.js'
import { type InfoHash } from '../../../runtime/core/infohash.js'
import { type PeerId } from '../../../runtime/core/peer-id.js'
import { Slab } from '../../../runtime/core/slab.js'
import { SlotQueue } from '../../../runtime/core/slot-queue.js'
import { type CloseReason, type ConnId } from '../../../runtime/torrent/events.js'
import { Link, type LinkOwner, type PeerMessage } from '../../../net/peer/link.js'
import { listen } from '../../../net/peer/socket.js'
import { type Handshake } from '../../../net/wire/messages.js'

const PIECE_BYTES = 100_000
const SLOT_BYTES = 16 * 1024

const handshake: Handshake = {
  infoHash: '449fe25a5d83961cec4a212c6106a1419451bf06' as InfoHash,
  name: '9ae5bf6a24c09bca9d2633fc99cc71241a16b993ef7c8019f574993fc886554c' as DigestHex,
  peerId: '41e1ae81214fa1443fce4f8f81eb980700000000' as PeerId,
  bitfieldBytes: new Uint8Array([0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 15]),
  namespace: 'ns',
  neighbours: []
}

/** Writes down what a link tells, and lets a test wait for any of it. */
class Recorder implements LinkOwner {
  readonly events: Array<{ what: string, detail?: unknown, link: Link }> = []
  #waiting: Array<{ what: string, resolve: (event: { link: Link, detail?: unknown }) => void }> = []
  onPayload: (link: Link, length: number) => void = link => link.skip()

  connected (link: Link): void { this.#note('connected', link) }
  handshake (link: Link, theirs: Handshake): void { this.#note('handshake', link, theirs) }
  message (link: Link, message: PeerMessage): void { this.#note(message.type, link, message) }
  payloadStarted (link: Link, index: number, _offset: number, length: number): void {
    this.#note('payloadStarted', link, index)
    this.onPayload(link, length)
  }

  payloadDone (link: Link): void { this.#note('payloadDone', link) }
  closed (link: Link, reason: CloseReason): void { this.#note('closed', link, reason) }

  async next (what: string): Promise<{ link: Link, detail?: unknown }> {
    const at = this.events.findIndex(event => event.what === what)
    const found = this.events.splice(at, at < 0 ? 0 : 1)[0]
    return found ?? await new Promise(resolve => this.#waiting.push({ what, resolve }))
  }

  #note (what: string, link: Link, detail?: unknown): void {
    const at = this.#waiting.findIndex(waiter => waiter.what === what)
    const waiter = this.#waiting.splice(at, at < 0 ? 0 : 1)[0]
    if (waiter === undefined) this.events.push({ what, link, detail })
    else waiter.resolve({ link, detail })
  }
}

interface Pair {
  readonly near: Recorder
  readonly far: Recorder
  readonly nearLink: Link
  readonly farLink: Link
  readonly content: Buffer
  /** An open file of four pieces. */
  readonly fd: number
}

/** Two links joined by a real connection, past their handshakes; afterwards no slot may be leased. */
async function withPair (t: Test, act: (pair: Pair) => Promise<void>): Promise<void> {
  const near = new Recorder()
  const far = new Recorder()
  const slots = new SlotQueue(Slab.create(4, SLOT_BYTES, { poison: true }))
  const accepted: Link[] = []
  const listener = await listen(0, () => {
    const link = Link.accept(2 as ConnId, far, slots)
    accepted.push(link)
    return { receiver: link, attach: socket => link.attach(socket) }
  }, '127.0.0.1')
  const nearLink = Link.dial(1 as ConnId, { ip: '127.0.0.1', port: listener.port }, 5_000, near, slots)
  await near.next('connected')
  nearLink.send({ type: 'handshake', handshake })
  const { link: farLink, detail } = await far.next('handshake')
  t.equal((detail as Handshake).namespace, 'ns')
  farLink.send({ type: 'handshake', handshake: { ...handshake, namespace: '' } })
  await near.next('handshake')
  const file = path.join(t.testdir({}), 'data')
  const content = Buffer.from(Array.from({ length: 4 * PIECE_BYTES }, (_, i) => (i ^ i >> 8) & 255))
  fs.writeFileSync(file, content)
  const fd = fs.openSync(file, 'r')
  await act({ near, far, nearLink, farLink, content, fd })
  nearLink.close('shutdown')
  for (const link of accepted) link.close('shutdown')
  await listener.close()
  while (slots.slab.leasedCount > 0) await new Promise(resolve => setImmediate(resolve))
  fs.closeSync(fd)
}

t.test('pieces arrive whole, in the order of their requests, and announcements go between them', t => withPair(t, async pair => {
  const { near, far, nearLink, farLink, fd, content } = pair
  const received: Buffer[] = []
  near.onPayload = (link, length) => {
    const into = [new Uint8Array(40_000), new Uint8Array(length - 40_000)]
    received.push(Buffer.alloc(0))
    link.fill(into)
    const at = received.length - 1
    void near.next('payloadDone').then(() => { received[at] = Buffer.concat(into) })
  }
  for (const index of [2, 0, 3]) nearLink.send({ type: 'pieceRequest', index, offset: 0, length: PIECE_BYTES })
  const sent: number[] = []
  for (const index of [2, 0, 3]) {
    const { detail } = await far.next('pieceRequest')
    t.match(detail, { index, offset: 0, length: PIECE_BYTES })
    farLink.sendPiece(index, { fd, position: index * PIECE_BYTES, length: PIECE_BYTES }, () => sent.push(index))
    farLink.send({ type: 'announcePiece', index })
  }
  farLink.send({ type: 'complete' })
  await near.next('complete')
  for (const index of [2, 0, 3]) {
    t.equal((await near.next('payloadStarted')).detail, index)
    await near.next('announcePiece')
  }
  while (received.length < 3 || received.some(piece => piece.length === 0)) await new Promise(resolve => setImmediate(resolve))
  t.same(received.map(piece => piece.length), [PIECE_BYTES, PIECE_BYTES, PIECE_BYTES])
  for (const [i, index] of [2, 0, 3].entries()) {
    t.ok(received[i]?.equals(content.subarray(index * PIECE_BYTES, (index + 1) * PIECE_BYTES)), `piece ${index} is right`)
  }
  t.same(sent, [2, 0, 3])
}))

t.test('a file that is too short cuts the connection: the header has promised more', t => withPair(t, async ({ near, far, farLink, fd }) => {
  farLink.sendPiece(3, { fd, position: 3 * PIECE_BYTES + 1, length: PIECE_BYTES }, () => t.fail('it cannot have been sent'))
  t.equal((await far.next('closed')).detail, 'network')
  t.match((await near.next('closed')).detail, /remote-closed|network/)
}))

t.test('closing in the middle of a piece gives back every slot', t => withPair(t, async ({ far, nearLink, farLink, fd }) => {
  for (const index of [0, 1, 2, 3]) farLink.sendPiece(index, { fd, position: index * PIECE_BYTES, length: PIECE_BYTES }, () => {})
  nearLink.close('shutdown')
  await far.next('closed')
  farLink.sendPiece(0, { fd, position: 0, length: PIECE_BYTES }, () => t.fail('a closed link sends nothing'))
  t.pass('see the slots')
}))

for (const [what, bytes] of [
  ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ['a frame over the limit', Buffer.from('00008001', 'hex')],
  ['a request before the handshake', Buffer.from('000000061001220220040000', 'hex')],
  ['a piece before the handshake', Buffer.from('0000000610022a02200400010203', 'hex')],
  ['a frame that is no message', Buffer.from('00000003ffffff', 'hex')]
] as const) {
  t.test(`${what} is a protocol violation`, async t => {
    const far = new Recorder()
    const slots = new SlotQueue(Slab.create(1, SLOT_BYTES))
    const listener = await listen(0, () => {
      const link = Link.accept(2 as ConnId, far, slots)
      return { receiver: link, attach: socket => link.attach(socket) }
    }, '127.0.0.1')
    t.teardown(() => listener.close())
    const socket = net.connect(listener.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(bytes)
    t.equal((await far.next('closed')).detail, 'protocol-violation')
    t.same(far.events, [], 'nothing else is heard of it')
    socket.destroy()
  })
}

t.test('a dial that nobody answers is reported once', async t => {
  const probe = net.createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => probe.once('listening', resolve))
  const address = probe.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  await new Promise(resolve => probe.close(resolve))
  const near = new Recorder()
  Link.dial(1 as ConnId, { ip: '127.0.0.1', port }, 1_000, near, new SlotQueue(Slab.create(1, SLOT_BYTES)))
  t.equal((await near.next('closed')).detail, 'network')
  t.same(near.events, [])
})
