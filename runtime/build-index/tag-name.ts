import { AppError } from '../core/errors.js'

/** The longest file name of the usual file systems, in bytes; each part of a tag becomes one. */
const PART_BYTES_MAX = 255
const TAG_BYTES_MAX = 1024

/**
 * Checks a tag before anything else sees it: it becomes a path on the disk. Otherwise it is opaque; usually `repo:tag`.
 * @throws AppError TAG_INVALID
 */
export function checkTag (tag: string): string {
  if (Buffer.byteLength(tag) > TAG_BYTES_MAX) throw invalid(tag, `is longer than ${TAG_BYTES_MAX} bytes`)
  if (hasControls(tag)) throw invalid(tag, 'contains control characters')
  for (const part of tag.split('/')) {
    if (part === '' || part === '.' || part === '..') throw invalid(tag, 'has an empty part or one of dots between its slashes')
    if (Buffer.byteLength(part) > PART_BYTES_MAX) throw invalid(tag, `has a part of more than ${PART_BYTES_MAX} bytes`)
  }
  return tag
}

function hasControls (text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 0x20 || code === 0x7f) return true
  }
  return false
}

function invalid (tag: string, why: string): AppError {
  return new AppError('TAG_INVALID', `invalid tag ${JSON.stringify(tag.slice(0, 128))}: it ${why}; a tag reads like library/app:1.0`)
}
