import { intFlag } from '../flags.js'
import { bool, duration, list, nested, optionalNested, section, unused } from '../schema.js'
import { backendBlocks, common } from '../sections/common.js'
import { retry, taskDirOf } from '../sections/retry.js'
import { tagFiles } from '../sections/store.js'
import { tagType } from '../sections/tag-types.js'
import { activeUpstream } from '../sections/upstream.js'
import { type BuildIndexConfig } from '../types.js'
import { role } from './role.js'

const tagserver = section({
  duplicate_put_stagger: duration({ as: 'duplicatePutStaggerMs', default: '20m', min: 1, doc: 'How much later each further build-index writes a tag back.' }),
  duplicate_replicate_stagger: unused('How much later other build-indexes repeat a replication.'),
  listener: unused('A second socket without a front.')
})

const tagStore = section({
  write_through: bool({ as: 'isWriteThrough', default: false, doc: 'Write a tag to the backend before its put is answered, and fail the put if that fails.' })
})

export const buildIndexRole = role({
  name: 'build-index',
  flags: { port: intFlag('Port of the build-index\'s HTTP API.') },
  required: ['port'],
  file: section({
    store: nested('store', tagFiles, 'Where tags are kept.'),
    tag_types: list({ as: 'tagTypes', of: tagType, min: 1, doc: 'What tags refer to; the first that matches decides.' }),
    origin: nested('origin', activeUpstream, 'The origins.'),
    ...common,
    ...backendBlocks,
    cluster: optionalNested('cluster', activeUpstream, 'The other build-indexes of this cluster. This one may be among them.'),
    remotes: unused('Build-indexes of other clusters that tags are copied to.'),
    tag_replication: nested('tagReplication', retry, 'Pending copies of tags to other build-indexes.'),
    tag_store: nested('tagStore', tagStore, 'How tags get to the backend.'),
    tagserver: nested('tagserver', tagserver, 'The HTTP API.')
  }),
  make: (flags, file): BuildIndexConfig => ({
    port: flags.port,
    store: file.store,
    tagTypes: file.tagTypes,
    origin: file.origin,
    cluster: file.cluster,
    duplicatePutStaggerMs: file.tagserver.duplicatePutStaggerMs,
    isWriteThrough: file.tagStore.isWriteThrough,
    taskDir: taskDirOf(file.localDb, file.store.cacheDir),
    writeBack: file.writeBack,
    tagReplication: file.tagReplication,
    backends: { items: file.backends, auth: file.auth },
    ...file.tls === undefined ? {} : { tls: file.tls }
  })
})
