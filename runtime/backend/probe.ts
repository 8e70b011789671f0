import { randomBytes } from 'node:crypto'
import { type PatherKind } from '../config/types.js'

/** A name that each way of naming takes and nobody has, to ask a backend whether it answers. */
export function probeName (kind: PatherKind): string {
  const hex = randomBytes(32).toString('hex')
  return kind === 'docker_tag' ? `shoal/probe:${hex}` : hex
}
