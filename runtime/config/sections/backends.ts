import { type Section, bool, list, nested, optionalNested, regex, section } from '../schema.js'
import { type AuthConfig } from './auth.js'
import { gcs, type GcsConfig } from './backends/gcs.js'
import { bandwidth, type BandwidthConfig, bandwidthOf } from './backends/bandwidth.js'
import { fileSystem, type FsConfig, hdfs, type HdfsConfig, http, type HttpBackendConfig, testfs, type TestfsConfig } from './backends/files.js'
import { registry, type RegistryBackendConfig } from './backends/registry.js'
import { s3, type S3Config } from './backends/s3.js'
import { sql } from './backends/sql.js'

/*
 * Which backend stores what (cluster specification 5.1). An item of `backends` has a pattern for namespaces and one backend,
 * as a map with its kind as the only key.
 */

/** A backend that holds objects itself. */
export type PlainBackend =
  | { readonly kind: 's3', readonly config: S3Config }
  | { readonly kind: 'gcs', readonly config: GcsConfig }
  | { readonly kind: 'hdfs', readonly config: HdfsConfig }
  | { readonly kind: 'http', readonly config: HttpBackendConfig }
  | { readonly kind: 'registry_blob', readonly config: RegistryBackendConfig }
  | { readonly kind: 'registry_tag', readonly config: RegistryBackendConfig }
  | { readonly kind: 'testfs', readonly config: TestfsConfig }
  | { readonly kind: 'fs', readonly config: FsConfig }

export type BackendChoice =
  | PlainBackend
  | { readonly kind: 'shadow', readonly active: PlainBackend, readonly shadow: PlainBackend }
  /** Stores nothing: what is pushed stays on the origins. */
  | { readonly kind: 'noop' }

export interface BackendsConfig {
  /** In the order of the file: the first whose pattern matches counts. */
  readonly items: readonly BackendItem[]
  readonly auth: AuthConfig
}

/** No storage behind the cluster. */
export const NO_BACKENDS: BackendsConfig = { items: [], auth: { s3: [], gcs: [] } }

export interface BackendItem {
  /** Searched in the namespace. */
  readonly pattern: RegExp
  readonly backend: BackendChoice
  readonly bandwidth: BandwidthConfig | undefined
  readonly mustReady: boolean
}

const plainFields = {
  s3: optionalNested('s3', s3, 'Amazon S3 and what speaks its protocol.'),
  gcs: optionalNested('gcs', gcs, 'Google Cloud Storage.'),
  hdfs: optionalNested('hdfs', hdfs, 'Hadoop, over WebHDFS.'),
  http: optionalNested('http', http, 'Any web server, read-only.'),
  registry_blob: optionalNested('registry_blob', registry, 'Blobs of another registry, read-only.'),
  registry_tag: optionalNested('registry_tag', registry, 'Tags of another registry, read-only.'),
  testfs: optionalNested('testfs', testfs, 'The file server for development, `shoal testfs`.'),
  fs: optionalNested('fs', fileSystem, 'A folder, of a network file system for instance. Kraken has none.'),
  sql: optionalNested('sql', sql, 'A table of tags.')
}

/** The blocks that are there, by kind. */
type PlainBlocks = { readonly [K in PlainBackend['kind']]: Extract<PlainBackend, { kind: K }>['config'] | undefined } & { readonly sql: undefined }

function chosen (blocks: PlainBlocks): PlainBackend[] {
  const { s3, gcs, hdfs, http, registry_blob: blobs, registry_tag: tags, testfs, fs } = blocks
  return [
    ...s3 === undefined ? [] : [{ kind: 's3' as const, config: s3 }],
    ...gcs === undefined ? [] : [{ kind: 'gcs' as const, config: gcs }],
    ...hdfs === undefined ? [] : [{ kind: 'hdfs' as const, config: hdfs }],
    ...http === undefined ? [] : [{ kind: 'http' as const, config: http }],
    ...blobs === undefined ? [] : [{ kind: 'registry_blob' as const, config: blobs }],
    ...tags === undefined ? [] : [{ kind: 'registry_tag' as const, config: tags }],
    ...testfs === undefined ? [] : [{ kind: 'testfs' as const, config: testfs }],
    ...fs === undefined ? [] : [{ kind: 'fs' as const, config: fs }]
  ]
}

const ONE_KIND = 'expected exactly one backend, such as `testfs: { addr: ... }`'

/** A kind without settings would be read as absent; that it was meant is told by the error. */
const plain: Section<PlainBackend | undefined> = section(plainFields, (blocks, complain) => {
  const [backend, ...more] = chosen(blocks)
  if (backend === undefined || more.length > 0) complain(ONE_KIND)
  return backend
})

const shadow = section({
  active_backend: nested('active', plain, 'Answers reads and lists.'),
  shadow_backend: nested('shadow', plain, 'Is written to as well.')
})

const choice: Section<BackendChoice | undefined> = section({
  ...plainFields,
  shadow: optionalNested('shadow', shadow, 'Two backends, both written to.')
}, ({ shadow, ...blocks }, complain) => {
  const { active, shadow: second } = shadow ?? {}
  const both = active === undefined || second === undefined ? [] : [{ kind: 'shadow' as const, active, shadow: second }]
  const [backend, ...more] = [...chosen(blocks), ...both]
  if (more.length > 0) complain(ONE_KIND)
  return backend
})

const item: Section<BackendItem> = section({
  namespace: regex({ as: 'pattern', doc: 'Searched in the namespace; the first item that matches counts.' }),
  backend: nested('backend', choice, 'The backend: exactly one of these.'),
  bandwidth: nested('bandwidth', bandwidth, 'Limits of its traffic.'),
  must_ready: bool({ as: 'mustReady', default: false, doc: 'This role is not ready while the backend does not answer.' }),
  cache_only: bool({ as: 'isCacheOnly', default: false, doc: 'Instead of a backend: what is pushed stays on the disks of its owners. Kraken has no such key.' })
}, ({ backend, isCacheOnly, bandwidth, ...rest }, complain) => {
  if ((backend === undefined) !== isCacheOnly) complain(isCacheOnly ? 'cache_only is instead of a backend, not beside one' : ONE_KIND, 'backend')
  const chosen = backend ?? { kind: 'noop' as const }
  return { ...rest, backend: chosen, bandwidth: bandwidthOf(bandwidth, chosen.kind, message => { complain(message, 'bandwidth') }) }
})

export const backends = list({ as: 'backends', of: item, doc: 'Storage behind the cluster. None: blobs and tags stay on the disks of their owners.' })
