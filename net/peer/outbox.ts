import fs from 'node:fs'
import { type Filling } from '../../runtime/core/slab.js'
import { type SlotQueue } from '../../runtime/core/slot-queue.js'
import { type PeerSocket } from './socket.js'

/** A piece to send: bytes of an open file. The descriptor must stay open until `sent` or `fail`. */
export interface PieceToSend {
  /** Frame that goes before the bytes. */
  readonly header: Uint8Array
  readonly fd: number
  readonly position: number
  readonly lengthBytes: number
  readonly sent: () => void
}

interface Block {
  readonly lease: Filling
  readonly bytes: Uint8Array
  readonly piece: PieceToSend
  readonly isFirst: boolean
  readonly isLast: boolean
}

/** Blocks of a link that are in memory at once: one being read from the file while the one before goes out. */
const BLOCKS_MAX = 2

/**
 * The sending side of a link. Pieces go out in the order of their requests, each as its header and then its bytes without
 * anything between; control messages go ahead of whole pieces, never into one.
 *
 *   file --read--> slot --write--> socket          at most BLOCKS_MAX slots a link, taken from a queue of all links
 */
export class Outbox {
  readonly #control: Uint8Array[] = []
  readonly #pieces: PieceToSend[] = []
  readonly #ready: Block[] = []
  /** Bytes of the piece at the head of `#pieces` that were read from the file. */
  #bytesRead = 0
  #blocks = 0
  /** Those of them that were given to the socket. */
  #blocksInSocket = 0
  #blockBytesInSocket = 0
  #controlBytes = 0
  #isReading = false
  #isInsidePiece = false
  #isEnded = false
  #withdraw: (() => void) | undefined
  /** Counts blocks that the kernel took; a link that is sending and does not count on is stalled. */
  blocksSent = 0

  constructor (readonly socket: PeerSocket, readonly slots: SlotQueue, readonly fail: (error: Error) => void) {}

  get piecesQueued (): number { return this.#pieces.length }
  /** True while it is the peer's turn: a block that waits for its slot or its disk is not held against anybody. */
  get isSending (): boolean { return this.#blocksInSocket > 0 }
  /** Memory that the peer keeps us from giving back by reading nothing; blocks of pieces are bounded by their slots. */
  get pendingBytes (): number { return this.socket.pendingBytes - this.#blockBytesInSocket + this.#controlBytes }

  send (message: Uint8Array): void {
    if (this.#isEnded) return
    if (!this.#isInsidePiece) {
      this.socket.write(message)
      return
    }
    this.#control.push(message)
    this.#controlBytes += message.length
  }

  sendPiece (piece: PieceToSend): void {
    if (this.#isEnded) return
    this.#pieces.push(piece)
    this.#readAhead()
  }

  /** Gives back what is held; the pieces not sent get no `sent`. */
  end (): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#withdraw?.()
    this.#pieces.length = 0
    this.#control.length = 0
    this.#controlBytes = 0
    const leases = this.#ready.splice(0).map(block => block.lease)
    this.#blocks -= leases.length
    this.slots.release(leases)
  }

  #readAhead (): void {
    const piece = this.#pieces[0]
    if (this.#isEnded || this.#isReading || piece === undefined || this.#blocks >= BLOCKS_MAX) return
    this.#isReading = true
    this.#blocks++
    this.#withdraw = this.slots.request(1, ([lease]) => {
      this.#withdraw = undefined
      if (lease !== undefined) this.#read(piece, lease)
    })
  }

  #read (piece: PieceToSend, lease: Filling): void {
    const offset = this.#bytesRead
    const bytes = lease.bytes.subarray(0, Math.min(lease.bytes.length, piece.lengthBytes - offset))
    this.#bytesRead += bytes.length
    const isLast = this.#bytesRead === piece.lengthBytes
    if (isLast) {
      this.#pieces.shift()
      this.#bytesRead = 0
    }
    fs.read(piece.fd, bytes, 0, bytes.length, piece.position + offset, (error, count) => {
      this.#isReading = false
      if (this.#isEnded || error !== null || count !== bytes.length) {
        this.#blocks--
        this.slots.release([lease])
        // The header promised these bytes: without them nothing that follows could be understood.
        if (!this.#isEnded) this.fail(error ?? new Error(`file ends ${bytes.length - count} bytes before the piece does`))
        return
      }
      this.#ready.push({ lease, bytes, piece, isFirst: offset === 0, isLast })
      this.#write()
      this.#readAhead()
    })
  }

  #write (): void {
    for (let block = this.#ready.shift(); block !== undefined; block = this.#ready.shift()) {
      const { lease, piece, isLast, bytes, isFirst } = block
      const written = (error?: Error | null): void => {
        this.#blocks--
        this.#blocksInSocket--
        this.#blockBytesInSocket -= sizeBytes
        this.slots.release([lease])
        // What a socket still held when it was destroyed is reported without an error.
        if (this.#isEnded || (error !== undefined && error !== null)) return
        this.blocksSent++
        if (isLast) piece.sent()
        this.#readAhead()
      }
      const sizeBytes = bytes.length + (isFirst ? piece.header.length : 0)
      this.#blocksInSocket++
      this.#blockBytesInSocket += sizeBytes
      if (isFirst) this.socket.writePair(piece.header, bytes, written)
      else this.socket.write(bytes, written)
      this.#isInsidePiece = !isLast
      if (isLast) this.#writeControl()
    }
  }

  #writeControl (): void {
    this.#controlBytes = 0
    for (const message of this.#control.splice(0)) this.socket.write(message)
  }
}
