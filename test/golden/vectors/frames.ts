import { Bitfield } from '../../../runtime/core/bitfield.js'
import { parseDigestHex } from '../../../runtime/core/digest.js'
import { parseInfoHash } from '../../../runtime/core/infohash.js'
import { parsePeerId } from '../../../runtime/core/peer-id.js'
import { type Handshake, type Message } from '../../../net/wire/messages.js'

/** A message and its frame, prefix included, raw payload not (p2p specification 5.10). */
export interface FrameVector { readonly what: string, readonly message: Message, readonly hex: string }

const LEECHER = parsePeerId('98c2b1164e7c9889057941fffcaa67a45f5501ba')
const SEEDER = parsePeerId('3f09784bfa8dd4e29e0180c6ba47951d530acbed')
const OTHER = parsePeerId('902afd8803af75ececff6075f8929a97915e65be')

const INFO_HASH_HEX = '1228 36373437363330343663623336306331666366303932626235393231373861636333353036313561'
const NAME_HEX = `1a40 31663832356161326630303230656637636639316466613330646134363638643739316335643438
  3234666338653431333534623839656330353739356162 33`
const LEECHER_HEX = '2228 39386332623131363465376339383839303537393431666666636161363761343566353530316261'
const SEEDER_HEX = '2228 33663039373834626661386464346532396530313830633662613437393531643533306163626564'

const fromLeecher: Handshake = {
  infoHash: parseInfoHash('674763046cb360c1fcf092bb592178acc350615a'),
  name: parseDigestHex('1f825aa2f0020ef7cf91dfa30da4668d791c5d4824fc8e41354b89ec05795ab3'),
  peerId: LEECHER,
  bitfieldBytes: new Bitfield(3).serialize(),
  namespace: 'ns/repo',
  neighbours: []
}
const fromSeeder: Handshake = { ...fromLeecher, peerId: SEEDER, bitfieldBytes: Bitfield.full(3).serialize(), namespace: '' }

export const FRAME_VECTORS: readonly FrameVector[] = [
  {
    what: "the dialler's handshake",
    message: { type: 'handshake', handshake: fromLeecher },
    hex: `000000b4 1ab101 ${INFO_HASH_HEX} ${NAME_HEX} ${LEECHER_HEX}
      2a10 0000000000000003 0000000000000000 3207 6e732f7265706f`
  },
  {
    what: "the acceptor's handshake",
    message: { type: 'handshake', handshake: fromSeeder },
    hex: `000000ab 1aa801 ${INFO_HASH_HEX} ${NAME_HEX} ${SEEDER_HEX} 2a10 0000000000000003 0000000000000007`
  },
  {
    // The frame of the acceptor with the map entry behind its bitfield: 54 bytes more.
    what: 'a handshake that lists a neighbour',
    message: { type: 'handshake', handshake: { ...fromSeeder, neighbours: [OTHER] } },
    hex: `000000e1 1ade01 ${INFO_HASH_HEX} ${NAME_HEX} ${SEEDER_HEX} 2a10 0000000000000003 0000000000000007
      3a34 0a28 39303261666438383033616637356563656366663630373566383932396139373931356536356265 1208 0000000000000000`
  },
  { what: 'request 0', message: { type: 'pieceRequest', index: 0, offset: 0, length: 4 }, hex: '00000006 1001 2202 2004' },
  { what: 'request 1', message: { type: 'pieceRequest', index: 1, offset: 0, length: 4 }, hex: '00000008 1001 2204 1001 2004' },
  { what: 'request 2', message: { type: 'pieceRequest', index: 2, offset: 0, length: 2 }, hex: '00000008 1001 2204 1002 2002' },
  { what: 'payload 0', message: { type: 'piecePayload', index: 0, offset: 0, length: 4 }, hex: '00000006 1002 2a02 2004' },
  { what: 'payload 1', message: { type: 'piecePayload', index: 1, offset: 0, length: 4 }, hex: '00000008 1002 2a04 1001 2004' },
  { what: 'payload 2', message: { type: 'piecePayload', index: 2, offset: 0, length: 2 }, hex: '00000008 1002 2a04 1002 2002' },
  {
    what: 'a request of 4 MiB',
    message: { type: 'pieceRequest', index: 0, offset: 0, length: 4194304 },
    hex: '00000009 1001 2205 2080808002'
  },
  {
    what: 'a request of 4 MiB further on',
    message: { type: 'pieceRequest', index: 5, offset: 0, length: 4194304 },
    hex: '0000000b 1001 2207 1005 2080808002'
  },
  {
    what: 'a payload of 2 MiB',
    message: { type: 'piecePayload', index: 2, offset: 0, length: 2097152 },
    hex: '0000000b 1002 2a07 1002 2080808001'
  },
  { what: 'announcement 0', message: { type: 'announcePiece', index: 0 }, hex: '00000004 1003 3200' },
  { what: 'announcement 1', message: { type: 'announcePiece', index: 1 }, hex: '00000006 1003 3202 1001' },
  { what: 'announcement 300', message: { type: 'announcePiece', index: 300 }, hex: '00000007 1003 3203 10ac02' },
  { what: 'cancellation 1', message: { type: 'cancelPiece', index: 1 }, hex: '00000006 1004 3a02 1001' },
  {
    what: 'an error',
    message: { type: 'error', index: 7, code: 0, text: 'piece not complete' },
    hex: '0000001a 1005 4216 1212 7069656365206e6f7420636f6d706c657465 1807'
  },
  { what: 'completion', message: { type: 'complete' }, hex: '00000002 1006' }
]
