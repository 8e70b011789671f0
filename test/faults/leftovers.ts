import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Member } from './plan.js'

const SIDECAR = /^_/

/**
 * What no member may leave on its disk once it was started again and stopped: files that were to replace others, entries
 * half deleted, entries without data, and at a proxy what it has passed on. Uploads that clients gave up wait for their time
 * to be over.
 */
export function leftoversIn (members: readonly Member[]): string[] {
  return members.flatMap(({ dataDir, role }) => [...filesBelow(dataDir)].filter(path => {
    const name = path.slice(path.lastIndexOf('/') + 1)
    if (name.startsWith('.unfinished-') || path.includes('/.doomed-')) return true
    if (role === 'proxy') return path.startsWith(`${join(dataDir, 'cache')}/`)
    return path.startsWith(`${join(dataDir, 'cache')}/`) && SIDECAR.test(name) && !existsSync(join(dirname(path), 'data'))
  }))
}

function * filesBelow (dir: string): Generator<string> {
  if (!existsSync(dir)) return
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name)
    if (entry.isDirectory()) yield * filesBelow(path)
    else yield path
  }
}
