import { pattern } from '../../support/pattern.js'

/** Blobs with their metainfo (p2p specification 3.6); `blob` is missing where only the metainfo is known. */
export interface MetaInfoVector {
  readonly id: string
  readonly blob?: () => Uint8Array
  readonly lengthBytes: number
  readonly pieceBytes: number
  readonly name: string
  readonly sums: readonly number[]
  readonly infoHash: string
}

const MIB = 1024 * 1024
const DIGITS = new TextEncoder().encode('0123456789')
const DIGITS_NAME = '84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882'
const EMPTY_NAME = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

function digits (id: string, pieceBytes: number, sums: readonly number[], infoHash: string): MetaInfoVector {
  return { id, blob: () => DIGITS, lengthBytes: 10, pieceBytes, name: DIGITS_NAME, sums, infoHash }
}

function patterned (id: string, lengthBytes: number, pieceBytes: number, name: string, sums: readonly number[], infoHash: string): MetaInfoVector {
  return { id, blob: () => pattern(lengthBytes), lengthBytes, pieceBytes, name, sums, infoHash }
}

export const METAINFO_VECTORS: readonly MetaInfoVector[] = [
  {
    id: 'G',
    lengthBytes: 236,
    pieceBytes: 4 * MIB,
    name: '289314c356bc2a19802c3e31505506db30ea81a0bcaea4ec3e079524c8ac3cf5',
    sums: [2131691452],
    infoHash: '85b978c4377625b3963df406d0dd3a1da5a7d9c3'
  },
  // http-api specification 14.1, second row; the others are G and V0.
  {
    id: 'H',
    lengthBytes: 529,
    pieceBytes: 4 * MIB,
    name: '0c493c517180a20aecaa80fe12ec594476df79deabbed42296169380df962e86',
    sums: [3655704501],
    infoHash: 'bdb987847fa0656157bc1c9bc6d7931799abc06b'
  },
  {
    id: 'V0',
    blob: () => new Uint8Array(0),
    lengthBytes: 0,
    pieceBytes: 4 * MIB,
    name: EMPTY_NAME,
    sums: [],
    infoHash: 'bd0cf4b9dd85d372bcb5ca5bb3ba752af0ea3e5d'
  },
  digits('V1', 4 * MIB, [2793719750], 'b7c2b8100f635860a1d4df7ff69031e1719f7f1d'),
  digits('V2', 4, [2791742845, 1292674027, 155395596], '3a59290eae1e7989fb47d9858b52c3f02e1db770'),
  digits('V3', 3, [3584060080, 888517903, 1738692762, 2366072709], 'e47bb58c90c505eb2b1bc2f79115eb187bf52aed'),
  patterned('V4', 10, 4, '1f825aa2f0020ef7cf91dfa30da4668d791c5d4824fc8e41354b89ec05795ab3',
    [2344191507, 1624488069, 4040958035], '674763046cb360c1fcf092bb592178acc350615a'),
  patterned('V5', 10 * MIB, 4 * MIB, '60d53b59a4ec333fe07505746fe8cb50a8e8a3e87a4e0489c6f32175a9f0b5a0',
    [2027039441, 2027540590, 894893167], 'bde57bca1a3f17ff39c5d01b26d506dd86784406'),
  patterned('V6', 2 * MIB, MIB, 'ff595a0efabe363a3f96957001e471bde72330dbf3875f0e967fc1fd07e4c74d',
    [55887409, 3320951116], '21a07010c611b2564a9505ce17f4bc2aed8467a9'),
  patterned('V7', 2.5 * MIB, MIB, 'e27a221647eb054a0d1bc7cbd5c36a94cdc0e1a793d26c4ac1da696719fdfc11',
    [55887409, 3320951116, 4117020491], 'ac6b26c9a39cd930f68ab8572cc0b0c6914363a1'),
  patterned('V8', 4 * MIB - 1, 4 * MIB, '9d843b8e919af3cc5fcc7d606ac8699386138b8e83582e4a1082c3cd361631ab',
    [3666412369], 'b13bf86e81c8a245bbf01346fde7caf30f142f79'),
  patterned('V9', 4 * MIB, 4 * MIB, '84c2719a0a1974aefc0ed2bf13dc2cf02dda82037a51c14975ec34e78c87a52e',
    [2027039441], 'be29de1ca4f07b85d0f51d2fc2cb80ee8fdf1f3d'),
  patterned('V10', 4 * MIB + 1, 4 * MIB, 'c590b88a1c634a049d58061c1a9b01860a954678b3ee1e6ccb4e5c8ad9e85350',
    [2027039441, 2766056989], '99f598a85907c47e3c3f215113776cce87335a87')
]

/** The whole strings behind three of them. */
export const METAINFO_TEXTS = [
  {
    id: 'G',
    bencode: 'd6:Lengthi236e4:Name64:289314c356bc2a19802c3e31505506db30ea81a0bcaea4ec3e079524c8ac3cf511:PieceLengthi4194304e9:PieceSumsli2131691452eee',
    json: '{"Info":{"PieceLength":4194304,"PieceSums":[2131691452],"Name":"289314c356bc2a19802c3e31505506db30ea81a0bcaea4ec3e079524c8ac3cf5","Length":236}}'
  },
  {
    id: 'V0',
    bencode: 'd6:Lengthi0e4:Name64:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85511:PieceLengthi4194304e9:PieceSumslee',
    json: '{"Info":{"PieceLength":4194304,"PieceSums":null,"Name":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","Length":0}}'
  },
  {
    id: 'V5',
    bencode: 'd6:Lengthi10485760e4:Name64:60d53b59a4ec333fe07505746fe8cb50a8e8a3e87a4e0489c6f32175a9f0b5a011:PieceLengthi4194304e9:PieceSumsli2027039441ei2027540590ei894893167eee',
    json: '{"Info":{"PieceLength":4194304,"PieceSums":[2027039441,2027540590,894893167],"Name":"60d53b59a4ec333fe07505746fe8cb50a8e8a3e87a4e0489c6f32175a9f0b5a0","Length":10485760}}'
  }
] as const
