import { goJson } from '../core/json.js'
import { peerInfoToJson, type PeerInfo } from '../core/peer.js'
import { type PeerId } from '../core/peer-id.js'

/**
 * A peer together with its JSON text, made once when the peer is recorded: an announce hands out dozens of peers, and
 * writing each of them anew would be most of its cost.
 */
export class WrittenPeer implements PeerInfo {
  readonly id: PeerId
  readonly ip: string
  readonly port: number
  readonly isOrigin: boolean
  readonly isComplete: boolean
  readonly json: string

  constructor (peer: PeerInfo) {
    this.id = peer.id
    this.ip = peer.ip
    this.port = peer.port
    this.isOrigin = peer.isOrigin
    this.isComplete = peer.isComplete
    this.json = goJson(peerInfoToJson(peer))
  }
}

/** The JSON text of any peer. */
export function peerText (peer: PeerInfo): string {
  return peer instanceof WrittenPeer ? peer.json : goJson(peerInfoToJson(peer))
}
