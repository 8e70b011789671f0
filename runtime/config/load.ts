import { readFileSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { type Document, LineCounter, isMap, isScalar, parseDocument } from 'yaml'
import { AppError, messageOf } from '../core/errors.js'
import { type Section, isUnused } from './schema.js'
import { type Below, isPlainObject } from './shapes.js'

/** No configuration is this large; beyond it is not read. */
const FILE_BYTES_MAX = 4 * 1024 * 1024
const EXTENDS_MAX = 32
/** Problems named in one message. */
const PROBLEMS_MAX = 20

/** Files laid over each other, not yet understood. */
export interface RawConfig {
  readonly value: Readonly<Record<string, unknown>>
  /** The file named first. */
  readonly file: string
  /** `file:line` of each key, by its dotted path; of the file that set it last. */
  readonly places: ReadonlyMap<string, string>
}

/** What a section made of the files. */
export interface Decoded<T> {
  readonly value: T
  /** Keys that nobody knows, one sentence each. */
  readonly warnings: readonly string[]
  /** Keys that are known and have no effect. */
  readonly unused: readonly string[]
}

/**
 * Reads `file` and what it extends, farthest ancestor first, then the secrets in the same way (cluster specification
 * 9.1): blocks and maps merge key by key, lists are replaced whole, scalars overwrite; the values of `auth` are
 * replaced whole too.
 * @throws AppError CONFIG_INVALID for a file that cannot be read, is no YAML map, or extends itself
 */
export function readConfig (file: string, secretsFile = ''): RawConfig {
  const places = new Map<string, string>()
  let value: Record<string, unknown> = {}
  for (const start of [file, ...(secretsFile === '' ? [] : [secretsFile])]) {
    for (const layer of chain(resolve(start)).reverse()) {
      value = merge(value, layer.value, '')
      for (const [path, place] of layer.places) places.set(path, place)
    }
  }
  delete value['extends']
  return { value, file, places }
}

/**
 * Reads the raw configuration into what the section says.
 * @throws AppError CONFIG_INVALID naming file, line and path of every key that is wrong, and what it accepts
 */
export function decode<T> (section: Section<T>, raw: RawConfig): Decoded<T> {
  const { warnings, unused } = survey(section, raw)
  const read = section.schema.safeParse(raw.value)
  if (read.success) return { value: read.data, warnings, unused }
  const problems = read.error.issues.map(issue => {
    const path = issue.path.map(String).join('.')
    return `${placeOf(raw, path)}: ${path === '' ? '' : `${path}: `}${issue.message}`
  })
  const more = problems.length > PROBLEMS_MAX ? `\n(and ${problems.length - PROBLEMS_MAX} more)` : ''
  throw new AppError('CONFIG_INVALID', problems.slice(0, PROBLEMS_MAX).join('\n') + more)
}

interface Layer { readonly value: Readonly<Record<string, unknown>>, readonly places: ReadonlyMap<string, string> }

/** `file` and its ancestors, nearest first. */
function chain (file: string): Layer[] {
  const layers: Layer[] = []
  const seen: string[] = []
  for (let next: string | undefined = file; next !== undefined;) {
    const current: string = next
    if (seen.includes(current)) throw invalid(`${current} extends itself: ${[...seen.slice(seen.indexOf(current)), current].join(' -> ')}`)
    if (seen.length === EXTENDS_MAX) throw invalid(`${file} extends more than ${EXTENDS_MAX} files`)
    seen.push(current)
    const layer = readLayer(current)
    layers.push(layer)
    const parent = layer.value['extends']
    if (parent !== undefined && parent !== null && typeof parent !== 'string') throw invalid(`${current}: extends must be the path of a file`)
    next = typeof parent === 'string' && parent !== '' ? resolve(dirname(current), parent) : undefined
  }
  return layers
}

function readLayer (file: string): Layer {
  const lines = new LineCounter()
  // What Kraken's reader takes is taken: of a key that is there twice the last value counts.
  const document = parseDocument(readText(file), { lineCounter: lines, uniqueKeys: false, merge: true })
  const error = document.errors[0]
  if (error !== undefined) throw invalid(`${file}: ${error.message.trimEnd()}`)
  const value: unknown = toPlain(document, file)
  if (value !== null && value !== undefined && !isPlainObject(value)) throw invalid(`${file}: expected a YAML map of keys, got a ${Array.isArray(value) ? 'list' : typeof value}`)
  const places = new Map<string, string>()
  collectPlaces(document.contents, '', (path, offset) => places.set(path, `${file}:${lines.linePos(offset).line}`))
  return { value: value ?? {}, places }
}

function readText (file: string): string {
  try {
    const { size } = statSync(file)
    if (size > FILE_BYTES_MAX) throw invalid(`${file} has ${size} bytes; a configuration has at most ${FILE_BYTES_MAX}`)
    return readFileSync(file, 'utf8')
  } catch (cause) {
    if (cause instanceof AppError) throw cause
    throw new AppError('CONFIG_INVALID', `cannot read the configuration: ${messageOf(cause)}`, { cause })
  }
}

function toPlain (document: Document, file: string): unknown {
  try {
    return document.toJS()
  } catch (cause) {
    // Aliases that unfold beyond the library's limit.
    throw new AppError('CONFIG_INVALID', `${file}: ${messageOf(cause)}`, { cause })
  }
}

function collectPlaces (node: unknown, path: string, add: (path: string, offset: number) => void): void {
  if (!isMap(node)) return
  for (const { key, value } of node.items) {
    if (!isScalar(key)) continue
    const below = join(path, String(key.value))
    add(below, key.range?.[0] ?? 0)
    collectPlaces(value, below, add)
  }
}

function merge (base: Readonly<Record<string, unknown>>, over: Readonly<Record<string, unknown>>, path: string): Record<string, unknown> {
  const merged = new Map(Object.entries(base))
  for (const [key, value] of Object.entries(over)) {
    const below = merged.get(key)
    merged.set(key, isPlainObject(below) && isPlainObject(value) && path !== 'auth' ? merge(below, value, join(path, key)) : value)
  }
  return Object.fromEntries(merged)
}

function survey (section: Section<unknown>, raw: RawConfig): { warnings: string[], unused: string[] } {
  const warnings: string[] = []
  const unused: string[] = []
  const visit = (below: Below, value: unknown, path: string): void => {
    if (below.each) {
      const elements = Array.isArray(value) ? value : []
      for (const [i, element] of elements.entries()) visit({ ...below, each: false }, element, join(path, String(i)))
      return
    }
    for (const [key, element] of Object.entries(isPlainObject(value) ? value : {})) {
      const known = Object.hasOwn(below.keys, key) ? below.keys[key] : undefined
      const at = join(path, key)
      if (known === undefined) warnings.push(`${placeOf(raw, at)}: ${at} is no key that this role knows; it has no effect. ${suggest(key, Object.keys(below.keys))}`)
      else if (isUnused(known)) unused.push(at)
      else if (known.below !== undefined) visit(known.below, element, at)
    }
  }
  visit({ each: false, keys: section.fields }, raw.value, '')
  return { warnings, unused }
}

function suggest (key: string, known: readonly string[]): string {
  const plain = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '')
  const meant = known.find(name => plain(name) === plain(key) || `${plain(name)}s` === plain(key) || plain(name) === `${plain(key)}s` || `${plain(name)}d` === plain(key))
  return meant === undefined ? `Known here: ${known.join(', ')}` : `Did you mean ${meant}?`
}

/** Where the key is set, or the nearest block around it, or the file. */
function placeOf (raw: RawConfig, path: string): string {
  for (let at = path; at !== ''; at = at.slice(0, Math.max(at.lastIndexOf('.'), 0))) {
    const place = raw.places.get(at)
    if (place !== undefined) return place
  }
  return raw.file
}

function join (path: string, key: string): string { return path === '' ? key : `${path}.${key}` }

function invalid (message: string): AppError { return new AppError('CONFIG_INVALID', message) }
