import { type ContentDigest, isContentDigest } from '../../runtime/core/digest.js'
import { route } from './route.js'

/*
 * The paths of the registry (http-api specification 8.1). A repository name has any number of segments, so no router matches
 * them: they are read from their end.
 */

/** What the registry serves; `{name}` may have slashes in it. GET of manifests, blobs, uploads and lists is also HEAD. */
export const registryApi = {
  base: route('GET', '/v2/', '200 `{}`.'),
  catalog: route('GET', '/v2/_catalog', 'All repositories, in pages with `?n=` and `?last=`.'),
  tags: route('GET', '/v2/{name}/tags/list', 'Tags of a repository, sorted, in pages with `?n=` and `?last=`.'),
  getManifest: route('GET', '/v2/{name}/manifests/{reference}', 'A manifest or an index, by tag or digest, as it was pushed.'),
  putManifest: route('PUT', '/v2/{name}/manifests/{reference}', 'Stores it when everything that it refers to is there; `?tag=` beside a digest, up to 100 times.'),
  deleteManifest: route('DELETE', '/v2/{name}/manifests/{reference}', 'Deletes a tag, or a manifest with all its tags.'),
  getBlob: route('GET', '/v2/{name}/blobs/{digest}', 'A blob; ranges too.'),
  deleteBlob: route('DELETE', '/v2/{name}/blobs/{digest}', 'Takes a blob out of the repository.'),
  startUpload: route('POST', '/v2/{name}/blobs/uploads/', 'Begins an upload; `?digest=` with the whole blob as body, `?mount=` with or without `&from=`.'),
  uploadStatus: route('GET', '/v2/{name}/blobs/uploads/{id}', 'How far it is.'),
  patchUpload: route('PATCH', '/v2/{name}/blobs/uploads/{id}', 'A part; with `Content-Range` it must be the next one.'),
  finishUpload: route('PUT', '/v2/{name}/blobs/uploads/{id}', 'Ends it with `?digest=`; answered when the origins have the blob.'),
  cancelUpload: route('DELETE', '/v2/{name}/blobs/uploads/{id}', 'Gives it up.'),
  referrers: route('GET', '/v2/{name}/referrers/{digest}', 'Manifests whose `subject` this is; `?artifactType=` leaves only such.')
} as const

export const NAME_CHARACTERS_MAX = 255
export const TAG_CHARACTERS_MAX = 128

/** What a manifest is asked for by. */
export type Reference = { readonly kind: 'tag', readonly tag: string } | { readonly kind: 'digest', readonly digest: ContentDigest }

/** Where a path leads. */
export type RegistryTarget =
  | { readonly kind: 'root' }
  | { readonly kind: 'base' }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'tags', readonly repository: string }
  | { readonly kind: 'manifest', readonly repository: string, readonly reference: Reference }
  | { readonly kind: 'blob', readonly repository: string, readonly digest: ContentDigest }
  | { readonly kind: 'uploads', readonly repository: string }
  | { readonly kind: 'upload', readonly repository: string, readonly upload: string }
  | { readonly kind: 'referrers', readonly repository: string, readonly digest: ContentDigest }
  /** The canonical form of a path with doubled slashes, dots, or a slash too few. */
  | { readonly kind: 'redirect', readonly path: string }
  /** A route, but the digest in it is none that this registry knows. */
  | { readonly kind: 'badDigest', readonly text: string }
  /** A route, but the repository name is longer than `NAME_CHARACTERS_MAX`. */
  | { readonly kind: 'badName', readonly text: string }
  /** A broken percent escape. */
  | { readonly kind: 'badPath' }
  | { readonly kind: 'none' }

/** Finds out where the raw, undecoded path of a request leads. Never throws. */
export function parseRegistryPath (rawPath: string): RegistryTarget {
  const path = decode(rawPath)
  if (path === undefined) return { kind: 'badPath' }
  const canonical = canonicalPath(path)
  if (canonical !== path) return { kind: 'redirect', path: escapePath(canonical) }
  switch (path) {
    case '/': return { kind: 'root' }
    case '/v2': return { kind: 'redirect', path: '/v2/' }
    case '/v2/': return { kind: 'base' }
    case '/v2/_catalog': return { kind: 'catalog' }
  }
  if (!path.startsWith('/v2/')) return { kind: 'none' }
  return parseRepositoryPath(path, path.slice('/v2/'.length).split('/'))
}

