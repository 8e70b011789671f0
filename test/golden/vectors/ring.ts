/** MurmurHash3 x64-128, first half, seed 0 (cluster specification A.1): a text or hex bytes before it, the hash, its rank. */
export const HASHES = [
  { key: '', text: '', hash: '0000000000000000' },
  { key: '', text: 'hello', hash: 'cbd8a7b341bd9b02' },
  { key: '', text: 'hello, world', hash: '342fac623a5ebc8e' },
  { key: '', text: 'The quick brown fox jumps over the lazy dog.', hash: 'cd99481f9ee902c9' },
  { key: 'e3b0', text: 'origin1:15002', hash: 'da9f8b23cfa57be0', rank: 8878710201875424 },
  { key: '0000', text: 'a:80', hash: 'c2ecd28a6b406dfb', rank: 3609191667232251 },
  { key: 'ffff', text: '10.0.0.1:80', hash: '35cd00fd8693f1ab', rank: 3660263581807019 }
] as const

/** Hashes whose low 53 bits are zero, as halves, and the ranks they give (A.1). */
export const REHASHED = [
  { high: 0, low: 0, rank: '1f63b7cc57c3cb' },
  { high: 0x00200000, low: 0, rank: '08edcf6ab7d4ef' },
  { high: 0x00400000, low: 0, rank: '03757267100603' },
  { high: 0x00800000, low: 0, rank: '1418df2051a371' }
] as const

/** Five members, written as their numbers in `order` (A.2). */
export const FIVE_ORIGINS = [1, 2, 3, 4, 5].map(n => `origin${n}:15002`)
export const FIVE_ORIGINS_ROWS = [
  { content: '', shard: 'e3b0', order: [1, 2, 3, 5, 4], scores: [6959.971053173942, 237.52793044648013, 70.55934169563031, 68.55910776504341, 41.328169434322135] },
  { content: 'hello', shard: '2cf2', order: [1, 2, 3, 5, 4], scores: [263.8088360889334, 227.38366174168388, 103.95426098224864, 67.28441476301316, 37.884059054641575] },
  { content: 'kraken', shard: '686d', order: [5, 1, 2, 4, 3], scores: [637.0850640046491, 610.4651999081086, 596.3107262939577, 60.445331842318375, 54.214716290446624] },
  { content: 'a', shard: 'ca97', order: [5, 3, 2, 1, 4], scores: [270.03541481121266, 230.61175901616406, 149.92476374198165, 102.31170478769936, 48.526461376415114] },
  { content: 'b', shard: '3e23', order: [5, 2, 1, 3, 4], scores: [381.48129351587863, 94.3211298820619, 91.72488725130927, 82.92445772135864, 18.275725154195598] }
] as const
/** The ranks of `FIVE_ORIGINS` for shard e3b0. */
export const FIVE_ORIGINS_RANKS = [8878710201875424, 5912217981232253, 2183168784309084, 801209387013770, 2094738581116234]
export const FIVE_ORIGINS_LOCATIONS = [
  { healthy: [1, 2, 3, 4, 5], replicasMax: 3, locations: [1, 2, 3] },
  { healthy: [1, 2, 3, 4, 5], replicasMax: 2, locations: [1, 2] },
  { healthy: [1, 3, 4, 5], replicasMax: 3, locations: [1, 3] },
  { healthy: [4], replicasMax: 3, locations: [4] },
  { healthy: [4, 5], replicasMax: 3, locations: [5] },
  { healthy: [], replicasMax: 3, locations: [1] }
]

/** Three members by address (A.3). */
export const THREE_ORIGINS = [1, 2, 3].map(n => `10.0.0.${n}:80`)
export const THREE_ORIGINS_ROWS = [
  { shard: '0000', order: [3, 2, 1], hashes: ['dddf9f03afc2f168', 'b2fcaffcf287126f', '3887adff03c93127'] },
  { shard: '00ff', order: [3, 2, 1], hashes: ['463d70d44290fed2', '351714345144c47b', '4aefbff6e69dc914'] },
  { shard: '7f3a', order: [3, 2, 1], hashes: ['6f5586aa9a0108a2', '8df474de4975dfdb', 'e2f1b4dbdbe7285a'] },
  { shard: 'ffff', order: [1, 2, 3], hashes: ['35cd00fd8693f1ab', '934297340f0dd7a3', 'b9e088c2b60d2876'] },
  { shard: 'e3b0', order: [1, 2, 3], hashes: ['3cd7f2ec38f3a86c', 'db3073f16a5b9074', '76e52313d03d3fec'] }
] as const

/** SHA-256 over a line `<shard> <label>,<label>...` for every shard in order (A.4). */
export const TABLES = [
  { members: FIVE_ORIGINS, sha256: '9489f61c56cd789ed7a339f1e351e18688361a433741e1e036723dbdfa0f9333' },
  { members: THREE_ORIGINS, sha256: '3b029f006f5717bd3f09b617a9c0cc559f338fefefd4689b2d007ce92d62414b' }
] as const
export const FIVE_ORIGINS_FIRST_OWNERS = [13097, 13172, 13037, 12954, 13276]

/** Volumes of different weights; a key is one byte in hex (A.5). */
export const VOLUMES = [{ label: '/data/disk1', weight: 100 }, { label: '/data/disk2', weight: 200 }] as const
export const VOLUMES_ROWS = [
  { key: '00', winner: '/data/disk2', scores: [589.2544152315786, 41.84921780378846] },
  { key: '01', winner: '/data/disk2', scores: [206.0478270736827, 161.31363794126668] },
  { key: '09', winner: '/data/disk1', scores: [2582.8935704404707, 673.0131821572918] },
  { key: '0A', winner: '/data/disk2', scores: [187.98952160124247, 116.7168319457473] },
  { key: '7F', winner: '/data/disk1', scores: [2164.099215086722, 340.46241687431194] },
  { key: 'FF', winner: '/data/disk1', scores: [528.9233354913827, 172.0076024903313] }
] as const
export const VOLUMES_WINS = { '/data/disk1': 87, '/data/disk2': 169 }

/** Trackers a, b, c and one by address, best first, with hash and score (p2p specification 7.9). */
export const TRACKERS = { a: 'tracker-a:8351', b: 'tracker-b:8351', c: 'tracker-c:8351', ip: '10.0.0.5:8351' } as const
export const TRACKERS_ROWS = [
  {
    shard: '0000',
    order: [['c', 'a313a930c7324226', 205.294975], ['b', 'd32ff5c7f2f5971d', 143.751450], ['a', '70e67925987e4415', 62.575846], ['ip', 'be42c98df970e895', 40.972618]]
  },
  {
    shard: '2893',
    order: [['b', '1a99aac255ce9335', 453.455720], ['c', '1cd266b24cb3cba7', 180.726496], ['ip', '0d90cbd28705f3a7', 155.138733], ['a', '7223e3efaaf51153', 47.455661]]
  },
  {
    shard: '84d8',
    order: [['ip', '153dbb8401532251', 1360.622869], ['c', '727c46b91af0149e', 808.320859], ['a', 'e57bf42fd228b6af', 739.750029], ['b', '0951662d67e5bc33', 164.118541]]
  },
  {
    shard: 'ffff',
    order: [['a', '90593d22f24774da', 421.313694], ['b', '1595f35adcbc7a89', 265.293372], ['c', '52a7c1021510fdae', 70.544993], ['ip', 'd4c6bab2c77beb71', 64.132731]]
  }
] as const
