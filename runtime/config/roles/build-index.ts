import { intFlag } from '../flags.js'
import { list, nested, section, unused } from '../schema.js'
import { backendBlocks, common } from '../sections/common.js'
import { tagFiles } from '../sections/store.js'
import { tagType } from '../sections/tag-types.js'
import { activeUpstream } from '../sections/upstream.js'
import { type BuildIndexConfig } from '../types.js'
import { role } from './role.js'

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
    cluster: unused('The other build-indexes of this cluster.'),
    remotes: unused('Build-indexes of other clusters that tags are copied to.'),
    tag_replication: unused('Pending copies of tags to other clusters.'),
    tag_store: unused('Whether tags are written to the backend before the answer.'),
    tagserver: unused('How much later other build-indexes repeat a write.')
  }),
  make: (flags, file): BuildIndexConfig => ({ port: flags.port, store: file.store, tagTypes: file.tagTypes, origin: file.origin })
})
