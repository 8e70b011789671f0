import { Bitfield } from '../../../runtime/core/bitfield.js'
import { type PieceIndex } from '../../../runtime/core/lengths.js'
import { type CloseReason, type ConnId } from '../../../runtime/torrent/events.js'
import { type Network, type Pipe } from './network.js'
import { type SimNode } from './node.js'

/** One side's view of a connection. */
export interface End {
  readonly link: Link
  readonly node: SimNode
  /** The node's generation when it began: a node that crashed meanwhile knows nothing of it. */
  readonly generation: number
  conn: ConnId | undefined
  isEstablished: boolean
  isClosed: boolean
  readonly out: Pipe
  /** Requests that this side has made and not got an answer for, for checking. */
  readonly asked: Set<PieceIndex>
  /** Pieces that this side has agreed to receive. */
  readonly taking: Set<PieceIndex>
  /** What the other side said it has. */
  readonly known: Bitfield
}

/** A connection between two nodes, from the dial on. */
export class Link {
  readonly dialler: End
  readonly acceptor: End

  constructor (readonly network: Network, dialler: SimNode, acceptor: SimNode) {
    this.dialler = this.#end(dialler, network.pipe(dialler.host, acceptor.host))
    this.acceptor = this.#end(acceptor, network.pipe(acceptor.host, dialler.host))
  }

  get isClosed (): boolean { return this.dialler.isClosed || this.acceptor.isClosed }

  other (end: End): End { return end === this.dialler ? this.acceptor : this.dialler }

  /** One side closes; the other hears of it a moment later. */
  close (end: End, remoteReason: CloseReason): void {
    if (end.isClosed) return
    end.isClosed = true
    for (const { out } of [this.dialler, this.acceptor]) this.network.close(out)
    const other = this.other(end)
    this.network.heap.in(this.network.delay(), () => {
      if (other.isClosed) return
      other.isClosed = true
      other.node.closed(other, remoteReason)
    })
  }

  /** The connection breaks: both sides see a network error. */
  reset (): void {
    if (this.isClosed) return
    const { dialler } = this
    this.close(dialler, 'network')
    dialler.node.closed(dialler, 'network')
  }

  #end (node: SimNode, out: Pipe): End {
    const known = new Bitfield(node.options.lengths.pieceCount)
    return {
      link: this,
      node,
      generation: node.generation,
      conn: undefined,
      isEstablished: false,
      isClosed: false,
      out,
      asked: new Set(),
      taking: new Set(),
      known
    }
  }
}
