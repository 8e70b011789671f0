import { z } from 'zod'
import { Secret } from './secret.js'
import { formatDuration, formatSize, parseDuration, parseSize } from './values.js'

/** How one raw YAML value is read: a zod schema, and in words what it takes. */
export interface Shape<T> {
  readonly schema: z.ZodType<T>
  /** Completes the sentence "expected ...". */
  readonly accepts: string
  /** One word for the reference page. */
  readonly kind: string
  /** For blocks, and lists and maps of blocks: which keys are known below. */
  readonly below?: Below | undefined
}

/** Keys below a value: a block with named keys, or a list or map of which every element is one. */
export interface Below { readonly each: boolean, readonly keys: Readonly<Record<string, KnownKey>> }
/** What the search for unknown keys needs to know about a key; `opaque` keys may hold anything. */
export interface KnownKey { readonly below?: Below | undefined, readonly opaque?: boolean | undefined }

export interface Bounds { readonly min?: number | undefined, readonly max?: number | undefined }

const TEXT_MAX = 4096
const SHOWN_MAX = 60

/** A shape whose reader answers undefined for what it does not take. */
export function leafShape<T> (kind: string, accepts: string, read: (raw: unknown) => T | undefined): Shape<T> {
  const schema = z.unknown().transform((raw, context): T => {
    const value = read(raw)
    if (value !== undefined) return value
    context.addIssue({ code: 'custom', message: `expected ${accepts}, got ${show(raw)}` })
    return z.NEVER
  })
  return { schema, accepts, kind }
}

export function intShape ({ min, max }: Bounds): Shape<number> {
  return leafShape('integer', `an integer${range(min, max, String)}`, raw =>
    typeof raw === 'number' && Number.isSafeInteger(raw) && isWithin(raw, min, max) ? raw : undefined)
}

/** Bytes; bounds are bytes too. */
export function sizeShape ({ min, max }: Bounds): Shape<number> {
  return leafShape('size', `a size such as 512KB, 4MB or 10GB${range(min, max, formatSize)}`, raw => {
    const bytes = parseSize(raw)
    return bytes !== undefined && isWithin(bytes, min, max) ? bytes : undefined
  })
}

/** Milliseconds; bounds are milliseconds too. */
export function durationShape ({ min = 0, max }: Bounds): Shape<number> {
  const accepts = `a duration such as 300ms, 30s or 1h30m${range(min, max, formatDuration)}`
  return leafShape('duration', accepts, raw => {
    const ms = parseDuration(raw)
    return ms !== undefined && isWithin(ms, min, max) ? ms : undefined
  })
}

/** True and false, and the other words that YAML 1.1 had for them, which Kraken's reader still takes. */
export function boolShape (): Shape<boolean> {
  const words = new Map([['yes', true], ['on', true], ['y', true], ['no', false], ['off', false], ['n', false]])
  return leafShape('boolean', 'true or false', raw =>
    typeof raw === 'boolean' ? raw : typeof raw === 'string' ? words.get(raw.toLowerCase()) : undefined)
}

/** Any text; `min: 1` refuses the empty one. Numbers are taken as they are spelt. */
export function textShape (what = 'a text'): Shape<string> {
  return leafShape('text', `${what} of 1 to ${TEXT_MAX} characters`, raw => {
    const text = typeof raw === 'number' ? String(raw) : raw
    return typeof text === 'string' && text.length > 0 && text.length <= TEXT_MAX ? text : undefined
  })
}

export function choiceShape<const C extends string> (choices: readonly C[]): Shape<C> {
  return leafShape(choices.map(choice => `\`${choice}\``).join(', '), choices.join(' or '), raw => choices.find(choice => choice === raw))
}

/** `host:port`. */
export function addressShape (): Shape<string> {
  return leafShape('address', 'an address such as 10.0.0.1:15002 or tracker:15003', raw => {
    if (typeof raw !== 'string' || raw.length > 300) return undefined
    const match = /^(?:[^\s:/]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})$/.exec(raw)
    return match !== null && isWithin(Number(match[1]), 1, 65_535) ? raw : undefined
  })
}

