import t from 'tap'
import fc from '../../support/fc.js'
import { Inbox } from '../../../net/peer/inbox.js'
import { decodeFrame } from '../../../net/wire/kraken/decode.js'
import { encodeMessage } from '../../../net/wire/kraken/encode.js'
import { type Message } from '../../../net/wire/messages.js'

/** One thing that a peer says: a message, or a piece with its bytes. */
type Said = { readonly type: 'announce', readonly index: number } | { readonly type: 'piece', readonly index: number, readonly bytes: Uint8Array }

const said = (): fc.Arbitrary<Said> => fc.oneof(
  fc.record({ type: fc.constant('announce' as const), index: fc.nat(70_000) }),
  fc.record({ type: fc.constant('piece' as const), index: fc.nat(9), bytes: fc.uint8Array({ minLength: 1, maxLength: 2_000 }) })
)

function bytesOf (list: readonly Said[]): Buffer {
  return Buffer.concat(list.flatMap(one => one.type === 'announce'
    ? [encodeMessage({ type: 'announcePiece', index: one.index })]
    : [encodeMessage({ type: 'piecePayload', index: one.index, offset: 0, length: one.bytes.length }), one.bytes]))
}

/** A link without a socket: collects what comes out, answers pieces by filling them, skipping them, or later. */
class Ear {
  readonly heard: Said[] = []
  readonly faults: string[] = []
  resumes = 0
  #answerLater: Array<() => void> = []
  #current: { index: number, targets: Uint8Array[] } | undefined
  readonly inbox: Inbox

  constructor (readonly mode: (index: number) => 'fill' | 'skip' | 'later', readonly slotBytes = 256) {
    this.inbox = new Inbox(decodeFrame, {
      message: message => this.#hear(message),
      payloadStarted: (index, _offset, length) => this.#start(index, length),
      payloadDone: () => {
        if (this.#current !== undefined) this.heard.push({ type: 'piece', index: this.#current.index, bytes: Buffer.concat(this.#current.targets) })
        this.#current = undefined
      },
      fault: fault => {
        this.faults.push(fault)
        this.inbox.end()
      }
    }, () => { this.resumes++ })
  }

  /** Feeds bytes as a socket would: never more than fit, in cuts of the given sizes. */
  feed (bytes: Uint8Array, sizes: Iterator<number>): void {
    for (let at = 0; at < bytes.length && this.faults.length === 0;) {
      const target = this.inbox.nextBuffer()
      const count = Math.min(target.length, bytes.length - at, sizes.next().value)
      target.set(bytes.subarray(at, at + count))
      at += count
      if (this.inbox.received(count)) continue
      for (let answer = this.#answerLater.shift(); answer !== undefined; answer = this.#answerLater.shift()) answer()
    }
  }

  #hear (message: Message): void {
    if (message.type === 'announcePiece') this.heard.push({ type: 'announce', index: message.index })
  }

  #start (index: number, length: number): void {
    const mode = this.mode(index)
    if (mode === 'skip') return this.inbox.skip()
    const fill = (): void => {
      const targets: Uint8Array[] = []
      for (let left = length; left > 0; left -= this.slotBytes) targets.push(new Uint8Array(Math.min(left, this.slotBytes)))
      this.#current = { index, targets }
      this.inbox.fill(targets)
    }
    if (mode === 'fill') fill()
    else this.#answerLater.push(fill)
  }
}

t.test('any cut of the stream brings the same messages and pieces', async t => {
  fc.assert(fc.property(fc.array(said(), { maxLength: 12 }), fc.infiniteStream(fc.integer({ min: 1, max: 700 })), (list, sizes) => {
    const ear = new Ear(index => index % 3 === 0 ? 'skip' : index % 3 === 1 ? 'later' : 'fill')
    ear.feed(bytesOf(list), sizes)
    t.same(ear.heard, list.filter(one => one.type === 'announce' || one.index % 3 !== 0).map(asBuffers))
    t.same(ear.faults, [])
  }), { numRuns: 300 })
})

t.test('a piece is read straight into its slots once its header is through', async t => {
  const ear = new Ear(() => 'fill', 1_000)
  const header = encodeMessage({ type: 'piecePayload', index: 2, offset: 0, length: 2_500 })
  ear.feed(header, once(header.length))
  t.equal(ear.inbox.nextBuffer().length, 1_000, 'the next read goes into the first slot')
  ear.feed(new Uint8Array(1_000).fill(1), once(1_000))
  ear.feed(new Uint8Array(1_000).fill(2), once(1_000))
  t.equal(ear.inbox.nextBuffer().length, 500, 'and never beyond the end of the piece')
  ear.feed(new Uint8Array(500).fill(3), once(500))
  t.equal(ear.heard.length, 1)
  t.ok(ear.inbox.nextBuffer().length > 32_768, 'then frames are read again')
})

t.test('nothing is read while a piece waits for its slots', async t => {
  const ear = new Ear(() => 'later')
  const stream = bytesOf([{ type: 'piece', index: 1, bytes: new Uint8Array(10).fill(9) }, { type: 'announce', index: 5 }])
  const target = ear.inbox.nextBuffer()
  target.set(stream)
  t.equal(ear.inbox.received(stream.length), false, 'the socket is told to stop')
  t.same(ear.heard, [])
  t.equal(ear.inbox.isReceiving, false, 'the peer is not to blame for this')
})

t.test('bytes that are no frames end the inbox', async t => {
  const ear = new Ear(() => 'fill')
  ear.feed(Buffer.from('GET / HTTP/1.1\r\n\r\n'), once(18))
  t.same(ear.faults, ['FRAME_TOO_LARGE'])
  t.equal(ear.inbox.received(1), false)
})

t.test('a hostile stream is cut off or understood, but never throws', async t => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 3_000 }), fc.infiniteStream(fc.integer({ min: 1, max: 900 })), (bytes, sizes) => {
    const ear = new Ear(() => 'skip')
    ear.feed(bytes, sizes)
    t.ok(ear.faults.length <= 1)
  }), { numRuns: 500 })
})

function asBuffers (one: Said): Said { return one.type === 'piece' ? { ...one, bytes: Buffer.from(one.bytes) } : one }

function * once (size: number): Generator<number, never> { for (;;) yield size }
