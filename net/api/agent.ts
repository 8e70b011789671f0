import { route } from './route.js'

/** The agent server (http-api specification 3.1). Digest parameters may also be bare hex. */
export const agentApi = {
  health: route('GET', '/health', '200 `OK` if the peer thread answers.'),
  readiness: route('GET', '/readiness', '200 `OK` if this agent, a build-index and a tracker can work, 503 and what is missing.'),
  getTag: route('GET', '/tags/{tag}', 'The digest that a tag points at.'),
  download: route('GET', '/namespace/{namespace}/blobs/{digest}', 'A blob, from the peers where it is not here; ranges too.'),
  stat: route('HEAD', '/namespace/{namespace}/blobs/{digest}', 'Its size, without a download.'),
  deleteBlob: route('DELETE', '/blobs/{digest}', 'Forgets a blob, on the disk as well. 200 also if it is not there.'),
  preload: route('GET', '/preload/tags/{tag}', 'Has the container runtime of this host pull an image: `?runtime=docker` or `containerd`, `?namespace=` of containerd.'),
  /** Ours: the same, with the method of something that has an effect. */
  postPreload: route('POST', '/preload/tags/{tag}', 'The same.'),
  configureScheduler: route('PATCH', '/x/config/scheduler', 'Replaces the configuration of the peer thread, as JSON in Kraken\'s field names; what is absent has its default.'),
  blacklist: route('GET', '/x/blacklist', 'Peers that are left alone for a while.'),
  /** Ours: what the peer thread counted since the start. */
  stats: route('GET', '/x/stats', 'What the peer thread counted since the start.')
} as const
