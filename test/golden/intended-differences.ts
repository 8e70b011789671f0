import { EMPTY_DIGEST, parseDigest } from '../../runtime/core/digest.js'
import { idToJson } from '../../runtime/core/id-bytes.js'
import { makePeerId } from '../../runtime/core/peer-id.js'
import { OCI_INDEX, OCI_MANIFEST } from '../../runtime/registry/manifest.js'
import { settled } from '../support/replay.js'

/*
 * Where our answers are meant to be others than the recorded ones of the reference. Each entry is a row of the table in
 * docs/migration.md, word for word, and says what becomes of the recorded answers that it is about; what an entry does not
 * mention stays as it was recorded.
 */

/** What is different in one answer. A length follows its body by itself. */
export interface Change {
  readonly status?: number
  /** `undefined`: not sent. */
  readonly headers?: Readonly<Record<string, string | undefined>>
  readonly body?: string
}

export interface IntendedDifference {
  readonly kraken: string
  readonly ours: string
  readonly why: string
  /** By the id of the recorded exchange. Where several entries are about one exchange, they apply in the order of the table. */
  readonly steps: Readonly<Record<string, Change>>
}

/** What is not there yet, and so answered with 404. */
export interface Missing {
  readonly what: string
  readonly steps: readonly string[]
}

const HELLO = parseDigest('sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824')
const BIG = parseDigest('sha256:556466cf821705f9cc85e1c0898ae64a2af2aa2887b7e4dd019de8c54998238d')
const LAYER = parseDigest('sha256:83a7022ac89ee17549b3774261248c94c4ce43481f3a3c92b68e0f1e16cb8016')
const CONFIG = parseDigest('sha256:7195672986f48c01766b3f413eb4a2369d528b7682bcd785b467d41c18f97c98')
/** What the tag `v1` was first put to, and what it was moved to. */
const FIRST = parseDigest('sha256:3a9c4cad9e117f57e115b75d86489d7669709e192d4f4c1a62fff293a386f065')
const MOVED = parseDigest('sha256:d4a427ce5554fd549d25fe24c53162ad88a6e8978d38bb8c95528951a02f7a57')
const FIRST_BYTES = `{"schemaVersion":2,"mediaType":"${OCI_MANIFEST}","config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":151,"digest":"${CONFIG}"},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","size":2048,"digest":"${LAYER}"}]}`
const MOVED_BYTES = FIRST_BYTES.replace(',"layers"', ', "layers"')

/** Info hashes of what the agent has downloaded from the origin when it is asked for its blacklist. */
const DOWNLOADED = [
  '6dbafe2a6e26527eaa19bdf8974fa12a402c2c05', '7b751fbad33a7bdcd30102a3ffa3beb8971901e1', 'c371f73121268f11d5626ba46fbb046d6ef3ec8f',
  'ce65e358ccd383a782fe3071cb6ff731647ff8a6'
]
const MOVED_TORRENT = '3780ec2627c0dbd0c62664affdc012eb4fa9ae09'
const JSON_TYPE = 'application/json'
const READY: Change = { status: 200, headers: { 'x-content-type-options': undefined }, body: 'OK\n' }
const UPLOAD = '/v2/team/app/blobs/uploads/{uuid}?_state={state}'
const ORIGIN_BLOB = { 'accept-ranges': 'bytes', 'content-type': 'application/octet-stream-v1' }
const NO_REFERRERS: Change = {
  status: 200,
  headers: { 'content-type': OCI_INDEX, 'x-content-type-options': undefined },
  body: `{"schemaVersion":2,"mediaType":"${OCI_INDEX}","manifests":[]}`
}
const CATALOG: Change = {
  status: 200,
  headers: { 'content-type': JSON_TYPE, 'docker-distribution-api-version': 'registry/2.0' },
  body: '{"repositories":["team/app"]}\n'
}
const TAGS: Change = { status: 200, body: '{"name":"team/app","tags":["v1"]}\n' }
const NO_REPOSITORY: Change = {
  status: 404,
  // The recorded length is that of a text with a folder's real name in it.
  headers: { 'content-length': '115' },
  body: failure('NAME_UNKNOWN', 'repository name not known to registry', { name: 'no/such' })
}
const READ_ONLY: Change = { status: 405, body: failure('UNSUPPORTED', 'this registry is read-only: push to the proxy of this cluster instead') }
const DELETED: Change = { status: 202, headers: { 'content-type': undefined }, body: '' }
const NOTIFIED: Change = {
  status: 200, headers: { 'content-type': undefined, 'docker-distribution-api-version': undefined, 'x-content-type-options': undefined }, body: ''
}

