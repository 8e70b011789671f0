import { type Infer, bool, int, optionalText, section, size, text, unused } from '../../schema.js'
import { namePath } from './shared.js'

/** S3 takes no smaller parts, except the last. */
const PART_BYTES_MIN = 5 * 2 ** 20
const PART_BYTES_MAX = 5 * 2 ** 30

/** Cluster specification 5.5. */
export const s3 = section({
  username: optionalText({ as: 'username', doc: 'Selects the credentials in `auth.s3`. None: those of the environment, of the machine or of the pod.' }),
  region: text({ as: 'region', doc: 'Such as `us-east-1`; servers other than Amazon\'s ignore it or want a name of their own.' }),
  bucket: text({ as: 'bucket', doc: 'The bucket, which must exist.' }),
  endpoint: optionalText({ as: 'endpoint', doc: 'Another server than Amazon\'s: a URL or `host:port`.' }),
  disable_ssl: bool({ as: 'isPlain', default: false, doc: 'Plain HTTP, where `endpoint` does not say.' }),
  force_path_style: bool({ as: 'isPathStyle', default: false, doc: 'The bucket in the path and not in the host name; most servers other than Amazon\'s need it.' }),
  root_directory: text({ as: 'root', doc: 'Folder in the bucket, beginning with a slash; the keys have none in front.' }),
  name_path: namePath,
  upload_part_size: size({ as: 'partBytes', default: '64MB', min: PART_BYTES_MIN, max: PART_BYTES_MAX, doc: 'Larger objects are sent in parts of this size.' }),
  upload_concurrency: int({ as: 'uploadConcurrency', default: 10, min: 1, max: 100, doc: 'Parts of an object that are sent at the same time.' }),
  list_max_keys: int({ as: 'pageSize', default: 250, min: 1, max: 1000, doc: 'Names of a page, where the caller does not say.' }),
  download_part_size: unused('An object comes in one stream, continued where it broke off.'),
  download_concurrency: unused('The same.'),
  buffer_guard: unused('Nothing is kept in memory.')
}, ({ root, ...rest }, complain) => {
  if (!root.startsWith('/')) complain('expected a path that begins with a slash', 'root_directory')
  return { root, ...rest }
})
export type S3Config = Infer<typeof s3>
