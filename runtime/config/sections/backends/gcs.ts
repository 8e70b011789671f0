import { type Infer, int, optionalText, section, size, text, unused } from '../../schema.js'
import { namePath } from './shared.js'

/** Cluster specification 5.6. */
export const gcs = section({
  username: optionalText({ as: 'username', doc: 'Selects the credentials in `auth.gcs`. None: those of the environment or of the machine.' }),
  bucket: text({ as: 'bucket', doc: 'The bucket, which must exist.' }),
  endpoint: optionalText({ as: 'endpoint', doc: 'Another server than Google\'s, as a URL; requests to it carry no credentials unless `username` is set. Kraken has no such key.' }),
  root_directory: text({ as: 'root', doc: 'Folder in the bucket, beginning with a slash, which is part of the objects\' names.' }),
  name_path: namePath,
  upload_part_size: size({ as: 'partBytes', default: '64MB', min: 256 * 1024, max: 2 ** 30, doc: 'Objects are sent in chunks of this size. One of any size arrives whole.' }),
  list_max_keys: int({ as: 'pageSize', default: 250, min: 1, max: 1000, doc: 'Names of a page, where the caller does not say.' }),
  buffer_guard: unused('Nothing is kept in memory.'),
  location: unused('Not used by Kraken either.')
}, ({ root, ...rest }, complain) => {
  if (!root.startsWith('/')) complain('expected a path that begins with a slash', 'root_directory')
  return { root, ...rest }
})
export type GcsConfig = Infer<typeof gcs>
