import { route } from './route.js'

/** The agent server (http-api specification 3.1). Digest parameters may also be bare hex. */
export const agentApi = {
  health: route('GET', '/health'),
  readiness: route('GET', '/readiness'),
  getTag: route('GET', '/tags/{tag}'),
  download: route('GET', '/namespace/{namespace}/blobs/{digest}'),
  stat: route('HEAD', '/namespace/{namespace}/blobs/{digest}'),
  deleteBlob: route('DELETE', '/blobs/{digest}'),
  preload: route('GET', '/preload/tags/{tag}'),
  /** Ours: the same, with the method of something that has an effect. */
  postPreload: route('POST', '/preload/tags/{tag}'),
  changeScheduler: route('PATCH', '/x/config/scheduler'),
  blacklist: route('GET', '/x/blacklist'),
  /** Ours: what the peer thread counted since the start. */
  stats: route('GET', '/x/stats')
} as const