/** True for a repository name of the grammar of 8.1 that is short enough. */
export function isRepositoryName (text: string): boolean {
  return text.length <= NAME_CHARACTERS_MAX && isRepositoryShaped(text)
}

/**
 * The repository under which a mirror keeps what another registry has: `<host>/<repository>`, with `_` before a port, since a
 * tag is told from its repository by the colon. Undefined if there is no such host, or if all of it is too long.
 */
export function mirroredRepository (host: string, repository: string): string | undefined {
  const first = host.toLowerCase().replace(/:(?=\d+$)/, '_')
  const whole = `${first}/${repository}`
  return COMPONENT.test(first) && isRepositoryName(whole) ? whole : undefined
}

export function isTag (text: string): boolean { return TAG.test(text) }

export function manifestPath (repository: string, digest: ContentDigest): string { return `/v2/${repository}/manifests/${digest}` }

export function blobPath (repository: string, digest: ContentDigest): string { return `/v2/${repository}/blobs/${digest}` }

export function uploadPath (repository: string, upload: string): string { return `/v2/${repository}/blobs/uploads/${upload}` }

const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/
const UPLOAD = /^[A-Za-z0-9_.=-]{1,128}$/
// Every repetition below begins with a character that the one before it cannot take, so that matching is linear.
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*$/
const HOST = /^[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*(?:\.[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*)*(?::[0-9]+)?$/

function parseRepositoryPath (path: string, segments: readonly string[]): RegistryTarget {
  const [last = '', second = '', third = ''] = segments.slice(-3).reverse()
  const named = (suffixSegments: number, target: (repository: string) => RegistryTarget): RegistryTarget => {
    const repository = segments.slice(0, -suffixSegments).join('/')
    if (!isRepositoryShaped(repository)) return { kind: 'none' }
    return repository.length > NAME_CHARACTERS_MAX ? { kind: 'badName', text: repository } : target(repository)
  }
  if (third === 'blobs' && second === 'uploads') {
    if (last === '') return named(3, repository => ({ kind: 'uploads', repository }))
    return UPLOAD.test(last) ? named(3, repository => ({ kind: 'upload', repository, upload: last })) : { kind: 'none' }
  }
  if (last === '') return { kind: 'none' }
  if (second === 'tags' && last === 'list') return named(2, repository => ({ kind: 'tags', repository }))
  if (second === 'manifests') return named(2, repository => manifestTarget(repository, last))
  if (second === 'referrers') return named(2, repository => digestTarget(last, digest => ({ kind: 'referrers', repository, digest })))
  if (second !== 'blobs') return { kind: 'none' }
  if (last === 'uploads') return named(2, () => ({ kind: 'redirect', path: escapePath(path) + '/' }))
  return named(2, repository => digestTarget(last, digest => ({ kind: 'blob', repository, digest })))
}

/** No tag contains a colon, so what contains one was meant as a digest. */
function manifestTarget (repository: string, text: string): RegistryTarget {
  if (text.includes(':')) return digestTarget(text, digest => ({ kind: 'manifest', repository, reference: { kind: 'digest', digest } }))
  return isTag(text) ? { kind: 'manifest', repository, reference: { kind: 'tag', tag: text } } : { kind: 'none' }
}

function digestTarget (text: string, target: (digest: ContentDigest) => RegistryTarget): RegistryTarget {
  return isContentDigest(text) ? target(text) : { kind: 'badDigest', text }
}

/** The grammar alone: lower-case components behind an optional host-like prefix, which may have capitals and a port. */
function isRepositoryShaped (text: string): boolean {
  const [first = '', ...rest] = text.split('/')
  return (COMPONENT.test(first) || (rest.length > 0 && HOST.test(first))) && rest.every(component => COMPONENT.test(component))
}

function decode (rawPath: string): string | undefined {
  try {
    return decodeURIComponent(rawPath)
  } catch {
    return undefined
  }
}

/** Go's `path.Clean` with a trailing slash kept: no doubled slashes, no `.` and `..` segments. Always one leading slash. */
function canonicalPath (path: string): string {
  const kept: string[] = []
  for (const segment of path.split('/')) {
    if (segment === '..') kept.pop()
    else if (segment !== '' && segment !== '.') kept.push(segment)
  }
  const isFolder = kept.length > 0 && path.endsWith('/')
  return '/' + kept.join('/') + (isFolder ? '/' : '')
}

function escapePath (path: string): string {
  return path.split('/').map(segment => encodeURIComponent(segment).replace(/%3A/g, ':').replace(/%40/g, '@')).join('/')
}
