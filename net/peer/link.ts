import { type SlotQueue } from '../../runtime/core/slot-queue.js'
import { type CloseReason, type ConnId } from '../../runtime/torrent/events.js'
import { type Handshake, type Message } from '../wire/messages.js'
import { decodeFrame } from '../wire/kraken/decode.js'
import { encodeMessage } from '../wire/kraken/encode.js'
import { Inbox } from './inbox.js'
import { Outbox } from './outbox.js'
import { type ByteReceiver, type PeerSocket, dial } from './socket.js'

export type PeerMessage = Exclude<Message, { type: 'piecePayload' | 'handshake' }>

/** What a link tells whoever drives it. */
export interface LinkOwner {
  /** The dialled connection stands: say who we are. */
  connected (link: Link): void
  /** The peer's first message: exactly once, before any other. */
  handshake (link: Link, handshake: Handshake): void
  message (link: Link, message: PeerMessage): void
  /** The header of a piece. Answer with `link.fill` or `link.skip`, at once or later; meanwhile nothing is read. */
  payloadStarted (link: Link, index: number, offset: number, length: number): void
  /** Its bytes are in the buffers given to `fill`, or skipped. */
  payloadDone (link: Link): void
  /** The last call; the link is gone. */
  closed (link: Link, reason: CloseReason): void
}

/** Bytes that may wait for the peer to read, the two blocks of a piece among them; a peer that lets them pile up is cut off. */
const PENDING_BYTES_MAX = 1024 * 1024
/** Requests of one peer that may wait to be served. */
const PIECES_QUEUED_MAX = 10_000

/** One TCP connection to one peer for one torrent, in messages. It knows the dialect; nobody above it does. */
export class Link implements ByteReceiver {
  readonly #inbox: Inbox
  #outbox: Outbox | undefined
  #socket: PeerSocket | undefined
  #closeReason: CloseReason | undefined
  #hasHandshake = false
  #isClosed = false

  private constructor (
    readonly id: ConnId,
    readonly isOutgoing: boolean,
    readonly owner: LinkOwner,
    readonly sendSlots: SlotQueue
  ) {
    this.#inbox = new Inbox(decodeFrame, {
      message: message => this.#receive(message),
      payloadStarted: (index, offset, length) => this.#startPayload(index, offset, length),
      payloadDone: () => owner.payloadDone(this),
      fault: () => this.close('protocol-violation')
    }, () => this.#socket?.resume())
  }

  /** Connects to a peer; `owner.connected` or `owner.closed` follows. */
  static dial (id: ConnId, target: { ip: string, port: number }, timeoutMs: number, owner: LinkOwner, sendSlots: SlotQueue): Link {
    const link = new Link(id, true, owner, sendSlots)
    link.attach(dial(target.ip, target.port, timeoutMs, link, () => owner.connected(link)))
    return link
  }

  /** A link for a connection that is being accepted; `attach` gives it its socket. */
  static accept (id: ConnId, owner: LinkOwner, sendSlots: SlotQueue): Link { return new Link(id, false, owner, sendSlots) }

  attach (socket: PeerSocket): void {
    this.#socket = socket
    this.#outbox = new Outbox(socket, this.sendSlots, () => this.close('network'))
  }

  get isHandshaken (): boolean { return this.#hasHandshake }
  get isReceiving (): boolean { return this.#inbox.isReceiving }
  get isSending (): boolean { return this.#outbox?.isSending ?? false }
  get blocksSent (): number { return this.#outbox?.blocksSent ?? 0 }
  get bytesReceived (): number { return this.#inbox.bytesReceived }
  get remoteAddress (): string { return this.#socket?.remoteAddress ?? '' }
  get isClosed (): boolean { return this.#isClosed }

  send (message: Message): void {
    if (this.#closeReason !== undefined) return
    this.#outbox?.send(encodeMessage(message))
    if ((this.#outbox?.pendingBytes ?? 0) > PENDING_BYTES_MAX) this.close('stalled')
  }

  /** Queues a piece: `length` bytes at `position` of an open file. */
  sendPiece (index: number, file: { fd: number, position: number, length: number }, sent: () => void): void {
    if (this.#closeReason !== undefined) return
    if ((this.#outbox?.piecesQueued ?? 0) >= PIECES_QUEUED_MAX) {
      this.close('protocol-violation')
      return
    }
    const header = encodeMessage({ type: 'piecePayload', index, offset: 0, length: file.length })
    this.#outbox?.sendPiece({ header, fd: file.fd, position: file.position, lengthBytes: file.length, sent })
  }

  /** Keeps messages back from inside `owner.handshake` on: a peer may say more before it is decided whether it is let in. */
  hold (): void { this.#inbox.hold() }
  proceed (): void { this.#inbox.proceed() }
  fill (targets: readonly Uint8Array[]): void { this.#inbox.fill(targets) }
  skip (): void { this.#inbox.skip() }

  /** Ends the link; `owner.closed` follows with this reason, once, not before this returns. */
  close (reason: CloseReason): void {
    if (this.#closeReason !== undefined) return
    this.#closeReason = reason
    this.#inbox.end()
    this.#outbox?.end()
    this.#socket?.destroy()
  }

  nextBuffer (): Uint8Array { return this.#inbox.nextBuffer() }
  received (count: number): boolean { return this.#inbox.received(count) }

  closed (error: Error | undefined): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.close(error === undefined ? 'remote-closed' : 'network')
    this.owner.closed(this, this.#closeReason ?? 'remote-closed')
  }

  #receive (message: Exclude<Message, { type: 'piecePayload' }>): void {
    if (!this.#hasHandshake) {
      if (message.type !== 'handshake') {
        this.close('protocol-violation')
        return
      }
      this.#hasHandshake = true
      this.owner.handshake(this, message.handshake)
      return
    }
    // A second handshake is ignored, as the reference does (p2p specification 5.6).
    if (message.type !== 'handshake') this.owner.message(this, message)
  }

  #startPayload (index: number, offset: number, length: number): void {
    if (this.#hasHandshake) this.owner.payloadStarted(this, index, offset, length)
    else this.close('protocol-violation')
  }
}
