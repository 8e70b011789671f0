import { route } from './route.js'

/** The build-index (http-api specification 7.1). */
export const buildIndexApi = {
  health: route('GET', '/health'),
  readiness: route('GET', '/readiness'),
  putTag: route('PUT', '/tags/{tag}/digest/{digest}'),
  hasTag: route('HEAD', '/tags/{tag}'),
  getTag: route('GET', '/tags/{tag}'),
  /** Ours. `?digest=` deletes the tag only if it points there. */
  deleteTag: route('DELETE', '/tags/{tag}'),
  /** Ours: what the registries of a cluster know of repositories beside their tags. */
  getRecord: route('GET', '/records/{key}'),
  putRecord: route('PUT', '/records/{key}'),
  putDuplicateRecord: route('PUT', '/internal/duplicate/records/{key}'),
  repositoryTags: route('GET', '/repositories/{repo}/tags'),
  list: route('GET', '/list/*'),
  origin: route('GET', '/origin'),
  /** Ours: `<stamp> <digest>`, by this build-index's own records. */
  tagVersion: route('GET', '/internal/tags/{tag}/version'),
  putDuplicate: route('PUT', '/internal/duplicate/tags/{tag}/digest/{digest}'),
  replicate: route('POST', '/remotes/tags/{tag}'),
  replicateDuplicate: route('POST', '/internal/duplicate/remotes/tags/{tag}/digest/{digest}')
} as const

/** Header of a duplicate put by one of ours: `<stamp> <digest>`. Kraken's build-indexes send none and ignore it. */
export const TAG_VERSION_HEADER = 'shoal-tag-version'
