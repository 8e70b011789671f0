import { readFileSync } from 'node:fs'
import { isRecord } from '../core/json.js'

/** From `dist/runtime/cli/` to the package. */
const PACKAGE_FILE = new URL('../../../package.json', import.meta.url)

/** The version of this program, as its package says. */
export function version (): string {
  const content: unknown = JSON.parse(readFileSync(PACKAGE_FILE, 'utf8'))
  return isRecord(content) && typeof content['version'] === 'string' ? content['version'] : 'unknown'
}
