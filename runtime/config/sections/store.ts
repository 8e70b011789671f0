import { type Infer, bool, duration, nested, section, text, unused } from '../schema.js'

const cleanupFields = {
  interval: unused('Period of the cleanup.'),
  ttl: unused('Delete what was written longer ago than this.'),
  aggressive_threshold: unused('Disk utilisation in percent from which a cleanup is aggressive.'),
  aggressive_ttL: unused('`ttl` of an aggressive cleanup; spelt like this in Kraken.'),
  aggressive_ttl: unused('The same in its natural spelling.'),
  aggressive_lower_threshold: unused('Disk utilisation in percent down to which an aggressive cleanup deletes.')
}
const cleanup = unused('When unused files are deleted.')
const partSizes = {
  read_part_size: unused('Read in parts of this size.'),
  write_part_size: unused('Write in parts of this size.')
}

/** When uploads that nobody goes on with are removed (cluster specification 1.9). */
const uploadCleanup = section({
  ...cleanupFields,
  disabled: bool({ as: 'isDisabled', default: false, doc: 'Keep them for ever.' }),
  tti: duration({ as: 'ttiMs', default: '6h', min: 1, doc: 'Remove an upload without any write for this long.' })
}, ({ isDisabled, ttiMs }) => isDisabled ? Infinity : ttiMs)

/** Blobs by digest, with a place to put them together (cluster specification 1.1). */
export const castore = section({
  upload_dir: text({ as: 'uploadDir', doc: 'Folder of unfinished uploads; on the same disk as `cache_dir`.' }),
  cache_dir: text({ as: 'cacheDir', doc: 'Folder of blobs.' }),
  upload_cleanup: nested('uploadTtlMs', uploadCleanup, 'Uploads that nobody goes on with.'),
  cache_cleanup: cleanup,
  capacity: unused('Entries kept in memory.'),
  ...partSizes,
  skip_hash_verification: unused('Here every digest is verified.'),
  memory_cache: unused('Blobs kept in memory while they are fetched from a backend.'),
  volumes: unused('Several disks.')
})
/** `uploadTtlMs` is infinite if the cleanup of uploads is disabled. */
export type CasConfig = Infer<typeof castore>

/** What an agent downloads. */
export const agentStore = section({
  download_dir: text({ as: 'downloadDir', doc: 'Folder of unfinished downloads; on the same disk as `cache_dir`.' }),
  cache_dir: text({ as: 'cacheDir', doc: 'Folder of blobs.' }),
  download_cleanup: cleanup,
  cache_cleanup: cleanup,
  ...partSizes
})

/** The tags of a build-index. */
export const tagFiles = section({
  upload_dir: text({ as: 'uploadDir', doc: 'Folder of tags being written; on the same disk as `cache_dir`.' }),
  cache_dir: text({ as: 'cacheDir', doc: 'Folder of tags.' }),
  upload_cleanup: cleanup,
  cache_cleanup: cleanup,
  ...partSizes
})
