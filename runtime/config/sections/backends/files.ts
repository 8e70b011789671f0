import { type Infer, address, duration, int, list, optionalText, section, text, unused } from '../../schema.js'
import { addressShape } from '../../shapes.js'
import { namePath } from './shared.js'

/** The file server for development (cluster specification 5.11). */
export const testfs = section({
  addr: address({ as: 'address', doc: 'Where it listens.' }),
  root: optionalText({ as: 'root', doc: 'Folder on it.' }),
  name_path: namePath
})
export type TestfsConfig = Infer<typeof testfs>

/** A folder that every member of the cluster sees. */
export const fileSystem = section({
  root_directory: text({ as: 'root', doc: 'The folder, as an absolute path. It must exist, so that a file system that is not mounted shows.' }),
  name_path: namePath
}, ({ root, ...rest }, complain) => {
  if (!root.startsWith('/')) complain('expected an absolute path', 'root_directory')
  return { root, ...rest }
})
export type FsConfig = Infer<typeof fileSystem>

/** WebHDFS (cluster specification 5.7). */
export const hdfs = section({
  namenodes: list({ as: 'nameNodes', of: addressShape(), min: 1, doc: 'Name nodes; the next one is asked when one is on standby or does not answer.' }),
  username: optionalText({ as: 'username', doc: 'Who asks (`user.name`).' }),
  root_directory: optionalText({ as: 'root', doc: 'Folder in the file system; `/infra/dockerRegistry/` by default.' }),
  name_path: namePath,
  upload_directory: optionalText({ as: 'uploadDirectory', doc: 'Folder below it for what is on its way; `_uploads` by default.' }),
  list_concurrency: int({ as: 'listConcurrency', default: 16, min: 1, max: 256, doc: 'Folders read at the same time.' }),
  webhdfs: unused('Sizes of buffers; nothing is kept in memory.')
}, ({ root = '/infra/dockerRegistry/', uploadDirectory = '_uploads', ...rest }, complain) => {
  if (!root.startsWith('/')) complain('expected a path that begins with a slash', 'root_directory')
  return { root, uploadDirectory, ...rest }
})
export type HdfsConfig = Infer<typeof hdfs>

/** A web server, read-only (cluster specification 5.8). */
export const http = section({
  download_url: text({ as: 'downloadUrl', doc: 'URL with one `%s`, which stands for the name (of a blob the hex of its digest).' }),
  download_timeout: duration({ as: 'idleMs', default: '180s', min: 1, doc: 'How long the server may be silent.' }),
  download_backoff: unused('Failed downloads are continued by themselves.'),
  upload_url: unused('Not used by Kraken either: the backend is read-only.')
}, ({ downloadUrl, ...rest }, complain) => {
  if (!/^https?:\/\/[^/]/.test(downloadUrl) || downloadUrl.split('%s').length !== 2) complain('expected a URL with one %s', 'download_url')
  return { downloadUrl, ...rest }
})
export type HttpBackendConfig = Infer<typeof http>