export const INTENDED: readonly IntendedDifference[] = [
  {
    kraken: 'agent registry answers 500 for missing content',
    ours: '404',
    why: 'container runtimes fall back to the next mirror',
    steps: {
      'agentreg.manifest.absent.digest': {
        status: 404, body: failure('MANIFEST_UNKNOWN', 'manifest unknown', { Name: 'team/app', Revision: `sha256:${'ab'.repeat(32)}` })
      },
      'agentreg.blob.absent': { status: 404, body: failure('BLOB_UNKNOWN', 'blob unknown to registry', `sha256:${'a0'.repeat(32)}`) },
      'agentreg.blob.absent.head': { status: 404, headers: { 'content-length': '157' } }
    }
  },
  {
    kraken: 'writes to an agent are 500',
    ours: '405 with a text of its own',
    why: 'clients stop at once',
    steps: {
      'agentreg.push': READ_ONLY,
      'agentreg.push.manifest': READ_ONLY,
      'agentreg.manifest.delete': { body: READ_ONLY.body },
      'agentreg.blob.delete': { body: READ_ONLY.body },
      // No layer is downloaded for the sake of a push that is refused anyway.
      'agent.blacklist': { body: blacklist(DOWNLOADED) }
    }
  },
  {
    kraken: 'tags, manifests and blobs cannot be deleted from a proxy',
    ours: '202, gone from that repository at once; `shoal.registry.deletes: false` makes it 405 with a text of its own',
    why: 'the bytes stay for other repositories, until caches and backends drop them',
    steps: { 'proxy.manifest.delete': DELETED, 'proxy.blob.delete': DELETED }
  },
  {
    kraken: 'the announcing peer is handed back to itself',
    ours: 'left out',
    why: 'one slot less wasted',
    steps: {
      'tracker.announce': { body: handout(origin()) },
      'tracker.announce.v1': { body: handout(origin()) },
      'tracker.announce.second': { body: handout(origin(), agent(1)) },
      'tracker.announce.third': { body: handout(agent(2, true), origin(), agent(1)) }
    }
  },
  {
    kraken: 'a digest mismatch at an origin\'s commit is 500',
    ours: '400',
    why: 'it is the caller\'s fault, and not to be retried',
    steps: { 'origin.wrongdigest.commit': { status: 400 } }
  },
  {
    kraken: 'blobs of an origin are sent without length, their type guessed; `Range` is ignored',
    ours: '`Content-Length`, one type, `Range`',
    why: 'interrupted reads resume, short ones are noticed',
    steps: {
      'origin.get.hello': { headers: ORIGIN_BLOB },
      'origin.get.empty': { headers: { 'accept-ranges': 'bytes' } },
      'origin.get.ten': { headers: ORIGIN_BLOB },
      'origin.backend.later': { headers: ORIGIN_BLOB },
      'origin.get.big': { headers: { ...ORIGIN_BLOB, 'transfer-encoding': undefined, 'content-length': '300000' } },
      'origin.get.range': {
        status: 206,
        headers: { ...ORIGIN_BLOB, 'content-range': 'bytes 10-19/1024', 'content-length': '10' },
        body: '\n\v\f\r\u000e\u000f\u0010\u0011\u0012\u0013'
      }
    }
  },
  {
    kraken: 'blobs of the agent server likewise, and no HEAD',
    ours: 'as from its registry, HEAD too',
    why: 'as above; HEAD tells the size without a download',
    steps: {
      'agent.get': { headers: agentBlob(HELLO) },
      'agent.get.again': { headers: agentBlob(HELLO) },
      'agent.get.big': { headers: { ...agentBlob(BIG), 'transfer-encoding': undefined, 'content-length': '300000' } },
      'agent.get.empty': { headers: agentBlob(EMPTY_DIGEST) },
      'agent.head': { status: 200, headers: { ...agentBlob(HELLO), 'content-length': '5', 'x-content-type-options': undefined } }
    }
  },
  {
    kraken: 'manifests are converted, or hidden, by `Accept`',
    ours: 'returned as they were pushed',
    why: 'digests stay true',
    steps: {
      'proxy.manifest.get.noaccept': { status: 200, headers: manifestHeaders(FIRST, FIRST_BYTES), body: FIRST_BYTES },
      'agentreg.manifest.get.noaccept': { status: 200, headers: manifestHeaders(FIRST, FIRST_BYTES), body: FIRST_BYTES }
    }
  },
  {
    kraken: 'a tag that exists keeps its first digest, answered 200',
    ours: 'the last one wins',
    why: 'what was acknowledged holds',
    steps: {
      'proxy.manifest.head': { headers: manifestHeaders(MOVED, MOVED_BYTES) },
      'proxy.manifest.get': { headers: manifestHeaders(MOVED), body: MOVED_BYTES },
      'proxy.manifest.get.noaccept': { headers: manifestHeaders(MOVED), body: MOVED_BYTES },
      'agentreg.manifest.head': { headers: manifestHeaders(MOVED, MOVED_BYTES) },
      'agentreg.manifest.get': { headers: manifestHeaders(MOVED), body: MOVED_BYTES },
      'agentreg.manifest.get.noaccept': { headers: manifestHeaders(MOVED), body: MOVED_BYTES },
      'agent.tag': { body: MOVED },
      'agent.blacklist': { body: blacklist([...DOWNLOADED, MOVED_TORRENT]) }
    }
  },
  {
    kraken: '304 says nothing but the status',
    ours: '`ETag` and `Docker-Content-Digest` too',
    why: 'HTTP asks for it, and caches need it',
    steps: {
      'proxy.manifest.get.notmodified': { headers: { etag: `"${FIRST}"`, 'docker-content-digest': FIRST } },
      'agentreg.manifest.get.notmodified': { headers: { etag: `"${FIRST}"`, 'docker-content-digest': FIRST } }
    }
  },
  {
    kraken: '`Location` is absolute, on the listening port',
    ours: 'a path',
    why: 'works behind port mappings',
    steps: {
      ...each(['proxy.upload.post', 'proxy.upload.status', 'proxy.upload.patch', 'proxy.upload.patch2', 'proxy.upload.mono', 'proxy.upload.cfg',
        'proxy.upload.cancel.post', 'proxy.upload.single'], { headers: { location: UPLOAD } }),
      'proxy.upload.mount.absent': { headers: { location: UPLOAD.replace('team/app', 'team/other') } },
      'proxy.upload.mount': { headers: { location: `/v2/team/other/blobs/${CONFIG}` } },
      'proxy.upload.mono.put': { headers: { location: `/v2/team/app/blobs/${LAYER}` } },
      'proxy.upload.cfg.put': { headers: { location: `/v2/team/app/blobs/${CONFIG}` } },
      ...each(['proxy.manifest.put', 'proxy.manifest.put.again', 'proxy.manifest.put.digest'], { headers: { location: `/v2/team/app/manifests/${FIRST}` } }),
      'proxy.manifest.put.move': { headers: { location: `/v2/team/app/manifests/${MOVED}` } }
    }
  },
  {
    kraken: 'an upload in one `POST ?digest=` is not taken',
    ours: '201',
    why: 'one request instead of two',
    steps: {
      'proxy.upload.single': {
        status: 201,
        headers: { location: `/v2/team/app/blobs/${HELLO}`, 'docker-content-digest': HELLO, 'docker-upload-uuid': undefined, range: undefined }
      }
    }
  },
  {
    kraken: '`detail` of some errors is a number or an object of the implementation',
    ours: 'a sentence',
    why: 'people read it',
    steps: {
      'proxy.upload.unknown': {
        body: failure('BLOB_UPLOAD_INVALID', 'blob upload invalid', 'the upload belongs to another repository, or its URL was altered; use the last Location as it is')
      },
      'proxy.manifest.put.junk': { body: failure('MANIFEST_INVALID', 'manifest invalid', 'manifest: invalid character \'j\' looking for beginning of value') }
    }
  },
  {
    kraken: 'tags and catalog are listed by the backend, unsorted',
    ours: 'sorted, paged, as JSON',
    why: 'pages neither repeat nor miss names',
    steps: {
      'proxy.catalog': { headers: CATALOG.headers },
      'proxy.catalog.n': CATALOG,
      'bi.repo.limit': {
        status: 200,
        body: '{"Links":{"next":"/repositories/team%2Fapp/tags?limit=1\\u0026offset=dGVhbS9hcHA6djE","self":"/repositories/team%2Fapp/tags?limit=1"},"size":1,"result":["v1"]}\n'
      }
    }
  },
  {
    kraken: 'listing what has no tags is 500',
    ours: '404 from registries, an empty list from build-indexes',
    why: 'nothing is wrong',
    steps: {
      'proxy.tags.absent': NO_REPOSITORY,
      'bi.repo.absent': { status: 200, headers: { 'content-length': '83' }, body: '{"Links":{"next":"","self":"/repositories/no%2Fsuch/tags"},"size":0,"result":null}\n' }
    }
  },
  {
    kraken: 'an agent cannot list tags and repositories',
    ours: 'it can',
    why: 'tools ask any registry',
    steps: {
      'agentreg.tags': TAGS,
      'agentreg.tags.n': TAGS,
      'agentreg.tags.absent': NO_REPOSITORY,
      'agentreg.catalog': { status: 200, body: CATALOG.body },
      'agentreg.catalog.n': { status: 200, body: CATALOG.body }
    }
  },
  {
    kraken: 'no referrers',
    ours: '`/v2/<name>/referrers/<digest>`',
    why: 'signatures and attestations are found',
    steps: { 'proxy.referrers': NO_REFERRERS, 'agentreg.referrers': NO_REFERRERS }
  },
  {
    kraken: 'lists are up to 30 s old',
    ours: 'current',
    why: 'they are in memory',
    steps: { 'bi.list': { body: '{"Links":{"next":"","self":"/list/"},"size":3,"result":["team/app:v1","team/app:v2","team/app:v3"]}\n' } }
  },
  {
    kraken: 'a proxy has no `/readiness`',
    ours: '200, or 503 and what is missing',
    why: 'traffic is sent by it',
    steps: { 'proxy.readiness': READY, 'proxyserver.readiness': READY }
  },
  {
    kraken: '`/forcecleanup/v2` of an origin is 501',
    ours: 'it deletes until the disk is filled to a share, and is 400 without saying to which',
    why: 'a full disk can be relieved',
    steps: {
      'origin.forcecleanup.v2': {
        status: 400, body: 'invalid target_util_percent: strconv.ParseInt: parsing "": invalid syntax'
      }
    }
  },
  {
    kraken: 'the server port of the proxy is gone',
    ours: '`--server-port` works',
    why: 'notifications need it',
    steps: {}
  },
  {
    kraken: 'notifications reach a proxy on no port',
    ours: 'on every port',
    why: 'the registry has no such path',
    steps: {
      'proxy.notify': NOTIFIED,
      'proxy.notify.bad': {
        status: 500, headers: { 'docker-distribution-api-version': undefined, 'x-content-type-options': undefined }, body: 'decode body: unexpected EOF'
      },
      'proxy.notify.empty': NOTIFIED
    }
  }
]

