import { type Digest, isDigest } from '../core/digest.js'

/** What a prefetch is asked for: an image of a repository, by its tag or by its digest. */
export interface PrefetchTarget {
  readonly repository: string
  readonly reference: { readonly tag: string } | { readonly digest: Digest }
  /** How the answer names it: the last part of what was asked for. */
  readonly shown: string
}

/**
 * Reads `<host>/<repository>:<tag>` or `<host>/<repository>@sha256:...`. Of three parts and more the first is the host,
 * whatever it looks like; of two it is one if it has a dot, a colon or is `localhost`, as container tools decide it, and
 * else the host was left out. Undefined for what names no image.
 */
export function parsePrefetchTarget (text: string): PrefetchTarget | undefined {
  const parts = text.split('/')
  const path = hasHost(parts) ? parts.slice(1) : parts
  const shown = path.at(-1) ?? ''
  if (path.includes('')) return undefined
  const name = path.join('/')
  const at = name.indexOf('@')
  if (at !== -1) {
    const digest = name.slice(at + 1)
    const repository = name.slice(0, at).replace(/:[^/:]*$/, '')
    return isDigest(digest) && repository !== '' ? { repository, reference: { digest }, shown } : undefined
  }
  const colon = name.lastIndexOf(':')
  const tag = name.slice(colon + 1)
  return colon > 0 && tag !== '' ? { repository: name.slice(0, colon), reference: { tag }, shown } : undefined
}

function hasHost ([first = '', ...rest]: readonly string[]): boolean {
  return rest.length > 1 || (rest.length === 1 && (/[.:]/.test(first) || first === 'localhost'))
}
