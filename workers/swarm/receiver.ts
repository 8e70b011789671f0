import fs from 'node:fs'
import { type PieceIndex } from '../../runtime/core/lengths.js'
import { type Filling, type Sealed } from '../../runtime/core/slab.js'
import { type SlotQueue } from '../../runtime/core/slot-queue.js'
import { SHA256_BYTES } from '../../runtime/core/metainfo.js'
import { type Link } from '../../net/peer/link.js'
import { type HashPool } from '../pool.js'
import { type Torrent } from './torrents.js'

/** How the reception of one piece ended. */
export type Reception = 'stored' | 'corrupt' | 'dropped'

/** Who is told how the receptions go. */
export interface ReceiverOwner {
  /** Whether bytes of the piece are due from the peer: not while it waits for slots, nor once all of them are in. */
  receptionDue (link: Link, piece: PieceIndex, isDue: boolean): void
  receptionDone (link: Link, torrent: Torrent, piece: PieceIndex, outcome: Reception): void
}

interface Arrival {
  readonly torrent: Torrent
  readonly piece: PieceIndex
  leases: Filling[] | undefined
  withdraw: (() => void) | undefined
}

/**
 * Brings pieces from their links into their files:
 *
 *   slots leased -> socket reads into them -> sums compared in the pool -> written where they belong -> marked as stored
 *
 * A link brings one piece at a time; what has arrived completely is on its own, so the link may bring the next one while
 * this one is hashed and written. Only verified bytes are written.
 */
export class Receiver {
  readonly #arrivals = new Map<Link, Arrival>()

  constructor (readonly slots: SlotQueue, readonly pool: HashPool, readonly owner: ReceiverOwner) {}

  /** Lets the link read the piece whose header has come, now or as soon as there are slots. */
  begin (link: Link, torrent: Torrent, piece: PieceIndex): void {
    const lengthBytes = torrent.metaInfo.lengths.sizeOf(piece)
    const arrival: Arrival = { torrent, piece, leases: undefined, withdraw: undefined }
    this.#arrivals.set(link, arrival)
    const count = Math.ceil(lengthBytes / this.slots.slab.slotBytes)
    const withdraw = this.slots.request(count, leases => {
      arrival.leases = leases
      if (arrival.withdraw !== undefined) this.owner.receptionDue(link, piece, true)
      arrival.withdraw = undefined
      link.fill(cut(leases, lengthBytes))
    })
    if (arrival.leases !== undefined) return
    arrival.withdraw = withdraw
    this.owner.receptionDue(link, piece, false)
  }

  /** All bytes of the link's piece are in. */
  finish (link: Link): void {
    const arrival = this.#arrivals.get(link)
    if (arrival?.leases === undefined) return
    this.#arrivals.delete(link)
    const { torrent, piece, leases } = arrival
    this.owner.receptionDue(link, piece, false)
    const sealed = leases.map(lease => this.slots.slab.seal(lease, lease.bytes.length))
    const release = torrent.hold()
    this.#keep(torrent, piece, sealed).then(
      outcome => this.owner.receptionDone(link, torrent, piece, outcome),
      // A disk or pool error: the piece can be had again, the error is reported by whoever counts dropped pieces.
      () => this.owner.receptionDone(link, torrent, piece, 'dropped')
    ).finally(() => {
      this.slots.release(sealed)
      release()
    })
  }

  /** The link is gone: what it was bringing is forgotten. */
  abandon (link: Link): void {
    const arrival = this.#arrivals.get(link)
    if (arrival === undefined) return
    this.#arrivals.delete(link)
    arrival.withdraw?.()
    if (arrival.leases !== undefined) this.slots.release(arrival.leases)
  }

  async #keep (torrent: Torrent, piece: PieceIndex, sealed: readonly Sealed[]): Promise<Reception> {
    const { lengths, pieceSums, pieceDigests } = torrent.metaInfo
    if (torrent.isRetired || torrent.stored.have.has(piece)) return 'dropped'
    const { isGood } = await this.pool.run('verifyPiece', {
      slots: sealed.map(view => view.slot),
      lengthBytes: lengths.sizeOf(piece),
      crc: pieceSums[piece] ?? 0,
      // A copy: a view would take all digests along to the other thread.
      sha256: pieceDigests?.slice(piece * SHA256_BYTES, (piece + 1) * SHA256_BYTES)
    })
    if (!isGood) return 'corrupt'
    if (torrent.isRetired || torrent.stored.have.has(piece)) return 'dropped'
    await writeAt(torrent.stored.fd, cut(sealed, lengths.sizeOf(piece)), lengths.offsetOf(piece))
    // Whoever opened the blob anew meanwhile has counted its pieces already.
    if (torrent.isRetired) return 'dropped'
    await torrent.stored.markStored(piece)
    return 'stored'
  }
}

/** Views of the slots that together are `lengthBytes` long. */
function cut (slots: ReadonlyArray<Filling | Sealed>, lengthBytes: number): Uint8Array[] {
  let left = lengthBytes
  return slots.map(slot => {
    const view = slot.bytes.subarray(0, Math.min(left, slot.bytes.length))
    left -= view.length
    return view
  })
}

async function writeAt (fd: number, views: readonly Uint8Array[], position: number): Promise<void> {
  let at = position
  let rest = [...views]
  while (rest.length > 0) {
    const written = await new Promise<number>((resolve, reject) => {
      fs.writev(fd, rest, at, (error, count) => { if (error === null) resolve(count); else reject(error) })
    })
    at += written
    rest = behind(rest, written)
  }
}

/** What is left of the views after the first `count` bytes. */
function behind (views: readonly Uint8Array[], count: number): Uint8Array[] {
  const rest: Uint8Array[] = []
  let skip = count
  for (const view of views) {
    if (skip < view.length) rest.push(view.subarray(skip))
    skip = Math.max(0, skip - view.length)
  }
  return rest
}
