import { route } from './route.js'

/** The blob server of an origin (http-api specification 5.1). */
export const originApi = {
  health: route('GET', '/health', '200 `OK`.'),
  readiness: route('GET', '/readiness', '200 if the backends that must be ready are, 503 and what is missing.'),
  locations: route('GET', '/blobs/{digest}/locations', 'Who owns a blob, in `Origin-Locations`.'),
  startUpload: route('POST', '/namespace/{namespace}/blobs/{digest}/uploads', 'Begins an upload; its id is the `Location`.'),
  patchUpload: route('PATCH', '/namespace/{namespace}/blobs/{digest}/uploads/{uid}', 'A part, `Content-Range: <start>-<end>` with the end exclusive.'),
  commitUpload: route('PUT', '/namespace/{namespace}/blobs/{digest}/uploads/{uid}', 'Ends an upload; it is answered when enough owners have the blob.'),
  download: route('GET', '/namespace/{namespace}/blobs/{digest}', 'A blob; 202 while it is fetched from the backend; ranges too.'),
  replicateToRemote: route('POST', '/namespace/{namespace}/blobs/{digest}/remote/{remote}', 'Copies a blob to the origins of another cluster, at `host:port`; 202 while that goes on.'),
  prefetch: route('POST', '/namespace/{namespace}/blobs/{digest}/prefetch', 'Has a blob fetched from the backend.'),
  forceCleanup: route('POST', '/forcecleanup', 'Deletes what is older than `?ttl_hr=` hours or not owned any more.'),
  forceCleanupToTarget: route('POST', '/forcecleanup/v2', 'Deletes until the disk is filled to `?target_util_percent=`.'),
  startTransfer: route('POST', '/internal/blobs/{digest}/uploads', 'Begins the upload of a copy.'),
  patchTransfer: route('PATCH', '/internal/blobs/{digest}/uploads/{uid}', 'A part of it.'),
  commitTransfer: route('PUT', '/internal/blobs/{digest}/uploads/{uid}', 'Ends it.'),
  deleteBlob: route('DELETE', '/internal/blobs/{digest}', 'Deletes the copy of this origin.'),
  overwriteMetaInfo: route('POST', '/internal/blobs/{digest}/metainfo', 'Cuts a blob in pieces of `?piece_length=` bytes.'),
  peerContext: route('GET', '/internal/peercontext', 'How this origin is known to peers.'),
  stat: route('HEAD', '/internal/namespace/{namespace}/blobs/{digest}', 'Size of a blob; `?local=true` only if it is here.'),
  metaInfo: route('GET', '/internal/namespace/{namespace}/blobs/{digest}/metainfo', 'The pieces of a blob; 202 while it is fetched from the backend.'),
  configureScheduler: route('PATCH', '/x/config/scheduler', 'Replaces the configuration of the peer thread, as an agent does.'),
  /** Ours: copies that are missing somewhere. */
  replication: route('GET', '/x/replication', 'Copies that are missing somewhere.'),
  /** Ours: `<stamp> <digest>` of a tag that not all build-indexes know of yet; the bodies are the same. */
  getTagMark: route('GET', '/internal/tag-marks/{tag}', 'Where a tag points that not all build-indexes know of yet; 204 for none.'),
  putTagMark: route('PUT', '/internal/tag-marks/{tag}', 'Keeps that, unless there is a later one.'),
  deleteTagMark: route('DELETE', '/internal/tag-marks/{tag}', 'All build-indexes know of it.'),
  commitDuplicate: route('PUT', '/internal/duplicate/namespace/{namespace}/blobs/{digest}/uploads/{uid}', 'Ends the upload of a copy whose write-back is to come later.')
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
