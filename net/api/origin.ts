import { route } from './route.js'

/** The blob server of an origin (http-api specification 5.1). */
export const originApi = {
  health: route('GET', '/health'),
  readiness: route('GET', '/readiness'),
  locations: route('GET', '/blobs/{digest}/locations'),
  startUpload: route('POST', '/namespace/{namespace}/blobs/{digest}/uploads'),
  patchUpload: route('PATCH', '/namespace/{namespace}/blobs/{digest}/uploads/{uid}'),
  commitUpload: route('PUT', '/namespace/{namespace}/blobs/{digest}/uploads/{uid}'),
  download: route('GET', '/namespace/{namespace}/blobs/{digest}'),
  prefetch: route('POST', '/namespace/{namespace}/blobs/{digest}/prefetch'),
  forceCleanup: route('POST', '/forcecleanup'),
  forceCleanupToTarget: route('POST', '/forcecleanup/v2'),
  startTransfer: route('POST', '/internal/blobs/{digest}/uploads'),
  patchTransfer: route('PATCH', '/internal/blobs/{digest}/uploads/{uid}'),
  commitTransfer: route('PUT', '/internal/blobs/{digest}/uploads/{uid}'),
  deleteBlob: route('DELETE', '/internal/blobs/{digest}'),
  overwriteMetaInfo: route('POST', '/internal/blobs/{digest}/metainfo'),
  peerContext: route('GET', '/internal/peercontext'),
  stat: route('HEAD', '/internal/namespace/{namespace}/blobs/{digest}'),
  metaInfo: route('GET', '/internal/namespace/{namespace}/blobs/{digest}/metainfo'),
  /** Ours: copies that are missing somewhere. */
  replication: route('GET', '/x/replication'),
  /** Ours: `<stamp> <digest>` of a tag that not all build-indexes know of yet; the bodies are the same. */
  getTagMark: route('GET', '/internal/tag-marks/{tag}'),
  putTagMark: route('PUT', '/internal/tag-marks/{tag}'),
  deleteTagMark: route('DELETE', '/internal/tag-marks/{tag}'),
  commitDuplicate: route('PUT', '/internal/duplicate/namespace/{namespace}/blobs/{digest}/uploads/{uid}')
} as const

/** Response header of `locations`: `host:port` of each owner, best first, joined by commas. */
export const LOCATIONS_HEADER = 'Origin-Locations'
/** Response header of `health`: the id of the disk that the blobs are on. */
export const STORE_ID_HEADER = 'shoal-store-id'
/**
 * Request header of the calls with which one of our origins gives another one its copy of a pushed blob. They are told at
 * once if the blob is there; anybody else who pushes it is told when it has all its copies.
 */
export const COPY_HEADER = 'shoal-copy'
/**
 * Request header of a prefetch with which one of our origins leaves the fetch from the backend to another one: that one asks
 * the backend itself, whoever it takes for the first owner.
 */
export const LEASE_HEADER = 'shoal-lease'
/** Request header by which our own peers ask for metainfo with a SHA-256 for every piece. */
export const PIECE_DIGESTS_HEADER = 'shoal-piece-digests'
