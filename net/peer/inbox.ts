import { type Decoded, type Message, type WireFault } from '../wire/messages.js'

/** What comes out of the bytes of one connection. */
export interface InboxOwner {
  /** Anything but the header of a piece. */
  message (message: Exclude<Message, { type: 'piecePayload' }>): void
  /** The header of a piece. Nothing more is read until `fill` or `skip` is called, here or later. */
  payloadStarted (index: number, offset: number, length: number): void
  /** All bytes that were announced have been filled in, or skipped. */
  payloadDone (): void
  fault (fault: WireFault): void
}

type State =
  | { readonly type: 'frames' }
  /** Messages wait in the socket until it is decided what to make of those before them. */
  | { readonly type: 'held' }
  | { readonly type: 'awaiting', readonly lengthBytes: number }
  | { readonly type: 'filling', readonly targets: readonly Uint8Array[], at: number, filled: number }
  | { readonly type: 'skipping', remaining: number }
  | { readonly type: 'ended' }

const FRAMES: State = { type: 'frames' }
const HELD: State = { type: 'held' }
const STAGING_BYTES = 64 * 1024

/*
 * Frames of all connections of a thread are read here: a read and its parsing happen in one callback, so nobody else's
 * bytes can come between. What a frame lacks of its end is carried over in memory of its own, at most one frame.
 */
let staging: Uint8Array | undefined

/**
 * The receiving side of a link. Frames pass through a small staging buffer; once the header of a piece is through, the
 * socket reads straight into the buffers given to `fill`, and back into the staging buffer at the exact end.
 *
 *   bytes:   | frame | header | piece ........................ | frame |
 *   read to:   staging          staging rest, then the targets   staging
 */
export class Inbox {
  #state: State = FRAMES
  #carry: Uint8Array | undefined
  #isParsing = false
  #isDirect = false
  /** All bytes so far, frames and pieces. */
  bytesReceived = 0

  constructor (
    readonly decode: (bytes: Uint8Array, at: number, end: number) => Decoded,
    readonly owner: InboxOwner,
    readonly resume: () => void
  ) {}

  /** True while the bytes of a piece are due from the peer. */
  get isReceiving (): boolean { return this.#state.type === 'filling' || this.#state.type === 'skipping' }

  nextBuffer (): Uint8Array {
    const state = this.#state
    if (state.type === 'filling') {
      const target = state.targets[state.at]
      if (target !== undefined) {
        this.#isDirect = true
        return target.subarray(state.filled)
      }
    }
    this.#isDirect = false
    staging ??= new Uint8Array(STAGING_BYTES)
    return staging
  }

  /** `count` bytes arrived in the last buffer. False: wait for `resume`. */
  received (count: number): boolean {
    this.bytesReceived += count
    if (this.#isDirect) this.#filled(count)
    else if (staging !== undefined) this.#parse(staging.subarray(0, count))
    return this.#isReading
  }

  /** Called from `message`: the messages behind it are not delivered before `proceed`. */
  hold (): void { if (this.#state.type === 'frames') this.#state = HELD }

  /** Goes on after `hold`. */
  proceed (): void { if (this.#state.type === 'held') this.#change(FRAMES) }

  /** Answers `payloadStarted`: the piece goes into these views, one after the other; together they have its length. */
  fill (targets: readonly Uint8Array[]): void {
    this.#answer({ type: 'filling', targets, at: 0, filled: 0 })
  }

  /** Answers `payloadStarted`: the piece is not wanted. */
  skip (): void {
    if (this.#state.type === 'awaiting') this.#answer({ type: 'skipping', remaining: this.#state.lengthBytes })
  }

  /** Nothing is delivered after this. */
  end (): void {
    this.#state = { type: 'ended' }
    this.#carry = undefined
  }

  get #isReading (): boolean { return this.#state.type !== 'awaiting' && this.#state.type !== 'held' && this.#state.type !== 'ended' }

  #answer (next: State): void { if (this.#state.type === 'awaiting') this.#change(next) }

  /** Goes on with what was carried over, and then with the socket. */
  #change (next: State): void {
    this.#state = next
    if (this.#isParsing) return
    const carried = this.#carry ?? new Uint8Array(0)
    this.#carry = undefined
    this.#parse(carried)
    if (this.#isReading) this.resume()
  }

  #parse (chunk: Uint8Array): void {
    const bytes = this.#carry === undefined ? chunk : concat(this.#carry, chunk)
    this.#carry = undefined
    this.#isParsing = true
    const at = this.#consume(bytes)
    this.#isParsing = false
    if (at < bytes.length && this.#state.type !== 'ended') this.#carry = bytes.slice(at)
  }

  /** Uses up what it can and returns where it stopped. */
  #consume (bytes: Uint8Array): number {
    let at = 0
    for (;;) {
      switch (this.#state.type) {
        case 'frames': {
          if (at === bytes.length) return at
          const decoded = this.decode(bytes, at, bytes.length)
          if (decoded.status === 'more') return at
          if (decoded.status === 'fault') {
            this.owner.fault(decoded.fault)
            return at
          }
          at += decoded.bytesRead
          this.#deliver(decoded.message)
          break
        }
        case 'filling': at += this.#copy(bytes, at); if (at === bytes.length) return at; break
        case 'skipping': at += this.#drop(bytes.length - at); if (at === bytes.length) return at; break
        case 'awaiting': case 'held': case 'ended': return at
      }
    }
  }

  #deliver (message: Message): void {
    if (message.type !== 'piecePayload') {
      this.owner.message(message)
      return
    }
    this.#state = { type: 'awaiting', lengthBytes: message.length }
    this.owner.payloadStarted(message.index, message.offset, message.length)
  }

  #copy (bytes: Uint8Array, from: number): number {
    let at = from
    while (at < bytes.length && this.#state.type === 'filling') {
      const target = this.#state.targets[this.#state.at]
      if (target === undefined) break
      const count = Math.min(target.length - this.#state.filled, bytes.length - at)
      target.set(bytes.subarray(at, at + count), this.#state.filled)
      at += count
      this.#filled(count)
    }
    return at - from
  }

  #filled (count: number): void {
    const state = this.#state
    if (state.type !== 'filling') return
    state.filled += count
    if (state.filled < (state.targets[state.at]?.length ?? 0)) return
    state.at++
    state.filled = 0
    if (state.at === state.targets.length) this.#finish()
  }

  #drop (available: number): number {
    const state = this.#state
    if (state.type !== 'skipping') return 0
    const count = Math.min(available, state.remaining)
    state.remaining -= count
    if (state.remaining === 0) this.#finish()
    return count
  }

  #finish (): void {
    this.#state = FRAMES
    this.owner.payloadDone()
  }
}

function concat (head: Uint8Array, tail: Uint8Array): Uint8Array {
  const joined = new Uint8Array(head.length + tail.length)
  joined.set(head)
  joined.set(tail, head.length)
  return joined
}
