import { isBitset } from '../../../runtime/core/bitfield.js'
import { type DigestHex } from '../../../runtime/core/digest.js'
import { type InfoHash } from '../../../runtime/core/infohash.js'
import { isPeerId, type PeerId } from '../../../runtime/core/peer-id.js'
import { type Message, type WireFault } from '../messages.js'
import { BITFIELD, MAP_ENTRY } from './fields.js'
import { type FieldReader } from './protobuf.js'

const HEX_40 = /^[0-9a-f]{40}$/i
const HEX_64 = /^[0-9a-f]{64}$/i

/** What has been read of a handshake; the fields are checked once all of them are in. */
export interface HandshakeDraft {
  infoHash: string
  name: string
  peerId: string
  namespace: string
  bitfieldBytes: Uint8Array
  /** Listed twice is listed once; bounded by the size of the frame. */
  readonly neighbours: Set<PeerId>
}

export function newHandshakeDraft (): HandshakeDraft {
  return { infoHash: '', name: '', peerId: '', namespace: '', bitfieldBytes: new Uint8Array(0), neighbours: new Set() }
}

export function readHandshake (reader: FieldReader, draft: HandshakeDraft): WireFault | undefined {
  while (reader.next()) {
    const fault = readField(reader, draft)
    if (fault !== undefined) return fault
  }
  return reader.isMalformed ? 'MALFORMED' : undefined
}

/** The checks that the reference makes on a handshake (p2p specification 5.5); the bitfield meets its torrent later. */
export function handshakeOf (draft: HandshakeDraft): Message | WireFault {
  const { infoHash, name, peerId, namespace, bitfieldBytes, neighbours } = draft
  if (!HEX_40.test(infoHash) || !HEX_64.test(name) || !isPeerId(peerId)) return 'ID_INVALID'
  if (!isBitset(bitfieldBytes)) return 'BITSET_INVALID'
  return {
    type: 'handshake',
    handshake: {
      infoHash: infoHash.toLowerCase() as InfoHash,
      // A digest keeps the case in which it was given.
      name: name as DigestHex,
      peerId: peerId.toLowerCase() as PeerId,
      bitfieldBytes,
      namespace,
      neighbours: [...neighbours]
    }
  }
}

function readField (reader: FieldReader, draft: HandshakeDraft): WireFault | undefined {
  switch (reader.tag) {
    case BITFIELD.infoHash: return readText(reader, text => { draft.infoHash = text })
    case BITFIELD.name: return readText(reader, text => { draft.name = text })
    case BITFIELD.peerId: return readText(reader, text => { draft.peerId = text })
    case BITFIELD.namespace: return readText(reader, text => { draft.namespace = text })
    case BITFIELD.bitfieldBytes: draft.bitfieldBytes = reader.copy(); return undefined
    case BITFIELD.remoteBitfield: return readNeighbour(reader.enter(), draft.neighbours)
    default: return undefined
  }
}

function readText (reader: FieldReader, keep: (text: string) => void): WireFault | undefined {
  const text = reader.text()
  if (text === undefined) return 'TEXT_NOT_UTF8'
  keep(text)
  return undefined
}

/** One entry of the map from peer ids to bitsets. Only the ids mean something: the reference sends empty bitsets. */
function readNeighbour (reader: FieldReader, neighbours: Set<PeerId>): WireFault | undefined {
  let key = ''
  let hasBitset = false
  while (reader.next()) {
    switch (reader.tag) {
      case MAP_ENTRY.key: {
        const fault = readText(reader, text => { key = text })
        if (fault !== undefined) return fault
        break
      }
      case MAP_ENTRY.value: hasBitset = isBitset(reader.copy())
    }
  }
  if (reader.isMalformed) return 'MALFORMED'
  if (!isPeerId(key)) return 'ID_INVALID'
  if (!hasBitset) return 'BITSET_INVALID'
  neighbours.add(key.toLowerCase() as PeerId)
  return undefined
}
