import { route } from './route.js'

/** The tracker (http-api specification 6.1). */
export const trackerApi = {
  health: route('GET', '/health'),
  readiness: route('GET', '/readiness'),
  announceV1: route('GET', '/announce'),
  announceV2: route('POST', '/announce/{infohash}'),
  metaInfo: route('GET', '/namespace/{namespace}/blobs/{digest}/metainfo')
} as const
