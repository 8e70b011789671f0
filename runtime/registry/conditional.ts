import { type ContentDigest } from '../core/digest.js'

/** The entity tag of content: its digest between quotes. */
export function etagOf (digest: ContentDigest): string { return `"${digest}"` }

/**
 * True if the value of `If-None-Match` or `If-Match` names `digest`: a list of tags, weak or strong, whose quotes clients
 * of registries often leave out, or `*`.
 */
export function namesEtag (header: string | undefined, digest: ContentDigest): boolean {
  if (header === undefined) return false
  return header.split(',').some(item => {
    const tag = item.trim().replace(/^W\//, '').replace(/^"(.*)"$/, '$1')
    return tag === '*' || tag === digest
  })
}

/** False if an `If-Range` says that the range is wanted of other content only; dates never match, since there are none. */
export function allowsRange (ifRange: string | undefined, digest: ContentDigest): boolean {
  return ifRange === undefined || ifRange.trim() === etagOf(digest)
}