/** `host:port`, or `_service._tcp.name`, which brings its ports along. */
export function nameShape (): Shape<string> {
  const address = addressShape()
  return leafShape('address', 'an address such as origins:15002, or a service such as _origin._tcp.example', raw =>
    typeof raw === 'string' && /^_[A-Za-z0-9-]{1,62}\._(?:tcp|udp)\.[A-Za-z0-9._-]{1,180}$/.test(raw) ? raw : address.schema.safeParse(raw).data)
}

/**
 * A regular expression in Go's syntax, searched and not anchored. What JavaScript spells otherwise is translated: flags
 * in front, `(?P<name>`, `\A` and `\z`.
 */
export function regexShape (): Shape<RegExp> {
  return leafShape('regex', 'a regular expression', raw => {
    if (typeof raw !== 'string' || raw.length > TEXT_MAX) return undefined
    const flags = /^\(\?([ims]+)\)/.exec(raw)
    const source = raw.slice(flags?.[0].length ?? 0).replaceAll('(?P<', '(?<').replace(/^\\A/, '^').replace(/\\z$/, '$')
    try {
      return new RegExp(source, flags?.[1] ?? '')
    } catch {
      return undefined
    }
  })
}

export function secretShape (): Shape<Secret> {
  const text = textShape('a secret')
  return { ...text, kind: 'secret', schema: text.schema.transform(value => new Secret(value)) }
}

export function listShape<T> (of: Shape<T>, min = 0): Shape<readonly T[]> {
  const accepts = `a list${min > 0 ? ` with at least ${min} element${min === 1 ? '' : 's'}` : ''}, each ${of.accepts}`
  const schema = z.array(of.schema, { error: `expected ${accepts}` }).min(min, { error: `expected ${accepts}` })
  return { schema, accepts, kind: `list of ${of.kind}`, below: of.below === undefined ? undefined : { each: true, keys: of.below.keys } }
}

/** A YAML map as pairs, in the order of the file. */
export function mapShape<K, V> (key: Shape<K>, value: Shape<V>, min = 0): Shape<ReadonlyArray<readonly [K, V]>> {
  const accepts = `a map from ${key.accepts} to ${value.accepts}`
  const schema = z.unknown().transform((raw, context): ReadonlyArray<readonly [K, V]> => {
    if (!isPlainObject(raw) || Object.keys(raw).length < min) {
      context.addIssue({ code: 'custom', message: `expected ${accepts}, got ${show(raw)}` })
      return z.NEVER
    }
    return Object.entries(raw).flatMap(([name, element]) => {
      const read = [key.schema.safeParse(name), value.schema.safeParse(element)] as const
      for (const { error } of read) for (const issue of error?.issues ?? []) context.addIssue({ code: 'custom', message: issue.message, path: [name] })
      return read[0].success && read[1].success ? [[read[0].data, read[1].data] as const] : []
    })
  })
  return { schema, accepts, kind: `map of ${key.kind} to ${value.kind}` }
}

export function isPlainObject (value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A raw value as an error message may show it. */
export function show (raw: unknown): string {
  if (raw === undefined || raw === null) return 'nothing'
  const text = JSON.stringify(raw) ?? typeof raw
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}...` : text
}

function isWithin (n: number, min: number | undefined, max: number | undefined): boolean {
  return n >= (min ?? -Infinity) && n <= (max ?? Infinity)
}

function range (min: number | undefined, max: number | undefined, format: (n: number) => string): string {
  if (min !== undefined && max !== undefined) return ` from ${format(min)} to ${format(max)}`
  if (min !== undefined && min > 0) return ` of at least ${format(min)}`
  return max === undefined ? '' : ` of at most ${format(max)}`
}
