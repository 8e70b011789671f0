import { type Infer, choice, regex, section, unused } from '../schema.js'

/** What the tags that match refer to; the first match on the tag decides (cluster specification 7.3). */
export const tagType = section({
  namespace: regex({ as: 'pattern', doc: 'Searched in `repository:tag`.' }),
  type: choice({ as: 'type', of: ['default', 'docker'], doc: '`docker`: a manifest, whose blobs must be there too. `default`: a blob and nothing else.' }),
  root: unused('A leftover of older files.')
})
export type TagTypeConfig = Infer<typeof tagType>