export const MISSING: readonly Missing[] = [
  { what: 'copies to the origins of another cluster', steps: ['origin.remote.same', 'origin.remote.absent'] }
]

function each (ids: readonly string[], change: Change): Record<string, Change> { return Object.fromEntries(ids.map(id => [id, change])) }

function failure (code: string, message: string, detail?: unknown): string { return JSON.stringify({ errors: [{ code, message, detail }] }) + '\n' }

function manifestHeaders (digest: string, bytes?: string): Record<string, string> {
  const headers = { 'content-type': OCI_MANIFEST, 'docker-content-digest': digest, etag: `"${digest}"` }
  return bytes === undefined ? headers : { ...headers, 'content-length': String(bytes.length) }
}

function agentBlob (digest: string): Record<string, string> {
  return {
    'accept-ranges': 'bytes',
    'cache-control': 'max-age=31536000',
    'content-type': 'application/octet-stream',
    'docker-content-digest': digest,
    etag: `"${digest}"`
  }
}

interface HandedOut { readonly peer_id: number[], readonly ip: string, readonly port: number, readonly origin: boolean, readonly complete: boolean }

function origin (): HandedOut {
  return { peer_id: idToJson(makePeerId('addr_hash', '127.0.0.1', 15101)), ip: '127.0.0.1', port: 15101, origin: true, complete: true }
}

function agent (n: number, complete = false): HandedOut {
  return { peer_id: Array<number>(20).fill(n), ip: `10.0.0.${n}`, port: 16001, origin: false, complete }
}

function blacklist (infoHashes: readonly string[]): string {
  const peerId = origin().peer_id
  return settled(JSON.stringify(infoHashes.map(infoHash => ({ peer_id: peerId, info_hash: idToJson(infoHash), remaining: 1 }))) + '\n')
}

function handout (...peers: readonly HandedOut[]): string { return JSON.stringify({ peers, interval: 3_000_000_000 }) + '\n' }
