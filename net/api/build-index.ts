import { route } from './route.js'

/** The build-index (http-api specification 7.1). */
export const buildIndexApi = {
  health: route('GET', '/health', '200 `OK`.'),
  readiness: route('GET', '/readiness', '200 if backends that must be ready and an origin are, 503 and what is missing.'),
  putTag: route('PUT', '/tags/{tag}/digest/{digest}', 'Points a tag at a manifest that the origins have; `?replicate=true` also in other clusters; `?onlyif=` a digest, or `none`: 409 if it points elsewhere.'),
  hasTag: route('HEAD', '/tags/{tag}', '200 or 404.'),
  getTag: route('GET', '/tags/{tag}', 'The digest that a tag points at.'),
  /** Ours. `?digest=` deletes the tag only if it points there. */
  deleteTag: route('DELETE', '/tags/{tag}', 'Deletes a tag; `?digest=` only if it points there.'),
  /** Ours: what the registries of a cluster know of repositories beside their tags. */
  getRecord: route('GET', '/records/{key}', 'A record of the registries.'),
  putRecord: route('PUT', '/records/{key}', 'Keeps a record.'),
  putDuplicateRecord: route('PUT', '/internal/duplicate/records/{key}', 'Keeps a record that another build-index was given.'),
  repositoryTags: route('GET', '/repositories/{repo}/tags', 'Tags of a repository, in pages with `?limit=` and `?offset=`.'),
  list: route('GET', '/list/*', 'Names of tags that begin with a prefix, in pages.'),
  origin: route('GET', '/origin', 'Address of the origins of this cluster.'),
  /** Ours: `<stamp> <digest>`, by this build-index's own records. */
  tagVersion: route('GET', '/internal/tags/{tag}/version', '`<stamp> <digest>` by this build-index\'s own records.'),
  putDuplicate: route('PUT', '/internal/duplicate/tags/{tag}/digest/{digest}', 'Keeps a tag that another build-index was given.'),
  replicate: route('POST', '/remotes/tags/{tag}', 'Copies a tag and its image to other clusters.'),
  replicateDuplicate: route('POST', '/internal/duplicate/remotes/tags/{tag}/digest/{digest}', 'Sees later to it that that was done.')
} as const

/** Header of a duplicate put by one of ours: `<stamp> <digest>`. Kraken's build-indexes send none and ignore it. */
export const TAG_VERSION_HEADER = 'shoal-tag-version'
