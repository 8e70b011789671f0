import fs from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { Slab } from '../../../runtime/core/slab.js'
import { SlotQueue } from '../../../runtime/core/slot-queue.js'
import { Outbox } from '../../../net/peer/outbox.js'
import { type PeerSocket, type Written } from '../../../net/peer/socket.js'
import { until } from '../../support/manual-time.js'

const SLOT_BYTES = 1024

/** A socket whose peer reads only when it is told to. */
class SlowSocket implements PeerSocket {
  readonly remoteAddress = ''
  readonly #waiting: Array<{ readonly bytes: Buffer, readonly written: Written }> = []
  read = Buffer.alloc(0)

  get pendingBytes (): number { return this.#waiting.reduce((sum, { bytes }) => sum + bytes.length, 0) }
  write (view: Uint8Array, written: Written = () => {}): void { this.#waiting.push({ bytes: Buffer.from(view), written }) }
  writePair (first: Uint8Array, second: Uint8Array, written?: Written): void { this.write(Buffer.concat([first, second]), written) }
  resume (): void {}
  destroy (): void {}

  /** The peer reads the oldest write. */
  take (): void {
    const next = this.#waiting.shift()
    if (next === undefined) return
    this.read = Buffer.concat([this.read, next.bytes])
    next.written()
  }
}

interface Bench { socket: SlowSocket, queue: SlotQueue, outbox: Outbox, piece: (sent?: () => void) => void, content: Buffer }

function setUp (t: Test, { slots = 4 } = {}): Bench {
  const socket = new SlowSocket()
  const queue = new SlotQueue(Slab.create(slots, SLOT_BYTES, { poison: true }))
  const outbox = new Outbox(socket, queue, error => { t.fail(error.message) })
  const content = Buffer.from(Array.from({ length: 3 * SLOT_BYTES + 5 }, (_, i) => i ^ i >> 8))
  const file = path.join(t.testdir({}), 'data')
  fs.writeFileSync(file, content)
  const fd = fs.openSync(file, 'r')
  t.teardown(() => { fs.closeSync(fd) })
  const piece = (sent = (): void => {}): void => { outbox.sendPiece({ header: Buffer.from('<'), fd, position: 0, lengthBytes: content.length, sent }) }
  return { socket, queue, outbox, piece, content }
}

t.test('messages wait for the end of a piece, and both for the peer', async t => {
  const { socket, outbox, piece, content, queue } = setUp(t)
  let isSent = false
  piece(() => { isSent = true })
  await until(() => socket.pendingBytes > 0)
  outbox.send(Buffer.from('>'))
  t.equal(outbox.pendingBytes, 1, 'counted is the message; the blocks before it are bounded by their slots')
  await until(() => { socket.take(); return isSent && socket.pendingBytes === 0 })
  t.ok(socket.read.equals(Buffer.concat([Buffer.from('<'), content, Buffer.from('>')])))
  t.equal(outbox.pendingBytes, 0)
  t.equal(queue.slab.leasedCount, 0)
})

t.test('no more than two blocks of a link are in memory', async t => {
  const { socket, piece, queue, outbox } = setUp(t)
  for (let i = 0; i < 3; i++) piece()
  await until(() => socket.pendingBytes >= 2 * SLOT_BYTES)
  t.equal(queue.slab.leasedCount, 2)
  t.ok(outbox.isSending)
  outbox.end()
})

t.test('a link that waits for a slot is not the one that stalls', async t => {
  const { piece, queue, outbox, socket } = setUp(t, { slots: 1 })
  const [taken] = queue.slab.leaseMany(1) ?? []
  piece()
  t.notOk(outbox.isSending)
  if (taken !== undefined) queue.release([taken])
  await until(() => outbox.isSending)
  t.equal(socket.pendingBytes, 1 + SLOT_BYTES)
  outbox.end()
})

t.test('what was in the socket when the link ended does not count as sent', async t => {
  const { socket, outbox, piece, queue } = setUp(t)
  let isSent = false
  piece(() => { isSent = true })
  await until(() => socket.pendingBytes >= 2 * SLOT_BYTES)
  outbox.end()
  while (socket.pendingBytes > 0) socket.take()
  t.equal(queue.slab.leasedCount, 0)
  t.notOk(isSent)
  t.equal(outbox.blocksSent, 0)
})
