import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

/*
 * Draws the graph of imports and names every edge that does not run downhill (docs/architecture.md, "Layers").
 *   node dist/tools/check-imports.js [root]
 */

/** Which layer a path belongs to; the longest matching entry counts. A folder ends in a slash. */
export const LAYERS: ReadonlyArray<readonly [path: string, layer: number]> = [
  ['wasm/', 0],
  ['runtime/core/', 1], ['runtime/config/', 1],
  ['runtime/torrent/', 2], ['runtime/ring/', 2], ['runtime/observe/', 2], ['net/wire/', 2], ['net/api/', 2],
  ['runtime/store/', 3], ['runtime/backend/', 3], ['net/peer/', 3], ['net/http/', 3], ['net/client/', 3],
  ['workers/', 4],
  ['runtime/registry/', 5], ['runtime/retry/', 5], ['runtime/cluster/', 5],
  ['runtime/agent/', 6], ['runtime/origin/', 6], ['runtime/tracker/', 6], ['runtime/proxy/', 6], ['runtime/build-index/', 6],
  ['runtime/main.ts', 7], ['runtime/cli/', 7], ['runtime/up/', 7], ['runtime/demo/', 7], ['bench/', 7], ['test/', 7], ['tools/', 7]
]

export const SOURCE_FOLDERS = ['runtime', 'workers', 'net', 'wasm', 'bench', 'test', 'tools'] as const

const COMPONENT_LAYER = 6
const TOP_LAYER = 7
/** Parts of the top layer that are not in the published package; what is published must not need them. */
const UNPUBLISHED = ['test/', 'tools/']
/** Packages that exactly one file below the top layer may name, so that they can be replaced in one place. */
const SOLE_IMPORTERS: Readonly<Record<string, string>> = {
  'uWebSockets.js': 'net/http/uws.ts', piscina: 'workers/pool.ts', ioredis: 'runtime/tracker/redis-link.ts'
}

/** A source file by its path from the root, with forward slashes. */
export interface Source { readonly path: string, readonly text: string }

/** Every forbidden import in `sources`, as a sentence that begins with the importing file. */
export function findViolations (sources: readonly Source[]): string[] {
  return sources.flatMap(({ path, text }) => importsOf(text).flatMap(specifier => {
    const violation = judge(path, specifier)
    return violation === undefined ? [] : [`${path} imports ${specifier}: ${violation}`]
  }))
}

/** The specifiers of all imports, exports from elsewhere and dynamic imports of a file; types count like values. */
export function importsOf (text: string): string[] {
  return ts.preProcessFile(text, true, true).importedFiles.map(file => file.fileName)
}

/** The layer of a path, or undefined if no entry of the table covers it. */
export function layerOf (path: string): number | undefined {
  let longest = -1
  let layer: number | undefined
  for (const [prefix, level] of LAYERS) {
    const isCovered = prefix.endsWith('/') ? path.startsWith(prefix) : path === prefix
    if (isCovered && prefix.length > longest) {
      longest = prefix.length
      layer = level
    }
  }
  return layer
}

function judge (importer: string, specifier: string): string | undefined {
  const from = layerOf(importer)
  if (from === undefined) return 'the importing file belongs to no layer; enter its folder in tools/check-imports.ts'
  if (!specifier.startsWith('.')) return judgePackage(importer, specifier, from)
  const target = posix.normalize(posix.join(posix.dirname(importer), specifier)).replace(/\.js$/, '.ts')
  const to = layerOf(target)
  if (to === undefined) return `${target} belongs to no layer; enter its folder in tools/check-imports.ts`
  if (to > from) return `climbs from layer ${from} to layer ${to}`
  if (to === COMPONENT_LAYER && from === to && componentOf(importer) !== componentOf(target)) return 'one component imports another'
  if (to === TOP_LAYER && isUnpublished(target) && !isUnpublished(importer)) return 'what is published imports what is not'
  return undefined
}

function judgePackage (importer: string, specifier: string, from: number): string | undefined {
  const sole = Object.hasOwn(SOLE_IMPORTERS, specifier) ? SOLE_IMPORTERS[specifier] : undefined
  return sole === undefined || sole === importer || from === TOP_LAYER ? undefined : `only ${sole} may name this package`
}

function componentOf (path: string): string { return path.split('/').slice(0, 2).join('/') }

function isUnpublished (path: string): boolean { return UNPUBLISHED.some(folder => path.startsWith(folder)) }

/** All TypeScript files below the source folders of `root`. */
export function readSources (root: string): Source[] {
  return SOURCE_FOLDERS.flatMap(folder => walk(join(root, folder)))
    .filter(file => file.endsWith('.ts'))
    .map(file => ({ path: relative(root, file).split(sep).join('/'), text: readFileSync(file, 'utf8') }))
}

function walk (folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map(name => join(folder, name)).sort()
}

function main (): void {
  const root = process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), '..', '..')
  const sources = readSources(root)
  const violations = findViolations(sources)
  for (const violation of violations) console.log(violation)
  console.log(`${sources.length} files, ${violations.length} forbidden imports`)
  process.exitCode = violations.length === 0 ? 0 : 1
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main()
