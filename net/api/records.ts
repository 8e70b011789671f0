import { type ContentDigest, type Digest } from '../../runtime/core/digest.js'

/*
 * The keys of the records that build-indexes keep for the registries of their cluster.
 *
 *   member:<repository>@<sha256>   present | deleted
 *   alias:<sha512>                 the sha256 of the same bytes
 *   name:<sha256>                  the sha512 under which tags show this manifest
 */

export function memberKey (repository: string, digest: Digest): string { return `member:${repository}@${digest.toLowerCase()}` }

export function aliasKey (name: ContentDigest): string { return `alias:${name}` }

export function nameKey (digest: Digest): string { return `name:${digest.toLowerCase()}` }
