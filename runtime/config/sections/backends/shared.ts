import { type Field, choice } from '../../schema.js'

export const PATHER_KINDS = ['identity', 'docker_tag', 'sharded_docker_blob'] as const
export type PatherKind = typeof PATHER_KINDS[number]

export const namePath: Field<'namePath', PatherKind> = choice({
  as: 'namePath',
  of: PATHER_KINDS,
  doc: 'How a name becomes a path: as it is, or as a Docker registry stores tags or blobs.'
})
