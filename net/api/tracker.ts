import { route } from './route.js'

/** The tracker (http-api specification 6.1). */
export const trackerApi = {
  health: route('GET', '/health', '200 `OK`.'),
  readiness: route('GET', '/readiness', '200 if an origin is ready, 503 and what is missing.'),
  announceV1: route('GET', '/announce', 'A peer tells what it has, in a body, and gets other peers.'),
  announceV2: route('POST', '/announce/{infohash}', 'The same.'),
  metaInfo: route('GET', '/namespace/{namespace}/blobs/{digest}/metainfo', 'The pieces of a blob, from the origins.')
} as const
